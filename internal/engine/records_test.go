package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
)

func openFamilies(t *testing.T, e *engine.Engine) *engine.Records {
	t.Helper()
	r, err := e.Records(t.Context(), engine.Families)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Full records refuse what is new, and go on with what they have.
func TestRecordsFull(t *testing.T) {
	for name, o := range map[string]engine.Options{"memory": {Memory: true}, "embedded": {Data: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			o.SetMaxBytes(16 << 10)
			e := open(t, o)
			r := openFamilies(t, e)
			value := make([]byte, 1000)
			var err error
			made := 0
			for ; made < 1000; made++ {
				if _, err = r.Create(t.Context(), fmt.Sprint("k", made), value, minute()); err != nil {
					break
				}
			}
			if !errors.Is(err, usher.ErrUnavailable) || made == 0 {
				t.Fatalf("record number %d: got %v, want ErrUnavailable in the end", made, err)
			}
			if got, _, err := r.Get(t.Context(), fmt.Sprint("k", made)); got != nil || err != nil {
				t.Errorf("what was refused: got %d bytes and %v, want nothing", len(got), err)
			}
			_, revision, err := r.Get(t.Context(), "k0")
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := r.Update(t.Context(), "k0", value[:900], revision, minute()); err != nil || !ok {
				t.Errorf("update: got %t and %v, want true", ok, err)
			}
			if err := r.Remove(t.Context(), "k1"); err != nil {
				t.Fatal(err)
			}
			if ok, err := r.Create(t.Context(), "new", value[:500], minute()); err != nil || !ok {
				t.Errorf("after a removal: got %t and %v, want true", ok, err)
			}
			if err := e.Spend(t.Context(), [16]byte{9}, minute()); err != nil {
				t.Errorf("spend: got %v, want tickets to go on", err)
			}
		})
	}
}
