package gateway

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
)

const (
	defaultHandshake = 10 * time.Second
	// closeTime is how long a side has to answer the other's Close, or to take
	// what is left for it, before it is cut.
	closeTime = 3 * time.Second
)

// tunnel takes an admitted handshake to the upstream, and on its 101 answers
// the client and passes frames both ways. Where the Guard detaches its handlers,
// a goroutine of its own does that, whose stack has not grown by all that went
// before.
func (b *behind) tunnel(w http.ResponseWriter, r *http.Request, tail string) {
	closed := func() {}
	if b.Opened != nil {
		closed = b.Opened(r.Context())
	}
	t, early := b.open(w, r, tail)
	switch {
	case t == nil:
		closed()
	case b.Guard.Detach:
		go b.carry(t, early, closed)
	default:
		b.carry(t, early, closed)
	}
}

// open makes the tunnel, or has refused the client and returns nil. What came
// behind the upstream's 101 is the first to pass.
func (b *behind) open(w http.ResponseWriter, r *http.Request, tail string) (t *tunnel, early []byte) {
	g := greetings.Get().(*greeting)
	defer g.over()
	g.key, g.timeout = newKey(), b.HandshakeTimeout
	if g.timeout <= 0 {
		g.timeout = defaultHandshake
	}
	c, release, err := b.Pool.dial(r.Context(), func(t *Target, within time.Duration) (net.Conn, error) {
		var err error
		g.out = g.out[:0]
		if g.offer, err = b.request(&g.out, r, t, tail, g.key); err != nil {
			return nil, &requestError{err}
		}
		return t.greet(r.Context(), g, within)
	})
	if err != nil {
		usher.Refuse(w, r, err)
		return nil, nil
	}
	defer func() {
		if t == nil {
			_ = c.Close()
			release()
		}
	}()
	if err = shake(r.Context(), c, g); err != nil {
		badGateway(w, r, err)
		return nil, nil
	}
	extensions := g.answer.extensions()
	client, err := b.passOn(w, r, g)
	if err != nil { // The client is gone, or its identity has ended just now.
		goodbye(c)
		return nil, nil
	}
	return b.newTunnel(r.Context(), client, c, release, extensions), bytes.Clone(g.early)
}

// newTunnel returns a tunnel that calls release at its end, for connections with
// these extensions.
func (b *behind) newTunnel(ctx context.Context, client, up net.Conn, release func(), extensions []string) *tunnel {
	t := &tunnel{
		ctx: ctx, client: client, up: up, release: release, log: b.log(), begun: time.Now(), idle: b.Idle,
		fromClient: newChecker(ws.StateServerSide, extensions),
		fromServer: newChecker(ws.StateClientSide, extensions),
	}
	t.pings.begin(b.Ping)
	t.fromClient.pings = &t.pings
	return t
}

// carry passes frames between client and upstream, and returns when both are
// closed. What the client sends is passed by a goroutine beside it.
func (b *behind) carry(t *tunnel, early []byte, closed func()) {
	defer closed()
	defer t.release()
	defer t.up.Close()
	defer t.watch()()
	defer t.caught()
	defer t.loosen()()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.caught()
		t.toUpstream()
	}()
	t.toClient(early)
	<-done
	_ = t.client.Close()
	if b.Traffic != nil {
		b.Traffic(t.in, t.out)
	}
}

// shake makes what is left of the handshake, only as long as the client is there.
func shake(ctx context.Context, c net.Conn, g *greeting) error {
	if g.whole() { // There is nothing to wait for.
		return g.shake(c)
	}
	stop := afterEnd(ctx, func() { _ = c.Close() })
	err := g.shake(c)
	if !stop() {
		return errors.Join(usher.ErrUnavailable, context.Cause(ctx))
	}
	return err
}

// afterEnd is [context.AfterFunc] without a context of its own, where ctx is that
// of a Guard.
func afterEnd(ctx context.Context, f func()) (stop func() bool) {
	if c, ok := ctx.(interface{ AfterFunc(f func()) func() bool }); ok {
		return c.AfterFunc(f)
	}
	return context.AfterFunc(ctx, f)
}
