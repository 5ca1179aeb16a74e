package realtime

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/alarm"
)

// A transport is one WebSocket that carries a connection.
type transport struct {
	// Immutable once it serves.
	server *Server
	ctx    context.Context // The request's: the Guard knows the connection by it.
	conn   net.Conn
	set    settings
	state  *state
	key    uint32 // The number of that by which the connection can be resumed.
	stay   int    // Which of the connection's it is.
	out    outbox
	acks   acks

	grant atomic.Pointer[Grant]
	heard atomic.Int64 // When the client last said anything, in nanoseconds since 1970.

	answers atomic.Bool // It has answered a Ping.

	// turn is held by the reader while it does what the client says, and by who
	// changes what the client may do.
	turn sync.Mutex
	// Guarded by turn.
	in        inbox
	channels  channels
	aim       *aim      // Where it publishes to, as far as that is known.
	now       time.Time // When what is done was read. Zero: long ago, perhaps.
	published bool      // In what was read last.
	known     bool      // The client is known to have the key.
	over      bool      // Nothing more is done that the client says.
	deaf      bool      // Nor is it looked at.

	tmu sync.Mutex
	// Guarded by tmu.
	alarm   alarm.Alarm   // For tick.
	prompt  time.Duration // When to ask for a fresh token, on the server's clock. Zero: not, or not again.
	ticks   bool
	stopped bool
}

func newTransport(ctx context.Context, s *Server, conn net.Conn, answer []byte, set settings, st *state) *transport {
	t := &transport{server: s, ctx: ctx, conn: conn, set: set, state: st}
	t.in.limit, t.in.transport = max(s.o.MaxFrame, 2*st.app.Limits().MessageBytes), t
	t.out.begin(t, answer)
	t.acks.transport = t
	t.heard.Store(time.Now().UnixNano())
	return t
}

// send queues a protocol message.
func (t *transport) send(p *ably.ProtocolMessage) {
	t.server.refused(p)
	t.out.sendAs(func(b []byte) []byte { return appendMessage(b, t.set.format, p) })
}

// finish queues the last protocol message, and closes.
func (t *transport) finish(p *ably.ProtocolMessage) error {
	t.acks.release()
	t.over = true
	t.server.refused(p)
	t.out.finish(append(frame(t.set.format, p), normalClose...))
	return nil
}

// fail ends the connection with an ERROR, after which the client gives up. Where
// another token helps, or only time, it comes back for its connection, which is
// kept for it.
func (t *transport) fail(why *ably.ErrorInfo) error {
	p := &ably.ProtocolMessage{Action: ably.ActionError, Error: why}
	if passes(why) {
		p.Action = ably.ActionDisconnected
	}
	err := t.finish(p)
	if !passes(why) && !why.Code.Renewable() {
		t.server.forget(t.state, t)
	}
	return err
}

// connected tells the client of its connection, and why it is not the one that
// it wanted to resume.
func (t *transport) connected(gone *ably.ErrorInfo) {
	g, o := t.grant.Load(), &t.server.o
	limits := g.App.Limits()
	t.send(&ably.ProtocolMessage{
		Action: ably.ActionConnected, ConnectionID: t.state.conn.ID(), Error: gone, Timestamp: time.Now().UnixMilli(),
		ConnectionDetails: &ably.ConnectionDetails{
			ConnectionKey: t.server.keys.key(t.state.conn.ID(), t.key), ClientID: g.ClientID, ServerID: o.ServerID,
			MaxMessageSize: limits.MessageBytes, MaxFrameSize: t.in.limit, MaxInboundRate: max(limits.Rate, 0),
			StateTTL: o.StateTTL.Milliseconds(), MaxIdle: t.set.maxIdle.Milliseconds(),
		},
	})
}

// serve reads until the connection is over, in one goroutine after the other.
func (t *transport) serve() {
	over := true
	defer func() {
		if over {
			t.end()
			t.server.leave(t)
		}
	}()
	defer t.caught()
	_, err := io.Copy(reader{t}, t.conn) // However it ends: the client comes back.
	if over = !errors.Is(err, errGrown); !over {
		go t.serve()
	}
}

// errGrown ends a goroutine that reads, but not the connection: its stack has
// grown for what the client has said, and would stay so. A client that publishes
// will have it grow again; any other waits in a goroutine whose stack has not.
var errGrown = errors.New("the stack has grown")

// caught ends a connection whose goroutine has panicked: nobody above it would,
// and the process would end.
func (t *transport) caught() {
	p := recover()
	if p == nil {
		return
	}
	t.server.o.Log.Error("realtime connection panicked", "panic", p, "stack", string(debug.Stack()))
	usher.End(t.ctx, &usher.Refusal{
		Status: http.StatusInternalServerError, Code: usher.CloseFault, Word: "fault", Cause: errPanicked,
	})
}

var errPanicked = errors.New("realtime connection panicked")

// A reader is where the client's bytes go.
type reader struct{ t *transport }

// Write takes bytes. It keeps none of p.
func (r reader) Write(p []byte) (int, error) {
	n, err := r.t.hear(p)
	if n == len(p) {
		r.t.out.calm() // Nobody waits for the turn meanwhile: the client could have less taken from it late.
	}
	return n, err
}

// hear does what the client says in its turn.
func (t *transport) hear(p []byte) (int, error) {
	t.turn.Lock()
	defer t.turn.Unlock()
	defer t.acks.release()
	t.now = time.Now()
	t.heard.Store(t.now.UnixNano())
	if t.deaf {
		return len(p), nil
	}
	err := t.in.take(p, t.frame)
	switch {
	case err == nil:
		if !t.published {
			return len(p), errGrown
		}
		t.published = false
		return len(p), nil
	case errors.Is(err, errTooLarge): // Of the rest nothing can be made.
		t.deaf = true
		return len(p), t.tooLarge(nil)
	case errors.Is(err, errFrame):
		usher.End(t.ctx, usher.ErrProtocol)
	}
	return 0, err
}

// end sees to what the transport leaves behind.
func (t *transport) end() {
	t.turn.Lock()
	t.over = true
	t.turn.Unlock()
	t.tmu.Lock()
	t.stopped = true
	t.server.clock.Stop(&t.alarm)
	t.tmu.Unlock()
	_ = t.conn.Close()
	if m := t.in.partial; m != nil && m.long != nil {
		m.long.abandon()
	}
	t.out.stop()
	t.server.lost(t.state, t)
}

// frame is given each message and control frame.
func (t *transport) frame(op ws.OpCode, payload []byte) error {
	switch {
	case op == ws.OpClose:
		if !t.over {
			t.acks.release()
			t.out.finish(normalClose)
		}
		return errOver
	case t.over:
		return nil
	case op == ws.OpPong:
		t.answers.Store(true)
		return nil
	case op == ws.OpPing:
		t.out.send(control(ws.OpPong, payload))
		return nil
	}
	if !t.known { // Nobody says anything before CONNECTED, in which the key is.
		t.known = true
		t.server.known(t.state, t)
	}
	p, _ := said.Get().(*ably.ProtocolMessage)
	if t.aim != nil {
		p.Expect(t.aim.said)
	}
	if err := ably.Decode(t.format(op), payload, p); err != nil {
		// Of no channel that is known, and not of the connection: it goes on.
		t.acks.release()
		t.channelError("", ably.ErrorOf(err))
		return nil
	}
	err := t.handle(p)
	if p.Action == ably.ActionMessage { // Nobody keeps it, as what comes of it is the hub's.
		p.Reset()
		said.Put(p)
	}
	return err
}

// time is when what is done was read: one look at the clock does for all of it.
func (t *transport) time() time.Time {
	if t.now.IsZero() {
		t.now = time.Now()
	}
	return t.now
}

// said are protocol messages of clients, which are empty.
var said = sync.Pool{New: func() any { return new(ably.ProtocolMessage) }}

// format is that of a message. What is text is JSON, whatever was agreed.
func (t *transport) format(op ws.OpCode) ably.Format {
	if op == ws.OpText {
		return ably.JSON
	}
	return t.set.format
}

// handle does what a client says. Actions that are not known are passed over.
func (t *transport) handle(p *ably.ProtocolMessage) error {
	if !p.Action.NeedsAck() {
		t.acks.release()
		t.now = time.Time{} // It may take long.
	}
	switch p.Action {
	case ably.ActionHeartbeat:
		t.send(&ably.ProtocolMessage{Action: ably.ActionHeartbeat, ID: p.ID})
	case ably.ActionDisconnect:
		return t.finish(&ably.ProtocolMessage{Action: ably.ActionDisconnected})
	case ably.ActionClose:
		err := t.finish(&ably.ProtocolMessage{Action: ably.ActionClosed})
		t.server.forget(t.state, t)
		return err
	case ably.ActionAttach:
		t.attach(p)
	case ably.ActionDetach:
		t.detach(p)
	case ably.ActionMessage, ably.ActionPresence, ably.ActionAnnotation, ably.ActionObject:
		t.published = true
		return t.publish(p)
	case ably.ActionSync:
		t.sync(p)
	case ably.ActionAuth:
		return t.reauthorize(p)
	}
	return nil
}
