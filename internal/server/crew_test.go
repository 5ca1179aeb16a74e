package server

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestCrew has more tasks than may wait, again and again: all are done, at most
// maxIdle goroutines are left, and none after the stop. Synctest fails where one
// is.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		var done atomic.Int32
		for range 3 {
			var together, all sync.WaitGroup
			together.Add(2 * maxIdle)
			for range 2 * maxIdle {
				all.Go(func() {
					c.run(func() {
						together.Done()
						together.Wait() // None waits for the end of another.
						done.Add(1)
					})
				})
			}
			all.Wait()
			synctest.Wait()
			if n := len(c.places); n != maxIdle {
				t.Errorf("got %d goroutines that wait, want %d", n, maxIdle)
			}
		}
		c.stop()
		c.run(func() { done.Add(1) })
		if got := done.Load(); got != 6*maxIdle+1 {
			t.Errorf("got %d tasks done, want %d", got, 6*maxIdle+1)
		}
	})
}

// TestCrewUsesGoroutinesAgain has tasks come one after the other.
func TestCrewUsesGoroutinesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		defer c.stop()
		for range 100 {
			c.run(func() {})
			synctest.Wait()
		}
		if n := len(c.places); n != 1 {
			t.Errorf("got %d goroutines for tasks that never were at once, want 1", n)
		}
	})
}

// TestCrewPanics has tasks panic and exit: whoever waits panics too, and others
// are served.
func TestCrewPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew()
		defer c.stop()
		panics := func(do func()) (p any) {
			defer func() { p = recover() }()
			c.run(do)
			return nil
		}
		if p := panics(func() { panic(http.ErrAbortHandler) }); p != any(http.ErrAbortHandler) {
			t.Errorf("got %v, want ErrAbortHandler as it is", p)
		}
		p, _ := panics(func() { brokenHandler() }).(string)
		if !strings.HasPrefix(p, "broken\n") || !strings.Contains(p, "brokenHandler") {
			t.Errorf("got %q, want what it was and where", p)
		}
		if p := panics(runtime.Goexit); p != nil {
			t.Errorf("got %v after Goexit, want nothing", p)
		}
		if p := panics(func() {}); p != nil {
			t.Errorf("got %v after those before, want nothing", p)
		}
	})
}

func brokenHandler() { panic("broken") }
