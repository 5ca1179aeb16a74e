package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// Whoever has a token can revoke it: again and again it takes the room of one, and
// with others at most half of all. Each time it is told.
func TestTokenRevocationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := Open(t.Context(), Options{Memory: true, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		stop, err := e.Subscribe(t.Context(), func(usher.Notice) int { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		issued := time.Now()
		revoke := func(r usher.Revocation) error {
			_, err := e.Publish(t.Context(), usher.Notice{Revocation: &r, Made: time.Now(), Until: time.Now().Add(time.Hour)})
			synctest.Wait()
			return err
		}
		for n := range 10 {
			time.Sleep(time.Millisecond)
			if err := revoke(usher.Revocation{Token: "t1", Issuer: "ours", IssuedBefore: issued}); err != nil {
				t.Errorf("time %d: got %v, want nil", n, err)
			}
		}
		if all, tokens := e.known.Load(), e.knownTokens.Load(); all != 1 || tokens != 1 {
			t.Errorf("got %d kept, %d of tokens, want 1 of 10 that are the same", all, tokens)
		}
		for i, r := range []usher.Revocation{
			{Token: "t2", Issuer: "ours", IssuedBefore: issued},
			{Token: "t1", Issuer: "theirs", IssuedBefore: issued},
			{Token: "t1", Issuer: "ours", IssuedBefore: issued.Add(1)},
			{Token: "t1", Issuer: "ours", IssuedBefore: issued, Applies: issued.Add(time.Minute)},
			{Subject: "t1", IssuedBefore: issued},
		} {
			if err := revoke(r); err != nil {
				t.Fatal(err)
			}
			if n := e.known.Load(); n != int64(i+2) {
				t.Errorf("%+v: got %d kept, want one more for what is another", r, n)
			}
		}
		e.knownTokens.Store(maxTokenRevocations)
		if err := revoke(usher.Revocation{Token: "t3", IssuedBefore: issued}); !errors.Is(err, errFull) {
			t.Errorf("another token: got %v, want errFull", err)
		}
		for _, r := range []usher.Revocation{{Subject: "alice"}, {Session: "s1"}, {Issuer: "ours"}} {
			if err := revoke(r); err != nil {
				t.Errorf("%s: got %v, want room where tokens have none", fmt.Sprint(r.Subject, r.Session, r.Issuer), err)
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if all, tokens := e.known.Load(), e.knownTokens.Load(); all != 0 || tokens != 0 {
			t.Errorf("at the end: got %d kept, %d of tokens, want none", all, tokens)
		}
	})
}
