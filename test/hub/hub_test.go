package hub_test

import (
	"flag"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

var lasts = flag.Duration("lasts", 8*time.Second, "how long the server is disturbed")

// notify has a signal to end told to c.
func notify(c chan<- os.Signal) { signal.Notify(c, syscall.SIGTERM) }

// TestPromises disturbs a server, and finds no promise broken.
func TestPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	p := plan{
		lasts: *lasts, publishers: 8, subscribers: 6, members: 4, channels: 4,
		killEvery: 2500 * time.Millisecond, cutEvery: 60 * time.Millisecond, stallEvery: 300 * time.Millisecond,
		pause: 4 * time.Millisecond,
	}
	if *lasts > time.Minute { // All that was seen is kept until the end.
		p.pause, p.killEvery = 40*time.Millisecond, 10*time.Second
	}
	for _, fault := range play(t, p) {
		t.Error(fault)
	}
}

// TestCheckerSees breaks the server on purpose, in each of several ways.
func TestCheckerSees(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, how := range ways {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := plan{
				broken: how, lasts: 2 * time.Second, publishers: 3, subscribers: 3, members: 2, channels: 2,
				killEvery: 700 * time.Millisecond, cutEvery: 50 * time.Millisecond, pause: 4 * time.Millisecond,
			}
			if how == "has members stay" { // A server that is started anew has none.
				p.killEvery = 0
			}
			faults := play(t, p)
			for p.lasts < 30*time.Second && len(faults) == 0 { // A slow machine sees little in so short a time.
				p.lasts *= 3
				faults = play(t, p)
			}
			if len(faults) == 0 {
				t.Fatal("the checker found nothing")
			}
			t.Logf("found %d, the first: %s", len(faults), faults[0])
		})
	}
}
