package realtime

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
)

// upgrade takes the connection over and returns the answer to the handshake, for
// it to go out in one write with what the client is told first. No extension is
// taken: what goes to many is encoded once.
func upgrade(w http.ResponseWriter, r *http.Request) (conn net.Conn, answer []byte, err error) {
	held := &heldAnswer{ResponseWriter: w}
	conn, _, _, err = ws.UpgradeHTTP(r, held)
	if err == nil {
		return conn, held.text.Bytes(), nil
	}
	if conn != nil {
		_ = conn.SetWriteDeadline(time.Now().Add(closeTime))
		_, _ = conn.Write(held.text.Bytes()) // Why it is none, if that still gets through.
		_ = conn.Close()
	}
	return nil, nil, err
}

// A heldAnswer keeps back what whoever takes the connection over writes first.
type heldAnswer struct {
	http.ResponseWriter
	text bytes.Buffer
}

// Hijack implements http.Hijacker.
func (h *heldAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		rw.Writer.Reset(&h.text)
	}
	return conn, rw, err
}
