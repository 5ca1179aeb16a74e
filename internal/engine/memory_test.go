package engine

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryBucketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemoryBucket(memoryBytes)
		defer b.close()
		told := make(chan string, 100)
		heard := func() (all []string) {
			synctest.Wait()
			for len(told) > 0 {
				all = append(all, <-told)
			}
			return all
		}
		stop, err := b.watch(t.Context(), func(e entry) { told <- fmt.Sprint(e.key, " ", e.removed) })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		for i, ttl := range []time.Duration{3 * time.Second, time.Second, 0, 2 * time.Second} {
			if _, err := b.create(t.Context(), fmt.Sprint("k", i), nil, ttl); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.create(t.Context(), "k1", nil, 0); !errors.Is(err, errExists) {
			t.Errorf("got %v, want errExists", err)
		}
		heard()
		time.Sleep(1500 * time.Millisecond)
		if got := fmt.Sprint(heard()); got != "[k1 true]" {
			t.Errorf("after 1.5 s: got told of %s, want of the end of k1", got)
		}
		if _, err := b.get(t.Context(), "k1"); !errors.Is(err, errNotFound) {
			t.Errorf("got %v, want errNotFound", err)
		}
		if _, err := b.create(t.Context(), "k1", nil, 0); err != nil {
			t.Errorf("create it again: got %v, want nil", err)
		}
		time.Sleep(time.Hour)
		if got := fmt.Sprint(heard()); got != "[k1 false k3 true k0 true]" {
			t.Errorf("at the end: got told of %s", got)
		}
		if len(b.entries) != 2 || b.bytes != 2*(2+256) || len(b.ends) != 0 {
			t.Errorf("got %d entries of %d bytes, and %d that will end; want 2 of 516, and 0", len(b.entries), b.bytes, len(b.ends))
		}
	})
}

func TestMemoryBucketFull(t *testing.T) {
	b := newMemoryBucket(3 * (256 + 4))
	defer b.close()
	var revision uint64
	for i := range 3 {
		var err error
		if revision, err = b.create(t.Context(), fmt.Sprint("k", i), []byte("xx"), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.create(t.Context(), "k3", nil, 0); !errors.Is(err, errFull) {
		t.Errorf("one more: got %v, want errFull", err)
	}
	if _, err := b.update(t.Context(), "k2", []byte("xxx"), revision, 0); !errors.Is(err, errFull) {
		t.Errorf("a longer one: got %v, want errFull", err)
	}
	if _, err := b.update(t.Context(), "k2", []byte("yy"), revision, 0); err != nil {
		t.Errorf("another of the same length: got %v, want nil", err)
	}
	if _, err := b.update(t.Context(), "k2", []byte("zz"), revision, 0); !errors.Is(err, errConflict) {
		t.Errorf("at an old revision: got %v, want errConflict", err)
	}
	if err := b.remove(t.Context(), "k0", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.create(t.Context(), "k3", nil, 0); err != nil {
		t.Errorf("after a removal: got %v, want nil", err)
	}
	if _, err := b.create(t.Context(), "k4", make([]byte, maxValue+1), 0); !errors.Is(err, errTooLong) {
		t.Errorf("a value that is too long: got %v, want errTooLong", err)
	}
}

// An entry that is updated again and again leaves nothing behind.
func TestMemoryBucketUpdatedOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemoryBucket(memoryBytes)
		defer b.close()
		revision, err := b.create(t.Context(), "k", nil, time.Hour)
		for range 10_000 {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			revision, err = b.update(t.Context(), "k", nil, revision, time.Hour)
		}
		b.mu.Lock()
		n := len(b.ends)
		b.mu.Unlock()
		if n > 100 {
			t.Errorf("got %d ends of one entry, want old ones forgotten", n)
		}
		time.Sleep(time.Hour - time.Second)
		if _, err := b.get(t.Context(), "k"); err != nil {
			t.Errorf("before its end: got %v, want nil", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := b.get(t.Context(), "k"); !errors.Is(err, errNotFound) {
			t.Errorf("after its end: got %v, want errNotFound", err)
		}
	})
}

// A watcher that takes long hears of each key's newest state, and holds no more.
func TestMemoryWatcherSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newMemoryBucket(memoryBytes)
		defer b.close()
		told := make(map[string]uint64)
		calls := 0
		stop, err := b.watch(t.Context(), func(e entry) {
			time.Sleep(time.Second)
			calls++
			if e.revision <= told[e.key] {
				t.Errorf("%s: told of revision %d after %d", e.key, e.revision, told[e.key])
			}
			told[e.key] = e.revision
		})
		if err != nil {
			t.Fatal(err)
		}
		var last uint64
		for i := range 100 {
			key := fmt.Sprint("k", i%4)
			if err := b.remove(t.Context(), key, 0); err != nil {
				t.Fatal(err)
			}
			if last, err = b.create(t.Context(), key, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		stop()
		if told["k3"] != last || calls > 8 {
			t.Errorf("got revision %d by %d calls, want %d by 8 at most", told["k3"], calls, last)
		}
	})
}
