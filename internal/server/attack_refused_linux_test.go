package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestDrainOfRefused: a handshake that is under way when the drain begins, and is
// refused after that, is answered as any other request.
func TestDrainOfRefused(t *testing.T) {
	for _, w := range bothWays(t) {
		t.Run(w.name, func(t *testing.T) {
			asked, release := make(chan struct{}), make(chan struct{})
			b := newTrap(t, func(string) string {
				close(asked)
				<-release
				return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
			})
			g := trapped(t, b, "")
			c := connect(t, g.public)
			say(t, c, w.text)
			<-asked
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				g.stop()
			}()
			g.logs.await(t, "msg=draining")
			soon(t, "the listener to be closed", func() bool {
				res, err := client.Get("http://" + g.public + "/nowhere")
				if err == nil {
					res.Body.Close()
				}
				return err != nil
			})
			close(release)
			got, err := io.ReadAll(c)
			if want := "HTTP/1.1 502 "; err != nil || !strings.HasPrefix(string(got), want) {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			c.Close()
			<-ended
		})
	}
}

// TestTooLargeIsAnswered: whoever has sent too much is told, and then sees the end
// of the connection: not a reset, which may take the answer away.
func TestTooLargeIsAnswered(t *testing.T) {
	g := trapped(t, newTrap(t, nil), "")
	c := connect(t, g.public)
	say(t, c, "GET /chat/a HTTP/1.1\r\nHost: gate.example\r\nX-A: "+strings.Repeat("a", 200<<10))
	got, err := io.ReadAll(c)
	if want := http.StatusText(http.StatusRequestHeaderFieldsTooLarge); err != nil || !strings.HasSuffix(string(got), want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
