package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
)

// openRecords opens the records of one name on all nodes.
func openRecords(t *testing.T, nodes []*engine.Engine, name string) []*engine.Records {
	t.Helper()
	all := make([]*engine.Records, len(nodes))
	for i, e := range nodes {
		var err error
		if all[i], err = e.Records(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wantRecord checks what all nodes have by a key, nil for nothing, and returns
// the revision.
func wantRecord(t *testing.T, nodes []*engine.Records, key string, want []byte) (revision uint64) {
	t.Helper()
	for i, r := range nodes {
		got, rev, err := r.Get(t.Context(), key)
		if err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
			t.Fatalf("node %d: got %q and %v, want %q", i, got, err, want)
		}
		revision = rev
	}
	return revision
}

func testRecords(t *testing.T, nodes []*engine.Engine) {
	families, logins := openRecords(t, nodes, engine.Families), openRecords(t, nodes, engine.Logins)
	first, last, until := families[0], families[len(families)-1], time.Now().Add(time.Minute)
	wantRecord(t, families, "a.b-c_D", nil)
	if ok, err := first.Create(t.Context(), "a.b-c_D", []byte("one"), until); err != nil || !ok {
		t.Fatalf("create: got %t and %v, want it made", ok, err)
	}
	if ok, err := last.Create(t.Context(), "a.b-c_D", []byte("two"), until); err != nil || ok {
		t.Errorf("create again: got %t and %v, want false", ok, err)
	}
	wantRecord(t, logins, "a.b-c_D", nil)
	revision := wantRecord(t, families, "a.b-c_D", []byte("one"))

	var won int
	for _, err := range Race(60, func(i int) error {
		ok, err := families[i%len(families)].Update(t.Context(), "a.b-c_D", fmt.Appendf(nil, "racer %d", i), revision, until)
		if err == nil && !ok {
			return usher.ErrSpent // Any error that is none of the store's.
		}
		return err
	}) {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, usher.ErrSpent):
			t.Errorf("a racer: got %v, want nil or false", err)
		}
	}
	if won != 1 {
		t.Errorf("got %d winners of 60 updates of one revision, want 1", won)
	}
	_, next, err := first.Get(t.Context(), "a.b-c_D")
	if err != nil || next <= revision {
		t.Errorf("got revision %d after %d, and %v", next, revision, err)
	}
	if ok, err := last.Update(t.Context(), "a.b-c_D", []byte{}, next, until); err != nil || !ok {
		t.Errorf("update to nothing: got %t and %v, want true", ok, err)
	}
	wantRecord(t, families, "a.b-c_D", []byte{})
	for range 2 { // The second time there is none.
		if err := first.Remove(t.Context(), "a.b-c_D"); err != nil {
			t.Fatal(err)
		}
		wantRecord(t, families, "a.b-c_D", nil)
	}
	if ok, err := last.Update(t.Context(), "a.b-c_D", nil, next, until); err != nil || ok {
		t.Errorf("update of what was removed: got %t and %v, want false", ok, err)
	}
	if ok, err := last.Create(t.Context(), "a.b-c_D", []byte("new"), until); err != nil || !ok {
		t.Errorf("create after the removal: got %t and %v, want true", ok, err)
	}
	wantRecord(t, families, "a.b-c_D", []byte("new"))
}

// Updates change for how long a record is kept, both ways.
func testRecordsEnd(t *testing.T, nodes []*engine.Engine) {
	r := openRecords(t, nodes, engine.Families)
	change := func(key string, first, then time.Duration) {
		t.Helper()
		if ok, err := r[0].Create(t.Context(), key, []byte("x"), time.Now().Add(first)); err != nil || !ok {
			t.Fatalf("create: got %t and %v", ok, err)
		}
		if then == 0 {
			return
		}
		revision := wantRecord(t, r, key, []byte("x"))
		if ok, err := r[len(r)-1].Update(t.Context(), key, []byte("y"), revision, time.Now().Add(then)); err != nil || !ok {
			t.Fatalf("update: got %t and %v", ok, err)
		}
	}
	change("longer", 1500*time.Millisecond, time.Minute)
	change("shorter", time.Minute, 1500*time.Millisecond)
	change("short", 1500*time.Millisecond, 0)
	for _, key := range []string{"shorter", "short"} {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got, _, err := r[0].Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if got == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: there long after its end", key)
			}
		}
	}
	wantRecord(t, r, "longer", []byte("y"))
	if ok, err := r[0].Create(t.Context(), "short", []byte("z"), time.Now().Add(time.Minute)); err != nil || !ok {
		t.Errorf("create after the end: got %t and %v, want true", ok, err)
	}
}

func testBadRecords(t *testing.T, nodes []*engine.Engine) {
	r, until := openRecords(t, nodes, engine.Logins)[0], time.Now().Add(time.Minute)
	if _, err := nodes[0].Records(t.Context(), "secrets"); err == nil {
		t.Error("records of another name: got nil, want an error")
	}
	if ok, err := r.Create(t.Context(), "other", []byte("canary"), until); err != nil || !ok {
		t.Fatalf("create: got %t and %v", ok, err)
	}
	long := string(bytes.Repeat([]byte("k"), 201))
	for _, key := range []string{"", ">", "*", "a.*", "a b", ".a", "a.", "a..b", "a\x00", "\u00e9", long} {
		if got, _, err := r.Get(t.Context(), key); got != nil || err != nil {
			t.Errorf("get of the key %.20q: got %q and %v, want nothing", key, got, err)
		}
		if _, err := r.Create(t.Context(), key, nil, until); err == nil || errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("create with the key %.20q: got %v, want an error of the caller's", key, err)
		}
		if _, err := r.Update(t.Context(), key, nil, 1, until); err == nil || errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("update with the key %.20q: got %v, want an error of the caller's", key, err)
		}
		if err := r.Remove(t.Context(), key); err != nil {
			t.Errorf("remove of the key %.20q: got %v, want nil", key, err)
		}
	}
	if _, err := r.Create(t.Context(), "long", make([]byte, 32<<10+1), until); err == nil {
		t.Error("a value that is too long: got nil, want an error")
	}
	if _, err := r.Create(t.Context(), "over", nil, time.Now().Add(-time.Second)); err == nil {
		t.Error("a time that has passed: got nil, want an error")
	}
	if ok, err := r.Create(t.Context(), "long", make([]byte, 32<<10), until); err != nil || !ok {
		t.Errorf("the longest value: got %t and %v, want true", ok, err)
	}
	wantRecord(t, []*engine.Records{r}, "other", []byte("canary"))
}
