package cluster_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// A client is a live connection.
type client struct {
	conn net.Conn
	rd   io.Reader
}

// statusOf returns the HTTP status that a handshake was refused with, or 0.
func statusOf(err error) int {
	var status ws.StatusError
	if errors.As(err, &status) {
		return int(status)
	}
	return 0
}

// dial makes a handshake as a service does: without an Origin.
func dial(ctx context.Context, address, query, bearer string) (*client, error) {
	header := http.Header{}
	if bearer != "" {
		header.Set("Authorization", "Bearer "+bearer)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header), ReadBufferSize: 512, WriteBufferSize: 512}
	conn, early, _, err := d.Dial(ctx, "ws://"+address+"/chat"+query)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, rd: conn}
	if early != nil {
		c.rd = early
	}
	return c, nil
}

// An end is how a connection ended, and when.
type end struct {
	code int
	word string
	at   time.Time
}

// ended waits for the Close frame.
func (c *client) ended() (end, error) {
	rd := bufio.NewReaderSize(c.rd, 256)
	for {
		h, err := ws.ReadHeader(rd)
		if err != nil {
			return end{}, err
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(rd, payload); err != nil {
			return end{}, err
		}
		if h.OpCode != ws.OpClose {
			continue
		}
		e := end{at: time.Now()}
		if len(payload) >= 2 {
			e.code = int(binary.BigEndian.Uint16(payload))
			e.word, _, _ = strings.Cut(string(payload[2:]), " ")
		}
		answer, err := ws.CompileFrame(ws.MaskFrameInPlace(ws.NewCloseFrame(payload)))
		if err != nil {
			return e, err
		}
		_, _ = c.conn.Write(answer)
		_ = c.conn.Close()
		return e, nil
	}
}
