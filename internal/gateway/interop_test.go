package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// scripts are the servers and clients in other languages.
const scripts = "../../test/interop"

// python is a Python that has websockets: Debian's, where another is first in
// the path.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import websockets").Run() == nil {
			return name
		}
	}
	t.Fatal("no Python with websockets: see tools/deps.sh")
	return ""
}

// start runs an echo server and returns its port. It ends with its standard
// input.
func start(t *testing.T, command, script string) string {
	t.Helper()
	cmd := exec.Command(command, script)
	cmd.Dir = scripts
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
		kill.Stop()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%s does not say its port: %v\n%s", script, err, said.String())
	}
	return strings.TrimSpace(port)
}

// Servers that know nothing of the gateway, in other languages, with their own
// clients and each other's.
func TestInterop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js and Python")
	}
	interpreters := map[string]string{"mjs": "node", "py": python(t)}
	for server, interpreter := range interpreters {
		port := start(t, interpreter, "server."+server)
		g := open(t, target(t, "ws://127.0.0.1:"+port))
		for client, interpreter := range interpreters {
			t.Run(server+" server, "+client+" client", func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, interpreter, "client."+client, "ws://"+g.addr+"/chat")
				cmd.Dir = scripts
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		t.Run(server+" server, go client", func(t *testing.T) {
			goClient(t, g)
		})
		t.Run(server+" server, plain request", func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/chat", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer alice-word")
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusUpgradeRequired {
				t.Errorf("got status %d, want the server's own 426", res.StatusCode)
			}
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		})
	}
}

func goClient(t *testing.T, g *gate) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, res, err := websocket.Dial(ctx, "ws://"+g.addr+"/chat", &websocket.DialOptions{
		Subprotocols: []string{"chat"}, CompressionMode: websocket.CompressionContextTakeover,
		HTTPHeader: http.Header{"Authorization": {"Bearer alice-word"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	if got := res.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Errorf("got extensions %q, want permessage-deflate", got)
	}
	for i := range 100 {
		want := strings.Repeat(fmt.Sprint("message ", i), i*i)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("message %d: got %d bytes, %v, want %d", i, len(got), err, len(want))
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}
