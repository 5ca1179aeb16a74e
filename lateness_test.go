package usher_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// grace is how long after its expiry a connection may go on sending to a client
// that reads; the lateness of the machine comes on top.
const grace = time.Second

// A lateness is the longest time by which this process was late for something
// that is at once on a machine with nothing else to do: for a timer, and to read
// what was written at it.
type lateness struct{ atomic.Int64 }

// measured measures until the test ends.
func measured(t *testing.T) *lateness {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l, over := new(lateness), make(chan struct{}, 2)
	go func() {
		defer func() { over <- struct{}{} }()
		for b := make([]byte, 1); ; {
			if _, err := far.Read(b); err != nil {
				return
			}
			if _, err := far.Write(b); err != nil {
				return
			}
		}
	}()
	go func() {
		defer func() { over <- struct{}{} }()
		const step = 10 * time.Millisecond
		for b := make([]byte, 1); ; {
			begun := time.Now()
			time.Sleep(step)
			if _, err := near.Write(b); err != nil {
				return
			}
			if _, err := near.Read(b); err != nil {
				return
			}
			l.Store(max(l.Load(), int64(time.Since(begun)-step)))
		}
	}()
	t.Cleanup(func() {
		near.Close()
		far.Close()
		<-over
		<-over
	})
	return l
}

// grace is the time for what goes through more goroutines than that, each of which
// may come as late.
func (l *lateness) grace() time.Duration { return grace + 5*time.Duration(l.Load()) }
