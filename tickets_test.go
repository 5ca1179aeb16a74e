package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/usher-ws/usher"
)

const (
	ticketOrigin = "https://app.example.com"
	ticketRoute  = "/chat"
)

func ticketKeyOf(c byte) usher.Secret { return usher.NewSecret(strings.Repeat(string(c), 32)) }

func ticketHolder() *usher.Identity { return &usher.Identity{Subject: "alice"} }

// presented is the ticket as a request brings it, at the place it is for.
func presented(ticket usher.Secret) usher.Credential {
	return usher.Credential{
		Carrier: "ticket", Kind: usher.KindTicket, Secret: ticket,
		Origin: ticketOrigin, Route: ticketRoute,
	}
}

func mustMakeTicket(t testing.TB, tickets *usher.Tickets, id *usher.Identity) usher.Secret {
	t.Helper()
	ticket, _, err := tickets.Make(id, ticketOrigin, ticketRoute)
	if err != nil {
		t.Fatalf("Make: got %v, want nil", err)
	}
	return ticket
}

// wantTicketRefused checks that a ticket is refused, for the reason why if there is
// a sentinel for it.
func wantTicketRefused(t testing.TB, v usher.Verifier, c usher.Credential, why error) {
	t.Helper()
	id, err := v.Verify(context.Background(), c)
	if err == nil || id != nil {
		t.Fatalf("Verify: got %v and %v, want a refusal", id, err)
	}
	if why != nil && !errors.Is(err, why) {
		t.Errorf("Verify: got %v, want %v", err, why)
	}
	if text := c.Secret.Reveal(); len(text) > 8 && strings.Contains(err.Error(), text) {
		t.Error("Verify: the error has the ticket in it")
	}
}

func wantTicketAdmitted(t testing.TB, v usher.Verifier, c usher.Credential) *usher.Identity {
	t.Helper()
	id, err := v.Verify(context.Background(), c)
	if err != nil {
		t.Fatalf("Verify: got %v, want nil", err)
	}
	return id
}

func TestTicketCarriesIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		tests := []struct {
			name     string
			id, want usher.Identity
		}{
			{"subject only", usher.Identity{Subject: "alice"}, usher.Identity{Subject: "alice"}},
			{
				"all fields",
				usher.Identity{
					Subject: "alice", Issuer: "https://login.example.com", Session: "s1", Token: "t1",
					Issued: now.Add(-time.Minute), Expires: now.Add(time.Hour),
					Claims: usher.Claims{
						"sub": "alice", "n": json.Number("12345678901234567890"), "deep": []any{map[string]any{"x": nil}},
						"html": "<&>\u2028", "empty": "",
					},
				},
				usher.Identity{
					Subject: "alice", Issuer: "https://login.example.com", Session: "s1", Token: "t1",
					Issued: now.Add(-time.Minute), Expires: now.Add(time.Hour),
					Claims: usher.Claims{
						"sub": "alice", "n": json.Number("12345678901234567890"), "deep": []any{map[string]any{"x": nil}},
						"html": "<&>\u2028", "empty": "",
					},
				},
			},
			{
				"a deadline becomes an end",
				usher.Identity{Subject: "device", Expires: now.Add(time.Hour), Recheck: true},
				usher.Identity{Subject: "device", Issued: now, Expires: now.Add(time.Hour)},
			},
			{
				"numbers become JSON's",
				usher.Identity{Subject: "a", Claims: usher.Claims{"n": 7, "list": []string{"x"}}},
				usher.Identity{Subject: "a", Claims: usher.Claims{"n": json.Number("7"), "list": []any{"x"}}},
			},
			{
				"no claims are not nil",
				usher.Identity{Subject: "a", Claims: usher.Claims{}},
				usher.Identity{Subject: "a", Claims: usher.Claims{}},
			},
			{
				"texts that are not UTF-8",
				usher.Identity{Subject: "a\xff", Session: "\x00\xfe"},
				usher.Identity{Subject: "a\xff", Session: "\x00\xfe"},
			},
		}
		for _, tt := range tests {
			var tickets usher.Tickets
			got := wantTicketAdmitted(t, &tickets, presented(mustMakeTicket(t, &tickets, &tt.id)))
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("%s: identity (-want +got):\n%s", tt.name, diff)
			}
		}
	})
}

func TestTicketProperty(t *testing.T) {
	var tickets usher.Tickets
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, -1, 60)
		want := &usher.Identity{
			Subject: "s" + text.Draw(t, "subject"), Issuer: text.Draw(t, "issuer"),
			Session: text.Draw(t, "session"), Token: text.Draw(t, "token"),
			Expires: time.Now().Add(time.Hour).Truncate(time.Microsecond),
			Claims:  usher.Claims{text.Draw(t, "name"): text.Draw(t, "value")},
		}
		route := "/" + text.Draw(t, "route")
		origin := rapid.SampledFrom([]string{"", "https://a.example", "http://127.0.0.1:8080", "https://[::1]"}).Draw(t, "origin")
		ticket, _, err := tickets.Make(want, origin, route)
		if err != nil {
			t.Fatalf("Make: got %v, want nil", err)
		}
		c := usher.Credential{Kind: usher.KindTicket, Secret: ticket, Origin: origin, Route: route}
		got, err := tickets.Verify(context.Background(), c)
		if err != nil {
			t.Fatalf("Verify: got %v, want nil", err)
		}
		if !cmp.Equal(want, got) {
			t.Fatalf("identity: %s", cmp.Diff(want, got))
		}
		if _, err := tickets.Verify(context.Background(), c); !errors.Is(err, usher.ErrSpent) {
			t.Fatalf("second Verify: got %v, want ErrSpent", err)
		}
	})
}

func TestTicketMakeRefuses(t *testing.T) {
	expired := &usher.Identity{Subject: "alice", Expires: time.Now().Add(-time.Second)}
	large := &usher.Identity{Subject: "alice", Claims: usher.Claims{"x": strings.Repeat("x", usher.MaxToken)}}
	tests := []struct {
		name          string
		tickets       *usher.Tickets
		id            *usher.Identity
		origin, route string
		want          string
	}{
		{"no identity", &usher.Tickets{}, nil, ticketOrigin, ticketRoute, "no subject"},
		{"no subject", &usher.Tickets{}, &usher.Identity{}, ticketOrigin, ticketRoute, "no subject"},
		{"expired", &usher.Tickets{}, expired, ticketOrigin, ticketRoute, "credential expired"},
		{"too large", &usher.Tickets{}, large, ticketOrigin, ticketRoute, "too large for a ticket"},
		{"long route", &usher.Tickets{}, ticketHolder(), ticketOrigin, "/" + large.Claims.String("x"), "too large for a ticket"},
		{"no route", &usher.Tickets{}, ticketHolder(), ticketOrigin, "", "no route"},
		{"origin null", &usher.Tickets{}, ticketHolder(), "null", ticketRoute, "origin"},
		{"origin with path", &usher.Tickets{}, ticketHolder(), ticketOrigin + "/", ticketRoute, "origin"},
		{"origin with its own port", &usher.Tickets{}, ticketHolder(), ticketOrigin + ":443", ticketRoute, "origin"},
		{"claims not UTF-8", &usher.Tickets{}, &usher.Identity{Subject: "a", Claims: usher.Claims{"x": []any{"\xff"}}}, ticketOrigin, ticketRoute, "UTF-8"},
		{"claim names not UTF-8", &usher.Tickets{}, &usher.Identity{Subject: "a", Claims: usher.Claims{"\xff": 1}}, ticketOrigin, ticketRoute, "UTF-8"},
		{"claims not JSON", &usher.Tickets{}, &usher.Identity{Subject: "a", Claims: usher.Claims{"x": func() {}}}, ticketOrigin, ticketRoute, "encode claims"},
		{"key too short", &usher.Tickets{Keys: []usher.Secret{usher.NewSecret("short")}}, ticketHolder(), ticketOrigin, ticketRoute, "ticket key 1 has 5 bytes"},
		{"empty key", &usher.Tickets{Keys: []usher.Secret{ticketKeyOf('k'), {}}}, ticketHolder(), ticketOrigin, ticketRoute, "ticket key 2 has 0 bytes"},
		{"lifetime too short", &usher.Tickets{TTL: time.Millisecond}, ticketHolder(), ticketOrigin, ticketRoute, "ticket lifetime 1ms"},
		{"lifetime too long", &usher.Tickets{TTL: time.Hour}, ticketHolder(), ticketOrigin, ticketRoute, "ticket lifetime 1h0m0s"},
		{"lifetime negative", &usher.Tickets{TTL: -time.Second}, ticketHolder(), ticketOrigin, ticketRoute, "ticket lifetime -1s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ticket, expires, err := tt.tickets.Make(tt.id, tt.origin, tt.route)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Make: got error %v, want one with %q", err, tt.want)
			}
			if !ticket.Empty() || !expires.IsZero() {
				t.Errorf("Make: got %d characters and %v beside the error, want nothing", len(ticket.Reveal()), expires)
			}
			invalid := strings.Contains(tt.want, "ticket key") || strings.Contains(tt.want, "lifetime")
			if got := tt.tickets.Validate() != nil; got != invalid {
				t.Errorf("Validate is an error: got %v, want %v", got, invalid)
			}
		})
	}
}

// The largest identity that fits gives a ticket of at most MaxToken characters,
// which is redeemed.
func TestTicketLargest(t *testing.T) {
	var tickets usher.Tickets
	most, longest := 0, 0
	for n := 5500; n < 6200; n++ {
		id := &usher.Identity{Subject: strings.Repeat("s", n)}
		ticket, _, err := tickets.Make(id, ticketOrigin, ticketRoute)
		if err != nil {
			break
		}
		most, longest = n, len(ticket.Reveal())
		if longest > usher.MaxToken {
			t.Fatalf("ticket: got %d characters, want at most %d", longest, usher.MaxToken)
		}
	}
	if most == 0 || most == 6199 || longest < usher.MaxToken-2 {
		t.Fatalf("largest ticket: got %d characters for a subject of %d, want nearly %d", longest, most, usher.MaxToken)
	}
	wantTicketAdmitted(t, &tickets, presented(mustMakeTicket(t, &tickets, &usher.Identity{Subject: strings.Repeat("s", most)})))
}

func TestTicketExpires(t *testing.T) {
	tests := []struct {
		name         string
		ttl, ends    time.Duration // ends: of the identity, 0 for never.
		wantLifetime time.Duration
	}{
		{"default", 0, 0, 30 * time.Second},
		{"shortest", time.Second, 0, time.Second},
		{"longest", 10 * time.Minute, time.Hour, 10 * time.Minute},
		{"no longer than the identity", 30 * time.Second, 5 * time.Second, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tickets := &usher.Tickets{TTL: tt.ttl}
				id := ticketHolder()
				if tt.ends != 0 {
					id.Expires = time.Now().Add(tt.ends)
				}
				_, expires, err := tickets.Make(id, ticketOrigin, ticketRoute)
				if err != nil || time.Until(expires) != tt.wantLifetime {
					t.Fatalf("Make: got %v from now and %v, want %v", time.Until(expires), err, tt.wantLifetime)
				}
				first, last := mustMakeTicket(t, tickets, id), mustMakeTicket(t, tickets, id)
				time.Sleep(tt.wantLifetime - time.Microsecond)
				wantTicketAdmitted(t, tickets, presented(first))
				time.Sleep(time.Microsecond)
				wantTicketRefused(t, tickets, presented(last), usher.ErrExpired)
				// By now it is both; that it expired is said, and never again
				// that it is good.
				time.Sleep(2 * time.Minute)
				wantTicketRefused(t, tickets, presented(first), usher.ErrExpired)
			})
		})
	}
}

func TestTicketRace(t *testing.T) {
	var tickets usher.Tickets
	c := presented(mustMakeTicket(t, &tickets, ticketHolder()))
	const racers = 200
	var won atomic.Int32
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			<-start
			switch id, err := tickets.Verify(t.Context(), c); {
			case err == nil && id.Subject == "alice":
				won.Add(1)
			case !errors.Is(err, usher.ErrSpent):
				t.Errorf("Verify: got %v, want nil or ErrSpent", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if got := won.Load(); got != 1 {
		t.Errorf("%d racing redemptions: got %d that succeeded, want 1", racers, got)
	}
}

// A ticket that was made, and perhaps used, before a memory of used tickets
// began is refused; so is one of a process whose keys are gone.
func TestTicketAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := []usher.Secret{ticketKeyOf('k')}
		before := &usher.Tickets{Keys: keys}
		used, unused := mustMakeTicket(t, before, ticketHolder()), mustMakeTicket(t, before, ticketHolder())
		wantTicketAdmitted(t, before, presented(used))

		time.Sleep(time.Second)
		after := &usher.Tickets{Keys: keys}
		wantTicketRefused(t, after, presented(used), nil)
		wantTicketRefused(t, after, presented(unused), nil)
		wantTicketRefused(t, &usher.Tickets{}, presented(unused), usher.ErrUnrecognized)
		wantTicketAdmitted(t, after, presented(mustMakeTicket(t, after, ticketHolder())))

		// With a memory that outlives the process, the unused one is good.
		lasting := onlySpend{&usher.MemorySpender{}}
		first := &usher.Tickets{Keys: keys, Spent: lasting}
		used, unused = mustMakeTicket(t, first, ticketHolder()), mustMakeTicket(t, first, ticketHolder())
		wantTicketAdmitted(t, first, presented(used))
		time.Sleep(time.Second)
		second := &usher.Tickets{Keys: keys, Spent: lasting}
		wantTicketRefused(t, second, presented(used), usher.ErrSpent)
		wantTicketAdmitted(t, second, presented(unused))
	})
}

// onlySpend hides the method Since: a spender that remembers forever.
type onlySpend struct{ usher.Spender }

func TestTicketRotation(t *testing.T) {
	a, b, c := ticketKeyOf('a'), ticketKeyOf('b'), ticketKeyOf('c')
	tickets := &usher.Tickets{Keys: []usher.Secret{a}}
	ofA := mustMakeTicket(t, tickets, ticketHolder())
	if err := tickets.Rotate(b, a); err != nil {
		t.Fatalf("Rotate: got %v, want nil", err)
	}
	ofB, alsoB := mustMakeTicket(t, tickets, ticketHolder()), mustMakeTicket(t, tickets, ticketHolder())
	onlyA := &usher.Tickets{Keys: []usher.Secret{a}}
	wantTicketRefused(t, onlyA, presented(ofB), usher.ErrUnrecognized)
	wantTicketAdmitted(t, tickets, presented(ofA))
	wantTicketAdmitted(t, tickets, presented(ofB))

	for name, keys := range map[string][]usher.Secret{"none": nil, "a short one": {c, usher.NewSecret("x")}} {
		if err := tickets.Rotate(keys...); err == nil {
			t.Errorf("Rotate to %s: got nil, want an error", name)
		}
	}
	wantTicketAdmitted(t, tickets, presented(alsoB))

	late := mustMakeTicket(t, tickets, ticketHolder())
	if err := tickets.Rotate(c); err != nil {
		t.Fatalf("Rotate: got %v, want nil", err)
	}
	wantTicketRefused(t, tickets, presented(late), usher.ErrUnrecognized)
	wantTicketRefused(t, tickets, presented(ofA), usher.ErrUnrecognized)

	// Before the first use it decides too, and mends what Keys has wrong.
	fresh := &usher.Tickets{Keys: []usher.Secret{usher.NewSecret("x")}}
	if err := fresh.Rotate(c); err != nil {
		t.Fatalf("Rotate: got %v, want nil", err)
	}
	wantTicketAdmitted(t, fresh, presented(mustMakeTicket(t, fresh, ticketHolder())))
}

// Among several Tickets each takes its own.
func TestTicketsSideBySide(t *testing.T) {
	var a, b, stranger usher.Tickets
	both := usher.AnyOf(&a, &b)
	wantTicketAdmitted(t, both, presented(mustMakeTicket(t, &a, ticketHolder())))
	c := presented(mustMakeTicket(t, &b, ticketHolder()))
	wantTicketAdmitted(t, both, c)
	wantTicketRefused(t, both, c, usher.ErrSpent)
	wantTicketRefused(t, both, presented(mustMakeTicket(t, &stranger, ticketHolder())), usher.ErrUnrecognized)
}
