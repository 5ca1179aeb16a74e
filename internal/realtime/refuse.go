package realtime

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/ably"
)

const (
	// holdTime is how long a handshake waits that is refused for now. ably-go comes
	// again as soon as it is told, more than a thousand times in a second.
	holdTime = 2 * time.Second
	// maxHeld is how many wait at a time. Others are answered 503, after which all
	// clients wait by themselves, and do not know what for.
	maxHeld = 1000
)

// Refuse answers a handshake with 101 and an ERROR, since the SDKs can read no
// other answer, and closes. Where it may help to try again later it is
// DISCONNECTED, and not at once: after an ERROR they give up. It is for handshakes
// that were not admitted, too.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, why *ably.ErrorInfo) {
	s.o.Refused(why.Code)
	set, _ := s.wishesOf(r.URL.Query())
	p := &ably.ProtocolMessage{Action: ably.ActionError, Error: why}
	if passes(why) {
		p.Action = ably.ActionDisconnected
	}
	held := passes(why) && why.Code != ably.Disconnected // Of a server that stops, who comes again finds another.
	if held {
		if !s.hold(1) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer s.hold(-1)
	}
	conn, b, err := upgrade(w, r)
	if err != nil {
		return
	}
	defer conn.Close()
	if held {
		_ = conn.SetDeadline(time.Now().Add(holdTime))
		if _, err := conn.Write(b); err != nil {
			return
		}
		b = nil
		awaitClose(conn)
	}
	_ = conn.SetDeadline(time.Now().Add(closeTime))
	b = append(append(b, frame(set.format, p)...), normalClose...)
	if _, err := conn.Write(b); err != nil {
		return
	}
	awaitClose(conn)
}

// refused counts what a client is refused. One that cannot resume is not: it gets
// another connection.
func (s *Server) refused(p *ably.ProtocolMessage) {
	if p.Error != nil && p.Action != ably.ActionConnected {
		s.o.Refused(p.Error.Code)
	}
}

// hold counts handshakes that wait. It reports whether that is within what may.
func (s *Server) hold(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held+n > maxHeld {
		return false
	}
	s.held += n
	return true
}

// awaitClose reads until the client's Close, or its end. Nothing of a frame that
// is no control frame is held: strangers are refused, too.
func awaitClose(conn net.Conn) {
	in := inbox{limit: maxControl}
	var buf [512]byte
	for {
		n, err := conn.Read(buf[:])
		if err == nil {
			err = in.take(buf[:n], func(op ws.OpCode, _ []byte) error {
				if op == ws.OpClose {
					return errOver
				}
				return nil
			})
		}
		if errors.Is(err, errTooLarge) {
			_, err = io.Copy(io.Discard, conn)
		}
		if err != nil {
			return
		}
	}
}

// maxControl is how long the payload of a control frame may be (RFC 6455 §5.5).
const maxControl = 125
