//go:build linux

package main

import (
	"context"
	"embed"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher/test/load/machine"
)

//go:embed testdata
var configs embed.FS

// A contender is a server that a row measures.
type contender struct {
	name string
	// ours says that it is Usher, whose figures are compared with the others'.
	ours bool
	// yardstick says that it is the server that bench-check compares ours with.
	yardstick bool
	// through says that it is a proxy: each connection is two of its files.
	through bool
	// carrier and algorithm are those of the requests that it gets.
	carrier, algorithm string
	// speaks is how clients speak to it, if it is a hub.
	speaks *dialect
	// clients is how many ask Redis at one time.
	clients int
	start   func(ctx context.Context, b *bench) (*running, error)
}

// A running is a contender that was started.
type running struct {
	addr     netip.AddrPort
	admin    netip.AddrPort // Of usher serve.
	measured []*process
	others   []*process // On the client's core.
	dir      string     // Of its configuration; removed at the end.
}

func (r *running) stop() {
	for _, p := range append(r.measured, r.others...) {
		p.stop()
	}
	if r.dir != "" {
		os.RemoveAll(r.dir)
	}
}

func (r *running) pids() []int { return pids(r.measured) }

// clients are the processes of the other core: this one too.
func (r *running) clients() []int { return append(pids(r.others), os.Getpid()) }

func pids(list []*process) []int {
	ids := make([]int, 0, len(list))
	for _, p := range list {
		ids = append(ids, p.pid())
	}
	return ids
}

// testServer starts command server, which says its address itself.
func (b *bench) testServer(ctx context.Context, core int, args ...string) (*process, netip.AddrPort, error) {
	p, err := start(ctx, core, b.dir, true, b.server, append(args, "-dir", b.dir)...)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	addr, err := p.ready()
	if err != nil {
		p.stop()
	}
	return p, addr, err
}

// handlers makes a contender of command server alone.
func handlers(name, mode, library, carrier, algorithm string) contender {
	return contender{
		name: name, ours: mode == "guard", yardstick: mode == "bare" && library == "gobwas", carrier: carrier, algorithm: algorithm,
		start: func(ctx context.Context, b *bench) (*running, error) {
			p, addr, err := b.testServer(ctx, b.serverCore, "-mode", mode, "-library", library, "-carrier", carrier, "-algorithm", algorithm)
			if err != nil {
				return nil, err
			}
			return &running{addr: addr, measured: []*process{p}}, nil
		},
	}
}

// A proxy says how one is started.
type proxy struct {
	name, command, config string
	args                  []string // CONFIG is the name of its file.
	auth                  bool     // It asks a server of its own for each connection.
	ours                  bool
}

var (
	nginxAuth = proxy{"nginx + auth_request", "nginx", "nginx.conf", []string{"-c", "CONFIG"}, true, false}
	nginx     = proxy{"nginx", "nginx", "nginx.conf", []string{"-c", "CONFIG"}, false, false}
	haproxy   = proxy{"HAProxy", "haproxy", "haproxy.cfg", []string{"-q", "-f", "CONFIG"}, false, false}
	caddy     = proxy{"Caddy", "caddy", "Caddyfile", []string{"run", "--config", "CONFIG", "--adapter", "caddyfile"}, false, false}
	gateway   = proxy{"usher serve", "", "usher.yaml", []string{"serve", "--config", "CONFIG"}, false, true}
)

// contender puts a proxy in front of the backend.
func (p proxy) contender() contender {
	return contender{
		name: p.name, ours: p.ours, through: true, carrier: "bearer", algorithm: "HS256",
		start: func(ctx context.Context, b *bench) (*running, error) {
			r := &running{}
			if err := p.start(ctx, b, r); err != nil {
				r.stop()
				return nil, err
			}
			return r, nil
		},
	}
}

func (p proxy) start(ctx context.Context, b *bench, r *running) error {
	command := b.usher
	if p.command != "" {
		var err error
		if command, err = find(p.command); err != nil {
			return err
		}
	}
	backend, back, err := b.testServer(ctx, b.clientCore, "-mode", "backend")
	if err != nil {
		return err
	}
	r.others = append(r.others, backend)
	auth := back // Not asked.
	if p.auth {
		var judge *process
		if judge, auth, err = b.testServer(ctx, b.serverCore, "-mode", "auth"); err != nil {
			return err
		}
		r.measured = append(r.measured, judge)
	}
	asks := ""
	if p.auth {
		asks = "auth_request /judge;"
	}
	return b.launch(ctx, r, command, p.config, p.args, "BACKEND", back.String(), "JUDGE", auth.String(), "AUTH", asks)
}

// launch starts a program with a configuration of ours, in which the words of
// fill are replaced, each by what follows it, and what all know. Its args have
// CONFIG for the name of the file. It answers at r.addr.
func (b *bench) launch(ctx context.Context, r *running, command, config string, args []string, fill ...string) error {
	var err error
	if r.addr, err = freePort(); err != nil {
		return err
	}
	if r.admin, err = freePort(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp(b.dir, "launch-"); err != nil {
		return err
	}
	text, err := configs.ReadFile("testdata/" + config)
	if err != nil {
		return err
	}
	fill = append(fill, "FRONT", r.addr.String(), "ADMIN", r.admin.String(), "OWNDIR", r.dir, "DIR", b.dir,
		"PORT", strconv.Itoa(int(r.addr.Port())), "FILES", strconv.Itoa(b.files))
	file := filepath.Join(r.dir, config)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(fill...).Replace(string(text))), 0o600); err != nil {
		return err
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = strings.ReplaceAll(a, "CONFIG", file)
	}
	p, err := start(ctx, b.serverCore, r.dir, false, command, words...)
	if err != nil {
		return err
	}
	r.measured = append(r.measured, p)
	return answers(ctx, r.addr, p)
}

// reverseProxy is Go's, in front of the backend.
func reverseProxy() contender {
	return contender{
		name: "httputil.ReverseProxy", through: true, carrier: "bearer", algorithm: "HS256",
		start: func(ctx context.Context, b *bench) (*running, error) {
			backend, back, err := b.testServer(ctx, b.clientCore, "-mode", "backend")
			if err != nil {
				return nil, err
			}
			p, addr, err := b.testServer(ctx, b.serverCore, "-mode", "reverse", "-upstream", back.String())
			if err != nil {
				backend.stop()
				return nil, err
			}
			return &running{addr: addr, measured: []*process{p}, others: []*process{backend}}, nil
		},
	}
}

// used is what was used of processor time, by the server and by the client.
type used struct{ server, client time.Duration }

func (r *running) used() (used, error) {
	server, err := machine.CPUOf(r.pids()...)
	if err != nil {
		return used{}, err
	}
	// Not by CPUOf: the servers are this process's children.
	var client time.Duration
	for _, pid := range r.clients() {
		t, err := machine.CPU(pid)
		if err != nil {
			return used{}, fmt.Errorf("the client's own: %w", err)
		}
		client += t
	}
	return used{server, client}, nil
}
