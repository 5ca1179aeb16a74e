package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
	"pgregory.net/rapid"
)

// Whatever two nodes do to the keys, in whatever pieces and however often they
// are told of it: each sees at once what it did itself, nothing that was removed
// comes back, nothing becomes older, and when all is told both have what is in
// the bucket.
func TestKeyMirrorsConverge(t *testing.T) {
	steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
		return step{
			Node: rapid.IntRange(0, 1).Draw(r, "node"),
			Do:   rapid.SampledFrom([]string{"create", "disable", "disable", "remove", "arrive", "again"}).Draw(r, "do"),
			Key:  rapid.IntRange(0, 5).Draw(r, "key"),
			Off:  rapid.Bool().Draw(r, "off"),
		}
	}), 1, 40)
	rapid.Check(t, func(r *rapid.T) {
		list := steps.Draw(r, "steps")
		var err error
		synctest.Test(t, func(t *testing.T) { err = converge(t, list) })
		if err != nil {
			r.Fatal(err)
		}
	})
}

func converge(t *testing.T, list []step) error {
	b := newTestBucket()
	h := &history{want: make(map[string]Key), seen: make(map[string]uint64)}
	for range 2 {
		w := &wireBucket{bucket: b}
		h.wires, h.nodes = append(h.wires, w), append(h.nodes, testKeys(t, w))
	}
	for i, s := range list {
		err := h.step(s)
		synctest.Wait() // All that is told of it waits on the wires now.
		if err == nil {
			err = h.checkOrder()
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	h.wires[0].arrive(1000)
	h.wires[1].arrive(1000)
	for i, node := range append(h.nodes, testKeys(t, b)) {
		if err := h.check(node); err != nil {
			return fmt.Errorf("node %d in the end: %w", i, err)
		}
	}
	return nil
}

// A step is something that happens on a node, to a key.
type step struct {
	Node int
	Do   string
	Key  int // Modulo those that there are. For "arrive": how much does; for "again": what.
	Off  bool
}

// A history is what happened to the keys, and what must come of it.
type history struct {
	wires []*wireBucket
	nodes []*Keys
	ids   []string
	texts []usher.Secret
	want  map[string]Key    // The keys that there are.
	seen  map[string]uint64 // The revision that a node has seen, by node and id.
}

func (h *history) step(s step) error {
	node, wire := h.nodes[s.Node], h.wires[s.Node]
	switch s.Do {
	case "arrive":
		wire.arrive(s.Key)
		return nil
	case "again":
		if len(wire.told) > 0 {
			wire.tell(wire.told[s.Key%len(wire.told)])
		}
		return nil
	}
	if s.Do == "create" || len(h.ids) == 0 {
		made, text, err := node.Create(context.Background(), Key{Disabled: s.Off})
		if err != nil {
			return err
		}
		h.ids, h.texts, h.want[made.ID] = append(h.ids, made.ID), append(h.texts, text), made
		return h.checkKey(node, len(h.ids)-1)
	}
	which := s.Key % len(h.ids)
	id := h.ids[which]
	one, there := h.want[id]
	switch s.Do {
	case "disable":
		one.Disabled = s.Off
		got, err := node.Disable(context.Background(), id, s.Off)
		if there && (err != nil || !cmp.Equal(got, one)) || !there && !errors.Is(err, ErrNoKey) {
			return fmt.Errorf("Disable: got %v, %w, want %v, there %t", got, err, one, there)
		}
		if there {
			h.want[id] = one
		}
	case "remove":
		delete(h.want, id)
		if err := node.Remove(context.Background(), id); there != (err == nil) {
			return fmt.Errorf("Remove of a key, there %t: got %w", there, err)
		}
	}
	return h.checkKey(node, which)
}

// checkOrder reports a node that knows less than before.
func (h *history) checkOrder() error {
	for i, node := range h.nodes {
		for _, id := range h.ids {
			name := fmt.Sprint(i, id)
			if now := node.mirror.entries[id].revision; now < h.seen[name] {
				return fmt.Errorf("node %d: got revision %d after %d", i, now, h.seen[name])
			}
			h.seen[name] = node.mirror.entries[id].revision
		}
		for which, id := range h.ids {
			e := node.mirror.entries[id]
			if _, err := node.Verify(h.texts[which]); e.removed && !errors.Is(err, ErrBadKey) {
				return fmt.Errorf("node %d: Verify of a removed key: got %w", i, err)
			}
		}
	}
	return nil
}

func (h *history) check(node *Keys) error {
	for i := range h.ids {
		if err := h.checkKey(node, i); err != nil {
			return err
		}
	}
	if got := len(node.List()); got != len(h.want) || node.mirror.live != len(h.want) {
		return fmt.Errorf("got %d keys and count %d, want %d", got, node.mirror.live, len(h.want))
	}
	return nil
}

func (h *history) checkKey(node *Keys, i int) error {
	want, there := h.want[h.ids[i]]
	got, ok := node.Find(h.ids[i])
	if ok != there || !cmp.Equal(got, want) {
		return fmt.Errorf("Find: got %v, %t, want %v, %t", got, ok, want, there)
	}
	if _, err := node.Verify(h.texts[i]); (err == nil) != (there && !want.Disabled) {
		return fmt.Errorf("Verify of %v, there %t: got %w", want, there, err)
	}
	return nil
}

// A node that was cut off hears of what is missing with the revision that it
// was last told of, which is lower than that of its own last change.
func TestKeyRemovedWhileCutOff(t *testing.T) {
	synctest.Test(t, removedWhileCutOff)
}

func removedWhileCutOff(t *testing.T) {
	w := &wireBucket{bucket: newTestBucket()}
	k := testKeys(t, w)
	made, text := create(t, k, Key{})
	synctest.Wait()
	w.arrive(1)
	for _, disabled := range []bool{true, false, true, false} {
		if _, err := k.Disable(t.Context(), made.ID, disabled); err != nil {
			t.Fatal(err)
		}
	}
	for _, revision := range []uint64{w.told[0].revision + 1, 0} {
		w.tell(entry{key: made.ID, revision: revision, removed: true})
		synctest.Wait()
		w.arrive(100) // Late, and older than the removal.
		if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) {
			t.Errorf("removed at revision %d: got %v, want ErrBadKey", revision, err)
		}
	}
}

// A key that only its maker knows of counts for a while, and then only once the
// bucket has told of it.
func TestKeyUnheard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wireBucket{bucket: newTestBucket()}
		k := testKeys(t, w)
		made, text := create(t, k, Key{})
		time.Sleep(unheardFor - time.Nanosecond)
		if _, err := k.Verify(text); err != nil {
			t.Errorf("at first: got %v, want nil", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) || len(k.List()) != 0 {
			t.Errorf("after %s: got %v and %d keys, want ErrBadKey and none", unheardFor, err, len(k.List()))
		}
		w.arrive(1)
		if _, err := k.Verify(text); err != nil || len(k.List()) != 1 {
			t.Errorf("when told: got %v and %d keys, want nil and 1", err, len(k.List()))
		}
		// It stays told of, also after changes that were not told yet.
		if _, err := k.Disable(t.Context(), made.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Disable(t.Context(), made.ID, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, err := k.Verify(text); err != nil {
			t.Errorf("an hour later: got %v, want nil", err)
		}
	})
}

// Removed keys take no more than their bound, and none of them comes back.
func TestKeysRemovedAreBounded(t *testing.T) {
	synctest.Test(t, removedAreBounded)
}

func removedAreBounded(t *testing.T) {
	w := &wireBucket{bucket: newTestBucket()}
	k := testKeys(t, w)
	for range maxGone + 50 {
		made, _ := create(t, k, Key{})
		if err := k.Remove(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(k.mirror.entries); got != maxGone {
		t.Errorf("got %d entries, want %d", got, maxGone)
	}
	synctest.Wait()
	w.arrive(1 << 20)
	if got := len(k.mirror.entries); got > maxGone || len(k.List()) != 0 || k.mirror.live != 0 {
		t.Errorf("when all is told: got %d entries, %d keys, count %d, want at most %d, none, 0",
			got, len(k.List()), k.mirror.live, maxGone)
	}
	if got := cap(k.mirror.removed); got > 2*maxGone {
		t.Errorf("got room for %d ids, want about %d", got, maxGone)
	}
}

// Another node changes a key while this one removes it: what is told of that
// change later, one thing at a time, does not bring the key back.
func TestKeyChangedWhileRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBucket()
		w := &wireBucket{bucket: b}
		k, other := testKeys(t, w), testKeys(t, b)
		made, text := create(t, k, Key{})
		w.before = func(call string) error {
			if call != "remove" {
				return nil
			}
			_, err := other.Disable(context.Background(), made.ID, true)
			synctest.Wait()
			if err == nil {
				_, err = other.Disable(context.Background(), made.ID, false)
			}
			synctest.Wait()
			return err
		}
		if err := k.Remove(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(w.waiting) < 3 {
			t.Fatalf("got %d changes, want those of both nodes", len(w.waiting))
		}
		for range w.waiting {
			w.arrive(1)
			if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) || len(k.List()) != 0 {
				t.Errorf("after %d changes: got %v and %d keys, want ErrBadKey and none", len(w.told), err, len(k.List()))
			}
		}
	})
}
