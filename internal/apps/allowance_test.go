package apps_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
)

// Who has a key of an app cannot fill the room that there is for revocations, which
// is all of the site's.
func TestRevokeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		names := []string{"app", "second", "third"}
		for _, id := range names[1:] {
			key := &apps.Key{ID: "group", Secret: usher.NewSecret(secret), Permissions: permissions(t, `{"*":["*"]}`), Revocable: true}
			if err := w.registry.Set(&apps.App{ID: id, Keys: []*apps.Key{key}}); err != nil {
				t.Fatal(err)
			}
		}
		revoke := func(app string) (done int) {
			key := app + ".group"
			got, err := w.Revoke(t.Context(), key, &ably.RevokeRequest{Targets: slices.Repeat([]string{"clientId:me"}, ably.MaxTargets)}, w.grant(t, key+":"+secret))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range got.Results {
				switch {
				case r.Error == nil:
					done++
				case r.Error.Code != ably.RateLimited:
					t.Fatalf("got %v, want %d", r.Error, ably.RateLimited)
				}
			}
			return done
		}
		all := func() (done [3]int) {
			for i, app := range names {
				for range 101 {
					done[i] += revoke(app)
				}
			}
			return done
		}
		want := [3]int{10_000, 10_000, 0}
		if got := all(); got != want {
			t.Errorf("got %v taken back, want %v", got, want)
		}
		time.Sleep(24*time.Hour - time.Second)
		if got := revoke("third"); got != 0 {
			t.Errorf("got %d taken back within a day, want none", got)
		}
		time.Sleep(time.Second)
		if got := all(); got != want {
			t.Errorf("got %v taken back a day later, want %v", got, want)
		}
	})
}

// Who floods one app with token requests leaves room for those of others, and for
// the tickets of the site, which are spent in the same place.
func TestTokenRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.spender.Max = 30
		w.SetAsked(10, 15)
		for _, id := range []string{"second", "third"} {
			key := &apps.Key{ID: "full", Secret: usher.NewSecret(secret), Permissions: permissions(t, `{"*":["*"]}`)}
			if err := w.registry.Set(&apps.App{ID: id, Keys: []*apps.Key{key}}); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		ask := func(app, named string) (done int) {
			t.Helper()
			for range 40 {
				n++
				r := &ably.TokenRequest{KeyName: named, Timestamp: time.Now().UnixMilli(), Nonce: fmt.Sprintf("a nonce that is long enough %d", n)}
				r.Sign(secret)
				switch _, err := w.RequestToken(t.Context(), app+".full", r, nil); {
				case err == nil:
					done++
				case !coded(err, ably.RateLimited):
					t.Fatalf("got %v, want %d", err, ably.RateLimited)
				}
			}
			return done
		}
		first := ask("app", "app.full")
		if unnamed := ask("app", ""); first != 10 || unnamed != 0 {
			t.Errorf("got %d and %d answered, want 10 and none", first, unnamed)
		}
		second := ask("second", "second.full")
		if third := ask("third", "third.full"); second != 5 || third != 0 {
			t.Errorf("got %d and %d answered, want 5 and none", second, third)
		}
		for i := range 15 { // Tickets.
			if err := w.spender.Spend(t.Context(), [16]byte{1, byte(i)}, time.Now().Add(time.Minute)); err != nil {
				t.Errorf("got %v, want a ticket spent", err)
			}
		}
		time.Sleep(7 * time.Minute)
		if third := ask("third", "third.full"); third != 10 {
			t.Errorf("got %d answered when the others' are over, want 10", third)
		}
	})
	if most := 1 << 20; apps.AllAsked > most*6/10 { // What a spender remembers unless it is told.
		t.Errorf("got %d for all apps, want less than all of a spender", apps.AllAsked)
	}
}

// What is replayed takes nothing of the share.
func TestReplaysTakeNoRoom(t *testing.T) {
	w := newWorld(t)
	w.SetAsked(5, 5)
	r := signed(nil)
	for range 20 {
		if _, err := w.RequestToken(t.Context(), full, r, nil); err != nil && !coded(err, ably.NonceReplayed) {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		r := signed(func(r *ably.TokenRequest) { r.Nonce += fmt.Sprint("again", i) })
		if _, err := w.RequestToken(t.Context(), full, r, nil); err != nil {
			t.Error(err)
		}
	}
}
