package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

// A change that was made here is seen here, though the bucket has not told yet.
func TestKeyChangeIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, changeIsSeenAtOnce)
}

func changeIsSeenAtOnce(t *testing.T) {
	b := newTestBucket()
	k := testKeys(t, &wireBucket{bucket: b})
	other := testKeys(t, b)
	made, text := create(t, k, Key{May: []string{MayExplain}})
	if _, err := k.Verify(text); err != nil {
		t.Errorf("after Create: got %v, want nil", err)
	}
	for _, disabled := range []bool{true, true, false, false, true} {
		got, err := k.Disable(t.Context(), made.ID, disabled)
		want := made
		want.Disabled = disabled
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("Disable(%t): got %v, %v, want %v", disabled, got, err, want)
		}
		synctest.Wait() // For the other node.
		for name, node := range map[string]*Keys{"this": k, "another": other} {
			_, err := node.Verify(text)
			if disabled != errors.Is(err, ErrBadKey) || disabled && !strings.Contains(err.Error(), "disabled") {
				t.Errorf("Verify on %s node after Disable(%t): got %v", name, disabled, err)
			}
		}
	}
	if _, err := k.Disable(t.Context(), made.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := k.Remove(t.Context(), made.ID); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	synctest.Wait()
	for name, node := range map[string]*Keys{"this": k, "another": other} {
		if _, err := node.Verify(text); !errors.Is(err, ErrBadKey) {
			t.Errorf("Verify on %s node after Remove: got %v, want ErrBadKey", name, err)
		}
		if _, ok := node.Find(made.ID); ok || len(node.List()) != 0 {
			t.Errorf("on %s node after Remove: got the key, want none", name)
		}
	}
}

func TestNoKey(t *testing.T) {
	k := testKeys(t, newTestBucket())
	removed, _ := create(t, k, Key{})
	if err := k.Remove(t.Context(), removed.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", removed.ID, "aaaaaaaaaaaa", "AAAAAAAAAAAA", "*", "a.>", strings.Repeat("a", 1<<20)} {
		if _, err := k.Disable(t.Context(), id, true); !errors.Is(err, ErrNoKey) || len(err.Error()) > 100 {
			t.Errorf("Disable(%.20q): got %v, want ErrNoKey", id, err)
		}
		if err := k.Remove(t.Context(), id); !errors.Is(err, ErrNoKey) || len(err.Error()) > 100 {
			t.Errorf("Remove(%.20q): got %v, want ErrNoKey", id, err)
		}
		if _, ok := k.Find(id); ok {
			t.Errorf("Find(%.20q): got a key, want none", id)
		}
	}
}

// Nodes that enable, disable and remove the same key at once: each call succeeds
// or says that there is no such key, and all nodes end with the same.
func TestKeyRaces(t *testing.T) {
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) { keyRace(t, round%2 == 1) })
	}
}

func keyRace(t *testing.T, removes bool) {
	b := newTestBucket()
	nodes := []*Keys{testKeys(t, b), testKeys(t, b)}
	made, text := create(t, nodes[0], Key{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			_, err := nodes[i%2].Disable(t.Context(), made.ID, i/2%2 == 0)
			if err != nil && (!removes || !errors.Is(err, ErrNoKey)) {
				t.Errorf("Disable: got %v, want nil", err)
			}
		})
	}
	if removes {
		group.Go(func() {
			if err := nodes[0].Remove(t.Context(), made.ID); err != nil {
				t.Errorf("Remove: got %v, want nil", err)
			}
			if _, err := nodes[0].Verify(text); !errors.Is(err, ErrBadKey) {
				t.Errorf("Verify after Remove: got %v, want ErrBadKey", err)
			}
		})
	}
	group.Wait()
	synctest.Wait()
	want := testKeys(t, b).List()
	for i, node := range nodes {
		if got := node.List(); !cmp.Equal(got, want) {
			t.Errorf("node %d: got %v, want %v as in the bucket", i, got, want)
		}
	}
	if removes != (len(want) == 0) {
		t.Errorf("got %d keys, removed %t", len(want), removes)
	}
}

// The loser of a race looks again, and what it did not mean to change stays as
// the winner made it.
func TestKeyDisableAgain(t *testing.T) {
	b := newTestBucket()
	w := &wireBucket{bucket: b}
	k, other := testKeys(t, w), testKeys(t, b)
	made, text := create(t, k, Key{})
	races := 3
	w.before = func(call string) error {
		if call == "update" && races > 0 {
			races--
			for _, disabled := range []bool{true, false} {
				if _, err := other.Disable(context.Background(), made.ID, disabled); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if _, err := k.Disable(t.Context(), made.ID, true); err != nil {
		t.Fatalf("Disable: got %v, want nil", err)
	}
	if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) {
		t.Errorf("Verify: got %v, want ErrBadKey", err)
	}
	// Against one that is always faster it gives up.
	races = 1 << 30
	if _, err := k.Disable(t.Context(), made.ID, true); err != nil {
		t.Errorf("Disable of a disabled key: got %v, want nil", err)
	}
	if _, err := k.Disable(t.Context(), made.ID, false); err != nil && !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("Disable: got %v, want ErrUnavailable", err)
	}
	races = 0
	w.before = func(call string) error {
		if call == "update" {
			return other.Remove(context.Background(), made.ID)
		}
		return nil
	}
	if _, err := k.Disable(t.Context(), made.ID, true); !errors.Is(err, ErrNoKey) {
		t.Errorf("Disable of a key that goes: got %v, want ErrNoKey", err)
	}
}

// A store that is full, gone, or goes while it is asked.
func TestKeyStoreFails(t *testing.T) {
	tests := []struct {
		name string
		// The calls that fail before they have an effect, and after.
		before, after string
		left          int // Keys in the bucket after Create.
	}{
		{"create does nothing", "create", "", 0},
		{"create's answer is lost", "", "create", 0},
		{"all fails", "create remove", "", 0},
		{"create's answer is lost, then the store", "remove", "create", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestBucket()
				w := &wireBucket{bucket: b}
				k := testKeys(t, w)
				ctx, cancel := context.WithCancel(t.Context())
				fails := func(calls string) func(string) error {
					return func(call string) error {
						if slices.Contains(strings.Fields(calls), call) {
							cancel() // What is left to do does not hang on the caller's time.
							return errWire
						}
						return nil
					}
				}
				w.before, w.after = fails(tt.before), fails(tt.after)
				made, text, err := k.Create(ctx, Key{})
				if !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, errWire) {
					t.Errorf("got error %v, want ErrUnavailable and its cause", err)
				}
				if made.ID != "" || !text.Empty() {
					t.Errorf("got key %v, want none", made)
				}
				synctest.Wait()
				w.arrive(100)
				if got := len(testKeys(t, b).List()); got != tt.left {
					t.Errorf("got %d keys in the bucket, want %d", got, tt.left)
				}
				if got := len(k.List()); got != tt.left {
					t.Errorf("got %d keys on the node, want %d", got, tt.left)
				}
			})
		})
	}
}

// A bucket that takes no more is an error, and makes no key.
func TestKeyStoreFull(t *testing.T) {
	b := newMemoryBucket(1024)
	k := testKeys(t, b)
	made := 0
	var err error
	for err == nil && made < 100 {
		var text usher.Secret
		if _, text, err = k.Create(t.Context(), Key{}); err == nil {
			made++
		} else if !text.Empty() {
			t.Error("got a text with the error, want none")
		}
	}
	if !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, errFull) || made == 0 {
		t.Errorf("got %v after %d keys, want ErrUnavailable and errFull", err, made)
	}
	if got, want := len(testKeys(t, b).List()), made; got != want || len(k.List()) != want {
		t.Errorf("got %d keys, and %d here, want %d", got, len(k.List()), want)
	}
	first := k.List()[0].ID
	if err := k.Remove(t.Context(), first); err != nil {
		t.Errorf("Remove: got %v, want nil", err)
	}
	if _, _, err := k.Create(t.Context(), Key{}); err != nil {
		t.Errorf("Create after Remove: got %v, want nil", err)
	}
}

func TestKeyChangeFails(t *testing.T) {
	for _, fails := range []string{"get", "update", "remove"} {
		t.Run(fails, func(t *testing.T) {
			w := &wireBucket{bucket: newTestBucket()}
			k := testKeys(t, w)
			made, text := create(t, k, Key{})
			w.before = func(call string) error {
				if call == fails {
					return fmt.Errorf("%w: cut off", usher.ErrUnavailable)
				}
				return nil
			}
			if _, err := k.Disable(t.Context(), made.ID, true); (fails != "remove") != errors.Is(err, usher.ErrUnavailable) {
				t.Errorf("Disable: got %v", err)
			}
			w.before = nil
			if _, err := k.Disable(t.Context(), made.ID, false); err != nil {
				t.Fatal(err)
			}
			w.before = func(call string) error {
				if call == fails {
					return errWire
				}
				return nil
			}
			if err := k.Remove(t.Context(), made.ID); (fails != "update") != errors.Is(err, usher.ErrUnavailable) {
				t.Errorf("Remove: got %v", err)
			}
			if _, err := k.Verify(text); (fails == "update") != errors.Is(err, ErrBadKey) {
				t.Errorf("Verify: got %v", err)
			}
		})
	}
}

func TestKeyBound(t *testing.T) {
	b := newTestBucket()
	k := testKeys(t, b)
	var first Key
	for i := range MaxKeys {
		made, _ := create(t, k, Key{})
		if i == 0 {
			first = made
		}
	}
	for name, node := range map[string]*Keys{"this": k, "later": testKeys(t, b)} {
		if _, _, err := node.Create(t.Context(), Key{}); err == nil || !strings.Contains(err.Error(), "10000 keys") {
			t.Errorf("Create on %s node at the bound: got %v, want an error that says so", name, err)
		}
	}
	if err := k.Remove(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	// Of those that race for one place, one gets it.
	var group sync.WaitGroup
	won := make(chan Key, 10)
	for range 10 {
		group.Go(func() {
			if made, _, err := k.Create(context.Background(), Key{}); err == nil {
				won <- made
			}
		})
	}
	group.Wait()
	if len(won) != 1 || len(k.List()) != MaxKeys {
		t.Errorf("got %d new keys and %d in all, want 1 and %d", len(won), len(k.List()), MaxKeys)
	}
}

func TestKeyStoreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wireBucket{bucket: newTestBucket()}
		k := testKeys(t, w)
		made, text := create(t, k, Key{})
		if _, err := k.Disable(t.Context(), made.ID, false); err != nil {
			t.Fatal(err)
		}
		w.lose()
		if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) {
			t.Errorf("Verify of a key that is lost: got %v, want ErrBadKey", err)
		}
		if _, ok := k.Find(made.ID); ok || len(k.List()) != 0 {
			t.Errorf("got the key that is lost, want none")
		}
		// Revisions begin anew, and so do the keys.
		made, text = create(t, k, Key{})
		if _, err := k.Disable(t.Context(), made.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) || len(k.List()) != 1 {
			t.Errorf("Verify of a new key that was disabled: got %v and %d keys, want ErrBadKey and 1", err, len(k.List()))
		}
		// It is lost after the key was written and before Create returns.
		w.after = func(call string) error {
			if call == "create" || call == "update" {
				w.lose()
			}
			return nil
		}
		if _, text, err := k.Create(t.Context(), Key{}); !errors.Is(err, usher.ErrUnavailable) || !text.Empty() {
			t.Errorf("Create: got %v, want ErrUnavailable", err)
		}
		if got := len(k.List()); got != 0 {
			t.Errorf("got %d keys, want none", got)
		}
	})
}
