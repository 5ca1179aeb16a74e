package server

import (
	"context"
	"net"
	"net/http"
	"sync"
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
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), spread+farewell)
	defer cancel()
	var leaving sync.WaitGroup
	leaving.Go(func() {
		if err := s.sessions.Drain(ctx, spread); err != nil {
			s.log.Warn("connections were cut", "connections", s.sessions.Len(), "error", err)
		}
	})
	leaving.Go(func() {
		if err := srv.Shutdown(ctx); err != nil {
			s.log.Warn("requests were cut", "error", err)
		}
	})
	leaving.Wait()
	// What is left are sockets that wait for a verdict or for their goodbye, and
	// tunnels whose upstreams are being told. The former would be refused.
	s.visitors.wait(ctx, farewell)
	_ = srv.Close()
	s.visitors.cut()
}

// visitors are the connections on which a request is served or a tunnel held.
type visitors struct {
	mu sync.Mutex
	// Guarded by mu.
	inside map[net.Conn]int // How often: a tunnel is held for longer than its request.
}

type connKey struct{}

// withConn is the [http.Server.ConnContext] that enter relies on.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// enter notes the connection of a request until leave is called.
func (v *visitors) enter(ctx context.Context) (leave func()) {
	c, ok := ctx.Value(connKey{}).(net.Conn)
	if !ok {
		return func() {}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inside == nil {
		v.inside = make(map[net.Conn]int)
	}
	v.inside[c]++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.inside[c]--; v.inside[c] == 0 {
			delete(v.inside, c)
		}
	}
}

func (v *visitors) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.inside)
}

// wait returns when nobody is inside, ctx ends, or after limit.
func (v *visitors) wait(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for v.count() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// cut closes the connections of all who are inside, and waits until they have
// seen it.
func (v *visitors) cut() {
	v.mu.Lock()
	for c := range v.inside {
		_ = c.Close()
	}
	v.mu.Unlock()
	v.wait(context.Background(), time.Second)
}
