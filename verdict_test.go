package usher_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// TestVerdicts: whatever a verifier does that is not a clear yes is a no, as a
// status to clients that can read one and as a Close to pages.
func TestVerdicts(t *testing.T) {
	yes := &usher.Identity{Subject: "alice"}
	tests := []struct {
		name   string
		id     *usher.Identity
		err    error
		status int
		code   int
		word   string
	}{
		{"nil, nil", nil, nil, 401, 4401, "unauthenticated"},
		{"no subject", &usher.Identity{Issuer: "x"}, nil, 401, 4401, "unauthenticated"},
		{"expired identity", &usher.Identity{Subject: "alice", Expires: time.Now().Add(-time.Second)}, nil, 401, 4401, "expired"},
		{"an identity from long ago", &usher.Identity{Subject: "alice", Expires: time.Unix(0, 0)}, nil, 401, 4401, "expired"},
		{"an error beside an identity", yes, errors.New("surprise"), 401, 4401, "unauthenticated"},
		{"unexpected error", nil, errors.New("surprise"), 401, 4401, "unauthenticated"},
		{"unrecognized", nil, usher.ErrUnrecognized, 401, 4401, "unauthenticated"},
		{"expired", nil, fmt.Errorf("check: %w", usher.ErrExpired), 401, 4401, "expired"},
		{"forbidden", nil, fmt.Errorf("check: %w", usher.ErrForbidden), 403, 4403, "forbidden"},
		{"unavailable", nil, fmt.Errorf("check: %w", usher.ErrUnavailable), 503, 4503, "unavailable"},
		{"deadline", nil, context.DeadlineExceeded, 503, 4503, "unavailable"},
		{"canceled", nil, context.Canceled, 503, 4503, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verifier := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
				return tt.id, tt.err
			})
			tryVerdict(t, verifier, patience, tt.status, tt.code, tt.word)
		})
	}
	t.Run("hangs until its time is over", func(t *testing.T) {
		began := time.Now()
		tryVerdict(t, usher.VerifierFunc(func(ctx context.Context, _ usher.Credential) (*usher.Identity, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), 50*time.Millisecond, 503, 4503, "unavailable")
		if took := time.Since(began); took > patience/2 {
			t.Errorf("got three answers in %v, want each after 50 ms", took)
		}
	})
}

// tryVerdict asserts what the Guard makes of a verifier's answer: to a client
// that is no browser, to a page, and to a page that sends a first message. The
// verifier may take for as long as limit.
func tryVerdict(t *testing.T, v usher.Verifier, limit time.Duration, status, code int, word string) {
	t.Helper()
	h := &witness{}
	limits := usher.Limits{Verify: limit}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Query("", v)}, Limits: limits}, h)
	for _, text := range []string{upgrade("self.test", "/?access_token=x"), request("GET", "self.test", "/?access_token=x")} {
		if res, body := exchange(t, s.addr, text); res.StatusCode != status {
			t.Errorf("got status %d %q, want %d", res.StatusCode, body, status)
		}
	}
	p := dial(t, s.addr, "")
	p.say(upgrade("self.test", "/?access_token=x", "Origin: "+ownOrigin))
	p.status(http.StatusSwitchingProtocols)
	p.closed(code, word)

	s = guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.FirstMessage(v)}, Limits: limits}, h)
	p = dial(t, s.addr, "")
	p.say(upgrade("self.test", "/"))
	p.status(http.StatusSwitchingProtocols)
	p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"x"}`))
	p.closed(code, word)
	h.sawNobody(t)
}

// TestVerifierPanics: nobody is admitted, and the client is not left waiting.
func TestVerifierPanics(t *testing.T) {
	h := &witness{}
	v := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) { panic("verifier") })
	s := guard(t, &usher.Guard{
		Carriers: []usher.Carrier{usher.Query("", v), usher.FirstMessage(v)},
		Limits:   usher.Limits{Pending: 1, PendingPerAddress: 1},
	}, h)
	for _, origin := range []string{"", "Origin: " + ownOrigin} {
		p := dial(t, s.addr, "")
		text := upgrade("self.test", "/?access_token=x")
		if origin != "" {
			text = upgrade("self.test", "/?access_token=x", origin)
		}
		p.say(text)
		if b, err := p.rd.ReadByte(); err == nil {
			t.Errorf("got %q, want the connection to end", b)
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection was left open")
		}
	}
	for range 2 { // The second shows that the first gave its place back.
		p := dial(t, s.addr, "")
		p.say(upgrade("self.test", "/"))
		p.status(http.StatusSwitchingProtocols)
		p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"x"}`))
		for {
			_, err := p.rd.ReadByte()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("the connection was left open")
			}
			if err != nil {
				break
			}
		}
	}
	h.sawNobody(t)
}
