package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

type spendFunc func(ctx context.Context, id [16]byte, until time.Time) error

func (f spendFunc) Spend(ctx context.Context, id [16]byte, until time.Time) error {
	return f(ctx, id, until)
}

func TestTicketSpender(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want error
		not  error
	}{
		{"down", errors.New("connection refused"), usher.ErrUnavailable, usher.ErrSpent},
		{"slow", context.DeadlineExceeded, usher.ErrUnavailable, usher.ErrSpent},
		{"unrecognized is not passed on as such", fmt.Errorf("store: %w", errors.ErrUnsupported), usher.ErrUnavailable, usher.ErrUnrecognized},
		{"spent", fmt.Errorf("store: %w", usher.ErrSpent), usher.ErrSpent, usher.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tickets := &usher.Tickets{Spent: spendFunc(func(context.Context, [16]byte, time.Time) error { return tt.err })}
			c := presented(mustMakeTicket(t, tickets, ticketHolder()))
			wantTicketRefused(t, tickets, c, tt.want)
			if _, err := tickets.Verify(t.Context(), c); errors.Is(err, tt.not) {
				t.Errorf("Verify: got %v, want no %v", err, tt.not)
			}
		})
	}
	misfit := &usher.Tickets{Keys: []usher.Secret{usher.NewSecret("x")}}
	wantTicketRefused(t, misfit, presented(usher.NewSecret("x")), usher.ErrUnavailable)
}

// The spender is asked once a redemption, last, with the context of the
// request, an id of the ticket's own, and until a minute after its end.
func TestTicketSpends(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "here")
	seen := make(map[[16]byte]bool)
	var until time.Time
	calls := 0
	tickets := &usher.Tickets{Spent: spendFunc(func(ctx context.Context, id [16]byte, u time.Time) error {
		calls++
		seen[id], until = true, u
		if ctx.Value(key{}) != "here" {
			t.Error("context: got another, want that of Verify")
		}
		return nil
	})}
	for n := 1; n <= 3; n++ {
		ticket, expires, err := tickets.Make(ticketHolder(), ticketOrigin, ticketRoute)
		if err != nil {
			t.Fatalf("Make: got %v, want nil", err)
		}
		bad := presented(ticket)
		bad.Route = "/other"
		wantTicketRefused(t, tickets, bad, nil)
		if _, err := tickets.Verify(ctx, presented(ticket)); err != nil {
			t.Fatalf("Verify: got %v, want nil", err)
		}
		if calls != n || len(seen) != n {
			t.Errorf("Spend: got %d calls with %d ids, want %d", calls, len(seen), n)
		}
		if want := expires.Add(time.Minute); !until.Equal(want) {
			t.Errorf("until: got %v, want %v", until, want)
		}
	}
}

func BenchmarkTicket(b *testing.B) {
	identities := map[string]*usher.Identity{
		"subject": ticketHolder(),
		"claims": {
			Subject: "248289761001", Issuer: "https://login.example.com", Session: "08a5019c-17e1-4977-8f42-65a12843ea02",
			Token: "b5f2", Issued: time.Now(), Expires: time.Now().Add(time.Hour),
			Claims: usher.Claims{
				"iss": "https://login.example.com", "sub": "248289761001", "aud": "chat",
				"exp": json.Number("1893456000"), "iat": json.Number("1893452400"),
				"scope": "openid profile chat:read chat:write", "name": "Alice Example",
			},
		},
	}
	for name, id := range identities {
		b.Run(name, func(b *testing.B) {
			tickets := &usher.Tickets{Spent: &usher.MemorySpender{Max: 1 << 40}}
			b.ReportAllocs()
			for b.Loop() {
				ticket, _, err := tickets.Make(id, ticketOrigin, ticketRoute)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := tickets.Verify(context.Background(), presented(ticket)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
