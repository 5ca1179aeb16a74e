package apps_test

import (
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
