//go:build !386 && !race

package direct_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/direct"
)

// Where there is one processor, others run while much is copied, and not only when
// the time of who copies is over.
func TestOthersRunWhileMuchIsCopied(t *testing.T) {
	var caller direct.Caller
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, b := pair(t)
	var turns atomic.Int64
	var over atomic.Bool
	defer over.Store(true)
	go func() {
		for !over.Load() {
			turns.Add(1)
			runtime.Gosched()
		}
	}()
	const slice = 10 * time.Millisecond // What the runtime gives a goroutine.
	p := make([]byte, 128<<10)
	begun := time.Now()
	for time.Since(begun) < 30*slice {
		if _, errno := caller.Write(a, p); errno != 0 {
			t.Fatal(errno)
		}
		for n := 0; n < len(p); {
			got, errno := caller.Read(b, p)
			if errno != 0 {
				break // The socket took a part.
			}
			n += got
		}
	}
	if n := turns.Load(); n < 100 {
		t.Errorf("another had %d turns in %v, want more than one for each time of this one", n, time.Since(begun))
	}
}
