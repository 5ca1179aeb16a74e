package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// farewell is how long clients have for their half of a goodbye, after the
	// last of them was told.
	farewell = 3500 * time.Millisecond
	// drainStep is how often it is looked whether all have gone.
	drainStep = 10 * time.Millisecond
)

// drain ends all that srv serves. From its begin on nobody is admitted and the
// server is not ready; live connections are told to go within spread.
func (s *Server) drain(srv *http.Server, spread time.Duration) {
	live := s.sessions.Len()
	s.tellAll(spread)
	s.draining.Store(true) // Who sees it finds nobody admitted any more.
	end := time.Now().Add(spread + farewell)
	var answering sync.WaitGroup
	answering.Go(func() {
		ctx, cancel := context.WithDeadline(context.Background(), end)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			s.log.Warn("requests were cut", "error", err)
		}
	})
	last := s.seeOff(live, end)
	answering.Wait()
	// What is left are sockets that wait for a verdict or for their goodbye, and
	// tunnels whose upstreams are being told. The former would be refused.
	s.visitors.wait(min(farewell, time.Until(last)))
	_ = srv.Close()
	s.visitors.cut()
}

// tellAll has every live connection told to go at some time within spread, and
// does not wait for it.
func (s *Server) tellAll(spread time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.sessions.Drain(ctx, spread) // Whatever ctx is, it begins.
}

// seeOff waits for the live connections to close, that many, and returns when
// what is left is to be cut. That is at end, unless the machine is too busy to
// have told them all by then: who was not told finds a broken connection. So it
// goes on as long as some leave within the time of a farewell.
func (s *Server) seeOff(live int, end time.Time) (last time.Time) {
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for ; ; <-tick.C {
		n := s.sessions.Len()
		switch {
		case n == 0:
			return end
		case time.Now().Before(end):
		case n >= live:
			s.log.Warn("connections were cut", "connections", n)
			return end
		default:
			live, end = n, time.Now().Add(farewell)
		}
	}
}

// visitors are the connections on which a request is served or a tunnel held, and
// those on which one is awaited: the latter are not waited for.
type visitors struct {
	came atomic.Int64 // How often somebody entered.

	mu sync.Mutex
	// Guarded by mu.
	first *visitor
	n     int // How many there are, but for the silent ones.
}

// A visitor is a connection that may be among the visitors. It is a link of
// their list: a map of many thousands costs more to keep.
type visitor struct {
	conn net.Conn
	// Guarded by the mu of the visitors.
	inside        int // How often: a tunnel is held for longer than its request.
	silent        bool
	before, after *visitor
}

type connKey struct{}

// withConn is the [http.Server.ConnContext] that enter relies on.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &visitor{conn: c})
}

// enter notes the connection of a request until leave is called.
func (v *visitors) enter(ctx context.Context) (leave func()) {
	one, ok := ctx.Value(connKey{}).(*visitor)
	if !ok {
		return func() {}
	}
	v.let(one)
	return func() { v.leave(one) }
}

// let notes a connection until leave.
func (v *visitors) let(one *visitor) {
	v.came.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if one.inside++; one.inside == 1 {
		if !one.silent {
			v.n++
		}
		if one.after = v.first; one.after != nil {
			one.after.before = one
		}
		v.first = one
	}
}

// hear notes that a silent connection is silent no more.
func (v *visitors) hear(one *visitor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if one.silent {
		one.silent = false
		v.n++
	}
}

func (v *visitors) leave(one *visitor) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if one.inside--; one.inside > 0 {
		return
	}
	if !one.silent {
		v.n--
	}
	if one.before != nil {
		one.before.after = one.after
	} else {
		v.first = one.after
	}
	if one.after != nil {
		one.after.before = one.before
	}
	one.before, one.after = nil, nil
}

func (v *visitors) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.n
}

// wait returns when nobody is inside, or after limit.
func (v *visitors) wait(limit time.Duration) {
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for end := time.Now().Add(limit); v.count() > 0 && time.Now().Before(end); {
		<-tick.C
	}
}

// cut closes the connections of all who are inside, and waits until they have
// seen it.
func (v *visitors) cut() {
	v.mu.Lock()
	for one := v.first; one != nil; one = one.after {
		if one.silent {
			one.silent = false
			v.n++
		}
		_ = one.conn.Close()
	}
	v.mu.Unlock()
	v.wait(time.Second)
}
