package server

import (
	"fmt"
	"net/http"
	"runtime/debug"
)

// maxIdle is how many goroutines of a crew wait for work at most.
const maxIdle = 64

// A crew serves handshakes in goroutines that have served others before. One
// needs a deep stack and is the only request of its connection: a goroutine of
// its own grows its stack for it step by step, and copies it at each.
type crew struct {
	tasks   chan task
	places  chan struct{} // Of those who wait for a task.
	stopped chan struct{}
}

type task struct {
	do   func()
	done chan any // For what do has panicked with, or nil. Nil where nobody waits.
}

func newCrew() *crew {
	return &crew{make(chan task), make(chan struct{}, maxIdle), make(chan struct{})}
}

// run calls do in a goroutine of the crew and returns when that does, or panics
// as it does.
func (c *crew) run(do func()) {
	t := task{do, make(chan any, 1)}
	select {
	case c.tasks <- t:
	default:
		go c.work(t)
	}
	if p := <-t.done; p != nil {
		panic(p)
	}
}

// start is run for those who do not wait. A panic of do ends the process.
func (c *crew) start(do func()) {
	t := task{do, nil}
	select {
	case c.tasks <- t:
	default:
		go c.work(t)
	}
}

// work runs a task, and those that come, as long as there is a place to wait.
func (c *crew) work(t task) {
	for {
		t.run()
		select {
		case c.places <- struct{}{}:
		default:
			return
		}
		select {
		case t = <-c.tasks:
			<-c.places
		case <-c.stopped:
			<-c.places
			return
		}
	}
}

func (t task) run() {
	if t.done != nil {
		defer func() { t.done <- withStack(recover()) }()
	}
	t.do()
}

// withStack returns what was panicked with, with the stack: whoever panics with it
// again has another.
func withStack(p any) any {
	if p != nil && p != any(http.ErrAbortHandler) {
		p = fmt.Sprintf("%v\n%s", p, debug.Stack())
	}
	return p
}

// stop ends the goroutines that wait, and returns when they have. Later tasks are
// run all the same, and nobody waits after them.
func (c *crew) stop() {
	close(c.stopped)
	for range maxIdle {
		c.places <- struct{}{}
	}
}
