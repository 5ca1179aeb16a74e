package usher_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// closing is a refusal of an application's own.
func closing() *usher.Refusal {
	return &usher.Refusal{Status: http.StatusPaymentRequired, Code: 4999, Word: "unpaid", Cause: errors.New("no money")}
}

// TestVerifierRefuses has a verifier say itself what the client is told: by
// every way that it is asked.
func TestVerifierRefuses(t *testing.T) {
	refuse := no(closing())
	unless := usher.VerifierFunc(func(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
		if c.Secret.Reveal() == "unpaid" {
			return refuse(ctx)
		}
		return known.Verify(ctx, c)
	})
	message := masked(ws.NewTextFrame([]byte(`{"type":"auth","token":"unpaid"}`)))
	tests := []struct {
		name  string
		guard *usher.Guard
		lines []string
		sends []byte
	}{
		{"handshake", byBearer(only(refuse)), []string{authorized, "Origin: http://example.com"}, nil},
		{"first message", byMessage(unless), nil, message},
		{"late message", byMessage(unless), []string{"Authorization: Bearer alice-word"}, message},
		{"recheck", byBearer(&script{answers: fns(yes("alice", "test", time.Minute), refuse)}), []string{authorized}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, done := overPipe(t, tt.guard, idle, tt.lines...)
				p.status(http.StatusSwitchingProtocols)
				if tt.sends != nil {
					_, _ = p.Write(tt.sends)
				}
				p.closed(4999, "unpaid")
				<-done
			})
		})
	}
}

// only is a verifier that gives one answer.
func only(answer func(context.Context) (*usher.Identity, error)) usher.Verifier {
	return usher.VerifierFunc(func(ctx context.Context, _ usher.Credential) (*usher.Identity, error) { return answer(ctx) })
}

// TestRefusalShared: a verifier may return one *Refusal to many requests at
// once. It is nobody's to write to, and each request has its own carrier.
func TestRefusalShared(t *testing.T) {
	for _, id := range []string{"", "fixed-explain-id"} {
		shared := closing()
		shared.ID, shared.Carrier = id, "of the verifier's"
		before := *shared
		var mu sync.Mutex
		seen := make(map[string]string) // Explain ids, by carrier.
		g := &usher.Guard{
			Carriers: []usher.Carrier{usher.Query("", only(no(shared))), usher.Bearer(only(no(shared)))},
			Log:      quiet(),
			Observe: func(_ context.Context, e usher.Event) {
				mu.Lock()
				defer mu.Unlock()
				seen[e.Carrier] = e.Refusal.ID
			},
		}
		door := g.Handler(&witness{})
		var wg sync.WaitGroup
		for _, text := range []string{
			request("GET", "self.test", "/?access_token=x"), request("GET", "self.test", "/", authorized),
		} {
			wg.Go(func() {
				if rec := through(t, door, text); rec.Code != http.StatusPaymentRequired {
					t.Errorf("got status %d, want the verifier's", rec.Code)
				}
			})
		}
		wg.Wait()
		if *shared != before {
			t.Errorf("got %+v, want the verifier's refusal untouched", shared)
		}
		query, bearer := seen["query"], seen["bearer"]
		if query == "" || bearer == "" || (query == bearer) != (id != "") || id != "" && query != id {
			t.Errorf("got explain ids %v for the refusal's id %q", seen, id)
		}
	}
}

// TestRefusalCodes: what has no close code does not claim to have one.
func TestRefusalCodes(t *testing.T) {
	valid := func() *usher.Guard {
		return &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known)}, Hosts: []string{"self.test"}}
	}
	full := valid()
	full.Carriers = append(full.Carriers, usher.FirstMessage(known))
	full.Limits.PendingPerAddress = 1
	tests := []struct {
		name, text   string
		guard        *usher.Guard
		status, code int
		word         string
	}{
		{"host", upgrade("evil.example", "/"), valid(), 421, 0, "misdirected"},
		{"origin", upgrade("self.test", "/", "Origin: https://evil.example"), valid(), 403, 0, "origin"},
		{"version", strings.Replace(upgrade("self.test", "/"), "Version: 13", "Version: 8", 1), valid(), 426, 0, "version"},
		{"offer", upgrade("self.test", "/", "Sec-WebSocket-Protocol: a b"), valid(), 400, 0, "bad_handshake"},
		{"flood", upgrade("self.test", "/"), full, 429, usher.CloseTooMany, "too_many"},
		{"configuration", upgrade("self.test", "/"), &usher.Guard{Carriers: make([]usher.Carrier, 1)}, 500, usher.CloseFault, "fault"},
		{"credential", upgrade("self.test", "/"), valid(), 401, usher.CloseUnauthenticated, "unauthenticated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			book := &logbook{}
			tt.guard.Log = book.logger()
			refusals := make(chan *usher.Refusal, 1)
			tt.guard.Observe = func(_ context.Context, e usher.Event) { refusals <- e.Refusal }
			s := serve(t, tt.guard.Handler(&witness{}))
			if tt.guard == full {
				p := dial(t, s.addr, "")
				p.say(upgrade("self.test", "/"))
				p.status(http.StatusSwitchingProtocols)
			}
			if res, _ := exchange(t, s.addr, tt.text); res.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", res.StatusCode, tt.status)
			}
			if why := <-refusals; why.Code != tt.code || why.Word != tt.word || why.Status != tt.status {
				t.Errorf("got %d %d %q, want %d %d %q", why.Status, why.Code, why.Word, tt.status, tt.code, tt.word)
			}
			if got := strings.Contains(book.String(), "code="); got != (tt.code != 0) {
				t.Errorf("got a close code in the log: %t, want %t:\n%s", got, tt.code != 0, book)
			}
		})
	}
}

// TestRefuseWithoutCode: a refusal that has no close code is told by its
// status, to a page too. Where a frame is all that is left it is a fault.
func TestRefuseWithoutCode(t *testing.T) {
	bare := &usher.Refusal{Word: "odd"}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { usher.Refuse(w, r, bare) })
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known)}}, h)
	for name, text := range map[string]string{
		"page":  upgrade("self.test", "/", "Origin: "+ownOrigin, "Authorization: Bearer alice-word"),
		"plain": request("GET", "self.test", "/", "Authorization: Bearer alice-word"),
	} {
		t.Run(name, func(t *testing.T) {
			if res, body := exchange(t, s.addr, text); res.StatusCode != http.StatusInternalServerError || !strings.Contains(body, `"odd"`) {
				t.Errorf("got status %d %q, want 500 and the word", res.StatusCode, body)
			}
		})
	}
	t.Run("first message", func(t *testing.T) {
		introduce(t, guard(t, byMessage(known), h)).closed(usher.CloseFault, "odd")
	})
	t.Run("End", func(t *testing.T) {
		s := guard(t, byBearer(known), takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			if !usher.End(r.Context(), bare) {
				t.Error("got no connection to end")
			}
			_ = untilEnd(c)
		}))
		p := dial(t, s.addr, "")
		p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseFault, "odd")
	})
	if bare.ID != "" || bare.Status != 0 {
		t.Errorf("got %+v, want the handler's refusal untouched", bare)
	}
}

// TestRefuseWithoutGuard: that nobody stands in front is a fault of the server,
// which no credential would mend.
func TestRefuseWithoutGuard(t *testing.T) {
	for name, err := range map[string]error{"FromContext": nil, "ErrForbidden": usher.ErrForbidden} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
			want := http.StatusForbidden
			if err == nil {
				_, err = usher.FromContext(r.Context())
				want = http.StatusInternalServerError
			}
			rec := httptest.NewRecorder()
			usher.Refuse(rec, r, err)
			if rec.Code != want || rec.Header().Get("Www-Authenticate") != "" {
				t.Errorf("got status %d and challenge %q, want %d and none", rec.Code, rec.Header().Get("Www-Authenticate"), want)
			}
		})
	}
}

// TestEndAfterTheEnd: a connection can be ended once, and not by who comes too
// late, whoever closed it.
func TestEndAfterTheEnd(t *testing.T) {
	closed := make(chan struct{})
	s := guard(t, byBearer(known), takeover(func(r *http.Request, c net.Conn) {
		defer close(closed)
		c.Close()
		if usher.End(r.Context(), usher.ErrForbidden) {
			t.Error("got a connection to end after its handler has closed it")
		}
	}))
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
	p.status(http.StatusSwitchingProtocols)
	<-closed
	if usher.End(t.Context(), usher.ErrForbidden) {
		t.Error("got a connection to end in a context that has none")
	}
	if usher.End(usher.NewContext(t.Context(), &usher.Identity{Subject: "alice"}), usher.ErrForbidden) {
		t.Error("got a connection to end in the context of a test")
	}
}
