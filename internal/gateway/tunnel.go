package gateway

import (
	"context"
	"errors"
	"maps"
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
	c, target, release, err := b.Pool.dial(r.Context())
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
	out, err := b.handshake(r, target, tail)
	if err != nil {
		usher.Refuse(w, r, err)
		return nil, nil
	}
	up, err := b.shake(r.Context(), c, out)
	if err != nil {
		badGateway(w, r, err)
		return nil, nil
	}
	client, err := b.answer(w, r, up)
	if err != nil { // The client is gone, or its identity has ended just now.
		goodbye(c)
		return nil, nil
	}
	return b.newTunnel(r.Context(), client, up, release), up.early
}

// newTunnel returns a tunnel that calls release at its end.
func (b *behind) newTunnel(ctx context.Context, client net.Conn, up *upstreamConn, release func()) *tunnel {
	extensions := extensionNames(up.answer["Sec-Websocket-Extensions"])
	t := &tunnel{
		ctx: ctx, client: client, up: up.Conn, release: release, log: b.log(), begun: time.Now(), idle: b.Idle,
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

// handshake makes the request for the upstream out of the client's.
func (b *behind) handshake(r *http.Request, t *Target, tail string) (*http.Request, error) {
	// With room for what the gateway adds: a map that grows is made twice. The
	// values are the client's own, which nobody changes.
	h := make(http.Header, len(r.Header)+len(b.Identity.Headers)+len(b.UpstreamHeaders)+8)
	maps.Copy(h, r.Header)
	if err := b.headers(h, r, t); err != nil {
		return nil, err
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{""} // Or Go's own would be written.
	}
	return &http.Request{
		Method: http.MethodGet, URL: joinURL(t.base, tail, r.URL.RawQuery), Host: b.host(r), Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// shake is the package's shake within the route's time, and only as long as
// the client is there.
func (b *behind) shake(ctx context.Context, c net.Conn, out *http.Request) (*upstreamConn, error) {
	timeout := b.HandshakeTimeout
	if timeout <= 0 {
		timeout = defaultHandshake
	}
	stop := afterEnd(ctx, func() { _ = c.Close() })
	up, err := shake(c, out, timeout)
	if !stop() {
		return nil, errors.Join(usher.ErrUnavailable, context.Cause(ctx))
	}
	return up, err
}

// afterEnd is [context.AfterFunc] without a context of its own, where ctx is that
// of a Guard.
func afterEnd(ctx context.Context, f func()) (stop func() bool) {
	if c, ok := ctx.(interface{ AfterFunc(f func()) func() bool }); ok {
		return c.AfterFunc(f)
	}
	return context.AfterFunc(ctx, f)
}

// answer gives the client the upstream's 101, without what was between the
// upstream and the gateway.
func (b *behind) answer(w http.ResponseWriter, r *http.Request, up *upstreamConn) (net.Conn, error) {
	stripHops(up.answer)
	if !b.AllowSetCookie {
		delete(up.answer, "Set-Cookie")
	}
	h := w.Header()
	maps.Copy(h, up.answer)
	h["Upgrade"], h["Connection"] = []string{"websocket"}, []string{"Upgrade"}
	h["Sec-Websocket-Accept"] = []string{acceptFor(r.Header.Get("Sec-Websocket-Key"))}
	if guarded, ok := w.(interface {
		Switch(h http.Header) (net.Conn, error)
	}); ok {
		return guarded.Switch(h)
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	client, _, err := http.NewResponseController(w).Hijack()
	return client, err
}
