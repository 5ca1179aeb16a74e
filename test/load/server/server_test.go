//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/test/load/epoll"
	"github.com/usher-ws/usher/test/load/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A started is a server in this process.
type started struct {
	addr netip.AddrPort
	in   io.Writer
	out  *bufio.Reader
}

func begin(t *testing.T, o options) *started {
	t.Helper()
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	ended := make(chan error)
	go func() {
		err := run(t.Context(), o, in, out)
		out.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	t.Cleanup(func() {
		stdin.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s := &started{in: stdin, out: bufio.NewReader(stdout)}
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.TrimPrefix(strings.TrimSpace(line), "ready "); text != "-" {
		if s.addr, err = netip.ParseAddrPort(text); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *started) ask(t *testing.T, command string) string {
	t.Helper()
	if _, err := fmt.Fprintln(s.in, command); err != nil {
		t.Fatal(err)
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// connect opens n connections with a credential and has each echo a message.
func (s *started) connect(t *testing.T, carrier, token string, n int) (*epoll.Client, error) {
	t.Helper()
	c, err := epoll.New(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	head, message := tokens.Request(carrier, token)
	r := epoll.Request{Handshake: head}
	if message != nil {
		r.Messages = [][]byte{epoll.TextFrame(message)}
	}
	list := make([]epoll.Request, n)
	for i := range list {
		list[i] = r
	}
	if _, err := c.Connect(list, n); err != nil {
		return nil, err
	}
	frame, echo := epoll.Frame(1000)
	// A refusal may come as a Close frame after the 101.
	if _, err := c.Exchange(10*n, 1, func(int) ([]byte, int) { return frame, echo }); err != nil {
		return nil, err
	}
	return c, nil
}

// What is measured must be what it says: each server admits the good and, where
// it checks, refuses the bad, by every carrier.
func TestVerdicts(t *testing.T) {
	dir := t.TempDir()
	signer, err := tokens.NewSigner("HS256", dir)
	if err != nil {
		t.Fatal(err)
	}
	good, err := signer.Token("alice")
	if err != nil {
		t.Fatal(err)
	}
	bad := good[:len(good)-4] + "AAAA"
	for _, mode := range []string{"guard", "check"} {
		for library := range seats {
			for _, carrier := range tokens.Carriers {
				if library != "gobwas" && carrier != "subprotocol" && carrier != "first_message" {
					continue // One way through each of the two doors.
				}
				t.Run(mode+"/"+library+"/"+carrier, func(t *testing.T) {
					s := begin(t, options{mode: mode, library: library, carrier: carrier, algorithm: "HS256", dir: dir})
					credential := good
					switch carrier {
					case "ticket":
						credential = ticket(t)
					case "basic":
						credential = tokens.Password
					}
					if _, err := s.connect(t, carrier, credential, 1); err != nil {
						t.Errorf("good: %v", err)
					}
					wrong := bad
					if carrier == "ticket" {
						wrong = credential // It was used.
					}
					if _, err := s.connect(t, carrier, wrong, 1); err == nil {
						t.Error("bad: was admitted")
					}
				})
			}
		}
	}
}

func ticket(t *testing.T) string {
	t.Helper()
	desk := &usher.Tickets{Keys: []usher.Secret{usher.NewSecret(tokens.TicketKey)}}
	secret, _, err := desk.Make(&usher.Identity{Subject: "alice"}, tokens.Origin, "/chat")
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

func TestRevoke(t *testing.T) {
	dir := t.TempDir()
	signer, err := tokens.NewSigner("ES256", dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Token("alice")
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, options{mode: "guard", library: "gobwas", carrier: "query", algorithm: "ES256", dir: dir})
	c, err := s.connect(t, "query", token, 7)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.AwaitClose(func() error {
		if got := s.ask(t, "revoke alice"); got != "ok 7" {
			t.Errorf("got %q, want 7 revoked", got)
		}
		return nil
	})
	if err != nil || len(o.Latencies) != 7 {
		t.Errorf("got %d Close frames, %v, want 7", len(o.Latencies), err)
	}
	if got := s.ask(t, "goroutines"); !strings.HasPrefix(got, "ok ") {
		t.Errorf("got %q", got)
	}
	if got := s.ask(t, "dance"); !strings.HasPrefix(got, "error ") {
		t.Errorf("got %q for a command that there is not", got)
	}
}

func TestMakeTickets(t *testing.T) {
	s := begin(t, options{mode: "tickets"})
	if got := strings.Fields(s.ask(t, "make 20")); len(got) != 4 || got[0] != "ok" {
		t.Errorf("got %q, want three times", got)
	}
}
