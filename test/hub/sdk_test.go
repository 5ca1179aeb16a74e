package hub_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scripts has the SDK, with what it does.
const scripts = "../interop"

// TestSDK has the published Ably SDK talk to `usher serve` in both formats, over a
// network that is cut.
func TestSDK(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	addr, key := serveHub(t)
	for _, format := range []string{"json", "msgpack"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "hub.mjs", format)
			cmd.Dir = scripts
			cmd.Env = append(os.Environ(), "KEY="+key, "PORT="+port)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "ok\n") {
				t.Errorf("got %v, needs Node.js 20:\n%s", err, out)
			}
		})
	}
}

// serveHub runs the program with a hub, and returns its address and API key.
func serveHub(t *testing.T) (addr, key string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "usher")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/usher")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "usher.yaml")
	text := "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nengine: {data: ./data}\nhub: {}\ndrain: 0s\nlog: {format: json}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "--config", config) // Ended by the clean-up.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	var drained sync.WaitGroup
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("usher serve: %v", err)
		}
		drained.Wait()
	})
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if _, rest, ok := strings.Cut(line, `"listener":"public","address":"`); ok {
			addr, _, _ = strings.Cut(rest, `"`)
		}
		if _, rest, ok := strings.Cut(line, "API key of the hub: "); ok {
			key = strings.TrimSpace(rest)
		}
		if addr != "" && key != "" {
			drained.Go(func() {
				_, _ = io.Copy(io.Discard, r)
				_ = r.Close()
			})
			return addr, key
		}
	}
	t.Fatal("usher serve has ended, or tells neither its address nor the key")
	return "", ""
}
