package usher_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// visit is the client of a run: it fails unless all that it receives is as it
// should be, and the handler is content.
func (r *run) visit(ctx context.Context, addr, name string, config *tls.Config) error {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	_ = raw.(*net.TCPConn).SetReadBuffer(256 << 10)
	c := r.pace(raw)
	if config != nil {
		c = tls.Client(c, config)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, upgrade(addr, "/?access_token="+name, "Sec-WebSocket-Extensions: permessage-deflate")); err != nil {
		return err
	}
	rd := bufio.NewReaderSize(c, 64<<10)
	res, err := http.ReadResponse(rd, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("got status %s", res.Status)
	}
	r.expires = <-r.admitted
	// A frame and a half: the rest comes before the answer to the Close.
	mine := masked(ws.NewBinaryFrame(make([]byte, 1000)))
	if _, err := c.Write(append(bytes.Clone(mine), mine[:500]...)); err != nil {
		return err
	}
	if r.reader == "stuck" {
		return <-r.ended
	}
	deflate := strings.Contains(res.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate")
	if err := r.frames(rd, deflate); err != nil {
		return err
	}
	if late := time.Since(r.expires); late < 0 || late > r.machine.grace() {
		return fmt.Errorf("got the Close %v after the expiry, want %v at most", late, r.machine.grace())
	}
	answer := append(bytes.Clone(mine[500:]), masked(ws.NewCloseFrame(ws.NewCloseFrameBody(4401, "")))...)
	if _, err := c.Write(answer); err != nil {
		return fmt.Errorf("answer the Close: %w", err)
	}
	if b, err := rd.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("got %x, %w after the Close, want EOF", b, err)
	}
	if late := time.Since(r.expires); late > r.machine.grace() {
		return fmt.Errorf("got the end %v after the expiry, though the Close was answered", late)
	}
	return <-r.ended
}

// tooLate reports whether err is that of a connection which was cut, as it is when
// the client has not taken all or not answered within 3 s, on a machine that is
// later than that.
func (r *run) tooLate(err error) bool {
	cut := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	return cut && time.Since(r.expires) >= 3*time.Second && r.machine.grace() > 3*time.Second
}

// frames reads up to the Close, and checks each frame as a strict client does.
func (r *run) frames(rd io.Reader, deflate bool) error {
	state := ws.StateClientSide
	if deflate {
		state = state.Set(ws.StateExtended)
	}
	for {
		h, err := ws.ReadHeader(rd)
		if err != nil {
			return fmt.Errorf("read the head of a frame: %w", err)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return fmt.Errorf("frame %+v: %w", h, err)
		}
		if h.Length > 1<<20 {
			return fmt.Errorf("frame %+v: larger than any that was written", h)
		}
		if h.OpCode == ws.OpClose {
			return r.goodbye(rd, h)
		}
		if _, err := io.CopyN(io.Discard, rd, h.Length); err != nil {
			return fmt.Errorf("frame %+v was cut: %w", h, err)
		}
		if !h.OpCode.IsControl() {
			state = state.Clear(ws.StateFragmented)
			if !h.Fin {
				state = state.Set(ws.StateFragmented)
			}
		}
	}
}

func (r *run) goodbye(rd io.Reader, h ws.Header) error {
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(rd, payload); err != nil || len(payload) < 2 {
		return fmt.Errorf("read the Close: %d bytes, %w", len(payload), err)
	}
	code, reason := binary.BigEndian.Uint16(payload), string(payload[2:])
	if code != usher.CloseUnauthenticated || !strings.HasPrefix(reason, "expired ") {
		return fmt.Errorf("got Close %d %q, want 4401 expired", code, reason)
	}
	return nil
}

// pace makes c as slow as the client is.
func (r *run) pace(c net.Conn) net.Conn {
	if r.reader != "slow" {
		return c
	}
	return &slowConn{Conn: c, last: time.Now()}
}

// A slowConn reads 8 MB/s, in bytes of the network: less than a handler writes,
// and enough for what waits in front of a Close to get through in time.
type slowConn struct {
	net.Conn
	last time.Time
}

func (c *slowConn) Read(p []byte) (int, error) {
	<-time.After(time.Millisecond)
	now := time.Now() // A busy machine wakes late.
	n := int(now.Sub(c.last).Seconds() * 8e6)
	c.last = now
	return c.Conn.Read(p[:max(1, min(len(p), n))])
}
