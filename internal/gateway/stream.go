package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/pump"
)

// A tunnel passes frames between a client and an upstream until one of them, or
// the Guard, ends it.
type tunnel struct {
	// Immutable once it runs.
	ctx        context.Context // The request's: it ends when the Guard ends the connection.
	client, up net.Conn
	release    func() // Tells the pool that up is over.
	log        *slog.Logger
	begun      time.Time
	idle       time.Duration

	// Owned by the goroutine of toUpstream until it ends.
	fromClient *checker
	in         int64
	lost       bool // A write to the upstream failed: no more is tried.

	wmu sync.Mutex // Held while a piece is written to the client.
	// Guarded by wmu. Nobody but the goroutine of toClient changes fromServer and out.
	fromServer *checker
	out        int64
	mute       bool // No Ping is sent any more.

	clientDone   atomic.Bool // Nothing more is read from the client.
	clientClosed atomic.Bool // Its Close frame was passed on.
	upDone       atomic.Bool // Nothing more is read from the upstream.
	upClosed     atomic.Bool // Its Close frame was passed on.

	heard stamp        // What the client says, as far as it is passed on.
	alive atomic.Int64 // When it last said anything else, on the clock of stamps.
	told  stamp        // What the upstream says.
	pings pings
}

// loosen has whoever is stuck in a write get loose when the Guard ends the
// connection. The function that it returns stops that.
func (t *tunnel) loosen() (stop func() bool) {
	return afterEnd(t.ctx, func() { _ = t.up.SetDeadline(time.Now().Add(closeTime)) })
}

// caught ends a tunnel that has panicked: nobody above it would, and the process
// would end.
func (t *tunnel) caught() {
	p := recover()
	if p == nil {
		return
	}
	t.log.Error("tunnel panicked", "panic", p, "stack", string(debug.Stack()))
	usher.End(t.ctx, &usher.Refusal{
		Status: http.StatusInternalServerError, Code: usher.CloseFault, Word: "fault", Cause: errPanicked,
	})
	_ = t.up.Close()
}

var errPanicked = errors.New("tunnel panicked")

// toUpstream passes what the client sends. At the end it sees that the upstream
// learns of it.
func (t *tunnel) toUpstream() {
	_, err := io.Copy((*upstreamWriter)(t), t.client)
	t.clientDone.Store(true)
	if errors.Is(err, usher.ErrProtocol) {
		usher.End(t.ctx, err)
	}
	switch {
	case t.lost: // Whatever it still says, nobody is there to hear it.
		_ = t.up.Close()
	case t.fromClient.closed, t.upDone.Load(): // It knows, or cannot be told.
	case t.fromClient.boundary():
		goodbye(t.up)
	default: // In the middle of a frame nothing can be said.
		_ = t.up.Close()
	}
	_ = t.up.SetReadDeadline(time.Now().Add(closeTime))
}

// goodbye tells an upstream that its client is gone.
func goodbye(up net.Conn) {
	_ = up.SetWriteDeadline(time.Now().Add(closeTime))
	frame := ws.MaskFrameInPlace(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
	if raw, err := ws.CompileFrame(frame); err == nil {
		_, _ = up.Write(raw)
	}
}

// An upstreamWriter is where the client's bytes go: nothing of a frame that is
// out of order reaches the upstream. After the upstream has failed they go
// nowhere, while what it said last is on its way to the client.
type upstreamWriter tunnel

func (w *upstreamWriter) Write(p []byte) (int, error) {
	t := (*tunnel)(w)
	now := t.clock()
	for i := 0; i < len(p); {
		held, n, used, fault := t.fromClient.take(p[i:])
		t.forward(held, now)
		t.forward(p[i:i+n], now)
		if t.fromClient.closed && !t.clientClosed.Load() {
			t.clientClosed.Store(true)
			_ = t.up.SetReadDeadline(time.Now().Add(closeTime))
			t.part()
		}
		if fault == nil && t.fromClient.closed && t.upDone.Load() {
			fault = io.EOF
		}
		if fault != nil {
			return i + n, fault
		}
		i += used
	}
	if at, _ := t.heard.last(); at != now { // A sign of life, and nothing more yet.
		t.alive.Store(now)
	}
	return len(p), nil
}

// part closes the client's connection once both sides have said goodbye: a
// browser waits for it (RFC 6455 §7.1.1). The upstream is left time to close its
// own.
func (t *tunnel) part() {
	if t.clientClosed.Load() && t.upClosed.Load() {
		_ = t.client.Close()
	}
}

// forward writes p to the upstream. It came at the time now.
func (t *tunnel) forward(p []byte, now int64) {
	if len(p) == 0 || t.lost || t.upDone.Load() {
		return
	}
	t.heard.begin(now)
	t.in += int64(len(p))
	if _, err := t.up.Write(p); err != nil {
		t.lost = true
		_ = t.up.SetReadDeadline(time.Now().Add(closeTime))
	}
	t.heard.end(now)
}

// toClient passes what the upstream sends. At the end it sees that the client
// learns how it ended.
func (t *tunnel) toClient(early []byte) {
	err := t.pass(early)
	t.passed()
	rd := pump.NewReader(t.up)
	for err == nil {
		var p []byte
		if p, err = rd.Next(); err == nil {
			err = t.pass(p)
			t.passed()
		}
		rd.Done()
		if err == nil && t.clientClosed.Load() && !t.clientDone.Load() && t.ctx.Err() == nil {
			// It may finish what it was saying, as long as it goes on.
			_ = t.up.SetReadDeadline(time.Now().Add(closeTime))
		}
	}
	t.upDone.Store(true)
	switch {
	case t.clientDone.Load():
	case t.fromServer.closed: // The client answers the upstream's Close, or not.
		_ = t.client.SetReadDeadline(time.Now().Add(closeTime))
	case t.fromServer.boundary():
		usher.End(t.ctx, usher.ErrUnavailable)
	default: // In the middle of a frame nothing can be said.
		_ = t.client.Close()
	}
}

// pass writes to the client what is in order of what the upstream sent. After it
// comes passed.
func (t *tunnel) pass(p []byte) error {
	t.wmu.Lock()
	defer t.wmu.Unlock()
	now := t.clock()
	held, n, _, fault := t.fromServer.take(p)
	if err := t.tell(held, now); err != nil {
		return err
	}
	if err := t.tell(p[:n], now); err != nil {
		return err
	}
	return fault
}

// passed sees to what follows from what was passed. It is the time for a Ping that
// had to wait.
func (t *tunnel) passed() {
	if t.fromServer.closed && !t.upClosed.Load() {
		t.upClosed.Store(true)
		t.part()
	}
	t.ask()
}

// tell writes p to the client. It came at the time now. Callers hold wmu.
func (t *tunnel) tell(p []byte, now int64) error {
	if len(p) == 0 {
		return nil
	}
	t.told.begin(now)
	t.out += int64(len(p))
	if _, err := t.client.Write(p); err != nil {
		t.mute = true
		return err
	}
	t.told.end(now)
	return nil
}
