// Command beside runs the probes of package smuggling against Usher's gateway
// and, beside it, against other proxies that are installed here, each with the
// configuration that its own documentation has for WebSocket. It prints a table
// in Markdown.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/usher-ws/usher/test/smuggling"
)

//go:embed testdata
var configs embed.FS

// A proxy is one that runs as a process of its own.
type proxy struct {
	name, command string
	config        string
	args          []string // CONFIG is the name of its file.
	version       []string
}

var proxies = []proxy{
	{"nginx", "nginx", "nginx.conf", []string{"-c", "CONFIG"}, []string{"-v"}},
	{"HAProxy", "haproxy", "haproxy.cfg", []string{"-q", "-f", "CONFIG"}, []string{"-v"}},
	{"Caddy", "caddy", "Caddyfile", []string{"run", "--config", "CONFIG", "--adapter", "caddyfile"}, []string{"version"}},
}

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	b, err := smuggling.NewBackend()
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Print("| |")
	for _, u := range smuggling.Upgrades {
		fmt.Printf(" %s: %s |", u.Name, u.Title)
	}
	fmt.Println(" E: aliases that reached the backend |")
	fmt.Println("|---" + strings.Repeat("|---", len(smuggling.Upgrades)+1) + "|")

	row := func(name string, h http.Handler) error {
		front, stop, err := inProcess(h)
		if err != nil {
			return err
		}
		defer stop()
		return printRow(name, front, b)
	}
	if err := row("**Usher's gateway**", smuggling.Gateway(b.Addr(), slog.New(slog.DiscardHandler))); err != nil {
		return err
	}
	if err := row("Go's ReverseProxy "+strings.TrimPrefix(runtime.Version(), "go"), reverseProxy(b.Addr())); err != nil {
		return err
	}
	for _, p := range proxies {
		if err := p.row(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func printRow(name, front string, b *smuggling.Backend) error {
	fmt.Printf("| %s |", name)
	for _, u := range smuggling.Upgrades {
		out, err := u.Try(front, b)
		if err != nil {
			return err
		}
		fmt.Printf(" %s |", out)
	}
	reached, deleted, err := smuggling.TryAliases(front, b)
	if err != nil {
		return err
	}
	cell := "none"
	if len(reached) > 0 {
		cell = "`" + strings.Join(reached, "`, `") + "`"
	}
	if deleted {
		cell += "; its own deleted or replaced"
	}
	fmt.Printf(" %s |\n", cell)
	return nil
}

// inProcess serves h on a loopback address.
func inProcess(h http.Handler) (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), func() { _ = s.Close() }, nil
}

// reverseProxy is Go's own, as one writes it.
func reverseProxy(backend string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/chat", &httputil.ReverseProxy{
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(&url.URL{Scheme: "http", Host: backend})
			pr.Out.Header.Set("X-User-Id", smuggling.User)
		},
	})
	return mux
}

// row starts the proxy, probes it and ends it.
func (p proxy) row(ctx context.Context, b *smuggling.Backend) error {
	path, err := exec.LookPath(p.command)
	if err != nil {
		fmt.Printf("| %s |%s\n", p.name, strings.Repeat(" not run: not installed |", len(smuggling.Upgrades)+1))
		return nil
	}
	dir, err := os.MkdirTemp("", "smuggling")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	front, err := freeAddress()
	if err != nil {
		return err
	}
	config, err := p.write(dir, front, b.Addr())
	if err != nil {
		return err
	}
	args := make([]string, len(p.args))
	for i, arg := range p.args {
		args[i] = strings.ReplaceAll(arg, "CONFIG", config)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	if err := cmd.Start(); err != nil {
		cancel()
		return err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // It was killed.
	}()
	if err := listening(front); err != nil {
		cancel()
		_ = cmd.Wait()
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return printRow(p.name+" "+p.is(path), front, b)
}

// write fills in the configuration.
func (p proxy) write(dir, front, backend string) (string, error) {
	text, err := configs.ReadFile("testdata/" + p.config)
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(front)
	if err != nil {
		return "", err
	}
	filled := strings.NewReplacer("FRONT", front, "BACKEND", backend, "PORT", port, "DIR", dir).Replace(string(text))
	name := filepath.Join(dir, p.config)
	return name, os.WriteFile(name, []byte(filled), 0o600)
}

var number = regexp.MustCompile(`\d+\.\d+\.\d+`)

// is asks the proxy for its version.
func (p proxy) is(path string) string {
	out, err := exec.Command(path, p.version...).CombinedOutput()
	if err != nil {
		return "of unknown version"
	}
	return number.FindString(string(out))
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func listening(addr string) error {
	for range 500 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("does not listen")
}
