//go:build unix

package engine_test

import (
	"errors"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
)

// The disk takes no more, and then there is room again. A limit of the process
// on the size of its files stands for the disk.
func TestEmbeddedDiskFull(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // By default it ends the process.
	defer signal.Reset(syscall.SIGXFSZ)
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	defer restore()
	e := open(t, engine.Options{Data: t.TempDir()})
	since := e.Since()
	limit := was
	limit.Cur = 128 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	id := func(n int) [16]byte { return [16]byte{5, byte(n >> 8), byte(n)} }
	var err error
	spent := 0
	for ; spent < 10_000; spent++ {
		if err = e.Spend(t.Context(), id(spent), minute()); err != nil {
			break
		}
	}
	if !errors.Is(err, usher.ErrUnavailable) || spent == 0 {
		t.Fatalf("spend number %d: got %v, want ErrUnavailable in the end", spent, err)
	}
	t.Logf("spend number %d: %v", spent, err)
	await(t, 20*time.Second, "check says that the disk takes no more", func() bool {
		err := e.Check(t.Context())
		return err != nil && strings.Contains(err.Error(), "cannot be written to")
	})
	t.Log(e.Check(t.Context()))
	restore()
	await(t, 15*time.Second, "back", func() bool { return e.Down().IsZero() })
	for n := range spent {
		if err := e.Spend(t.Context(), id(n), minute()); !errors.Is(err, usher.ErrSpent) {
			t.Fatalf("id %d, which was spent before: got %v, want ErrSpent", n, err)
		}
	}
	if err := e.Spend(t.Context(), [16]byte{6}, minute()); err != nil {
		t.Errorf("a new id: got %v, want nil", err)
	}
	if got := e.Since(); !got.Equal(since) {
		t.Errorf("since: got %v, want %v as before", got, since)
	}
}
