package usher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Private, as all below: synctest sees goroutines that wait for a turn, but
// not ones that compute, so the turns are taken without a hash.
func TestHtpasswdTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Htpasswd{MaxConcurrent: 2}
		var leaves []func()
		for range 2 {
			leave, err := h.enter(t.Context(), false)
			if err != nil {
				t.Fatalf("enter: got %v, want nil", err)
			}
			leaves = append(leaves, leave)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.enter(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("enter with all turns taken: got %v, want the context's error", err)
		}
		entered := make(chan error)
		go func() {
			leave, err := h.enter(t.Context(), false)
			if err == nil {
				leave()
			}
			entered <- err
		}()
		synctest.Wait()
		leaves[0]()
		if err := <-entered; err != nil {
			t.Errorf("enter after a turn was given back: got %v, want nil", err)
		}
		leaves[1]()
		if got := h.waiting.Load(); got != 0 {
			t.Errorf("got %d waiting at the end, want 0", got)
		}
	})
}

func TestHtpasswdTurnsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Htpasswd{MaxConcurrent: 1}
		leave, err := h.enter(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range maxPasswordsWaiting {
			all.Go(func() {
				if _, err := h.enter(ctx, false); !errors.Is(err, context.Canceled) {
					t.Errorf("enter: got %v, want to wait until the context ends", err)
				}
			})
		}
		synctest.Wait()
		if _, err := h.enter(t.Context(), false); err == nil {
			t.Error("enter beyond the bound: got nil, want an error")
		}
		cancel()
		all.Wait()
		leave()
		if leave, err = h.enter(t.Context(), false); err != nil {
			t.Fatalf("enter afterwards: got %v, want nil", err)
		}
		leave()
	})
}

// A name that is not in the file has always the same decoy, and different names
// have different ones, or the time of a file with hashes of two costs tells.
func TestHtpasswdDecoys(t *testing.T) {
	const salted = "$argon2id$v=19$m=%d,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\n"
	f, err := parseHtpasswd([]byte(fmt.Sprintf("a:"+salted+"b:"+salted, 8, 16)))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[passwordHash]bool)
	for i := range 100 {
		name := strings.Repeat("x", i)
		hash, known := f.find(name)
		again, _ := f.find(name)
		if known || hash == nil || hash != again {
			t.Fatalf("find: got %v, known %v, and then %v; want one decoy", hash, known, again)
		}
		seen[hash] = true
	}
	if len(seen) != 2 {
		t.Errorf("got %d decoys for 100 names, want both", len(seen))
	}
}

// A flood of wrong passwords takes all the turns of the door; who is inside is
// asked about again all the same.
func TestHtpasswdRecheckTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Htpasswd{MaxConcurrent: 1}
		leave, err := h.enter(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		again, err := h.enter(ctx, true)
		if err != nil {
			t.Fatalf("second question while the door's turns are taken: got %v, want nil", err)
		}
		defer again()
		if _, err := h.enter(ctx, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more of them: got %v, want the context's error", err)
		}
	})
}
