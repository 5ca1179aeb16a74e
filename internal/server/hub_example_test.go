package server_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const hubChat = "../../examples/hub-chat"

// A process is a program of an example, with what it prints.
type process struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan string
}

// node runs a program of Node with an environment until the test is over.
func node(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Env = append(cmd.Environ(), env...)
	p := &process{t: t, lines: make(chan string, 1000)}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait()
	})
	return p
}

// says waits for a line that begins with want, and returns what follows.
func (p *process) says(want string) string {
	p.t.Helper()
	for late := time.After(20 * time.Second); ; {
		select {
		case line := <-p.lines:
			if rest, ok := strings.CutPrefix(line, want); ok {
				return rest
			}
		case <-late:
			p.t.Fatalf("got no line %q", want)
		}
	}
}

func (p *process) types(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// The example's chat goes on as it says: by its own configuration, its desk and the
// published SDK, also after a token was taken back.
func TestHubChat(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	config, err := os.ReadFile(filepath.Join(hubChat, "usher.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key := write(t, dir, "desk.key", "EXqXJmYh0mT2Yb2a1VJmZs5n8y1c6r0d\n")
	g := startIn(t, dir, "drain: 100ms\n"+strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:0", "127.0.0.1:8081", "127.0.0.1:0").Replace(string(config)))
	desk := node(t, []string{"PORT=0", "HUB_SECRET_FILE=" + key}, filepath.Join(hubChat, "desk.mjs")).says("desk at ")
	if res, _ := do(t, http.MethodGet, desk+"/token", nil, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: got %d, want 401", res.StatusCode)
	}

	// The SDK is that of the other tests.
	packages, err := filepath.Abs("../../test/interop/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(hubChat, "chat.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	chat := write(t, dir, "chat.mjs", string(program))
	_, port, _ := strings.Cut(g.public, ":")
	env := []string{"DESK=" + desk, "HUB_PORT=" + port}

	ann := node(t, env, chat, "ann")
	ann.says("(ann: enter)")
	ann.types("hello?")
	ann.says("ann: hello?")
	bob := node(t, env, chat, "bob")
	bob.says("ann: hello?")
	ann.says("(bob: enter)")
	bob.types("hello!")
	ann.says("bob: hello!")
	call(t, g.admin, http.MethodPost, "revocations", `{"issuer":"ably:chat.desk","subject":"ann"}`)
	ann.says("disconnected: the token was revoked")
	ann.says("connected")
	ann.types("again")
	bob.says("ann: again")
	_ = bob.in.Close()
	ann.says("(bob: leave)")
}
