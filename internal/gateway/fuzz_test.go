package gateway

import (
	"bytes"
	"encoding/binary"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// However bytes are split, the same of them pass; what passes is the front of
// what came, up to the first frame that is out of order.
func FuzzFrames(f *testing.F) {
	good := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("hello"))))
	f.Add(good, uint8(1), true, false)
	f.Add(append(bytes.Clone(good), 0x81, 0x01, 'x'), uint8(3), true, false)
	f.Add([]byte("\x01\x03abc\x89\x00\x80\x7e\x00\x7e"+strings.Repeat("x", 126)), uint8(2), false, false)
	f.Add([]byte("\xc1\x01x\x88\x02\x03\xe8\x81\x00"), uint8(5), false, true)
	f.Add([]byte("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), uint8(9), false, false)
	f.Add([]byte("\x82\xfe\x00\x05\x00\x00\x00\x00xxxxx"), uint8(4), true, false)
	f.Fuzz(func(t *testing.T, data []byte, piece uint8, client, compressed bool) {
		state, extensions := ws.StateClientSide, []string(nil)
		if client {
			state = ws.StateServerSide
		}
		if compressed {
			extensions = []string{deflate}
		}
		whole, wholeErr := passed(newChecker(state, extensions), data, len(data))
		split, splitErr := passed(newChecker(state, extensions), data, int(piece))
		if !bytes.Equal(whole, split) || (wholeErr == nil) != (splitErr == nil) {
			t.Errorf("got %x, %v in pieces of %d, want %x, %v", split, splitErr, piece, whole, wholeErr)
		}
		if !bytes.HasPrefix(data, whole) {
			t.Errorf("got %x passed of %x, want a front of it", whole, data)
		}
		rest := bytes.NewReader(whole)
		for rest.Len() > 0 {
			h, err := ws.ReadHeader(rest)
			if err != nil || h.Masked != client || h.OpCode.IsReserved() || h.Rsv&3 != 0 || h.Rsv != 0 && !compressed {
				t.Fatalf("passed a frame with the head %+v, %v", h, err)
			}
			n := min(h.Length, int64(rest.Len()))
			if _, err := rest.Seek(n, 1); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// passed returns what of data passes in pieces, and the error that ended it.
func passed(c *checker, data []byte, piece int) ([]byte, error) {
	var out []byte
	for len(data) > 0 {
		p := data[:min(len(data), max(piece, 1))]
		data = data[len(p):]
		for len(p) > 0 {
			held, n, used, err := c.take(p)
			out = append(append(out, held...), p[:n]...)
			if err != nil {
				return out, err
			}
			p = p[used:]
		}
	}
	return out, nil
}

// What is joined to the upstream's path never leads out of it.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/a/b", "/a/%2e%2e", "/a/..%2f..", "/a/..;x/b", "/a/..%5c..", "/a/%252e%252e", "/a//b", "/a/%2F..%2F"} {
		f.Add("/a/{rest...}", p)
		f.Add("/a/{id}", p)
		f.Add("/{x}/", p)
	}
	f.Fuzz(func(t *testing.T, pattern, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || !strings.HasPrefix(pattern, "/") {
			return
		}
		tail, err := newPathRule(pattern).tail(u)
		if err != nil {
			return
		}
		joined := joinURL(&url.URL{Scheme: "ws", Host: "h", Path: "/base/own"}, tail, "")
		plain := strings.ReplaceAll(joined.Path, "\\", "/")
		if clean := path.Clean(plain); clean != "/base/own" && !strings.HasPrefix(clean, "/base/own/") {
			t.Errorf("%s, %s: got %s, which is %s", pattern, raw, joined.EscapedPath(), clean)
		}
	})
}

// However bytes are split, the answers to the gateway's own Pings are left out
// and nothing else is, up to what cannot be told yet.
func FuzzPongs(f *testing.F) {
	own := &pings{nonce: [nonceSize]byte([]byte("nonce!!!"))}
	_ = own.next()
	answer := ws.MustCompileFrame(ws.MaskFrame(ws.NewPongFrame(own.next()[2:])))
	other := ws.MustCompileFrame(ws.MaskFrame(ws.NewPongFrame([]byte("nonce!!?12345678"))))
	text := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpText, false, []byte("hello"))))
	f.Add(bytes.Join([][]byte{text, answer, text}, nil), uint8(1), uint8(2))
	f.Add(bytes.Join([][]byte{text, answer, answer, other}, nil), uint8(3), uint8(2))
	f.Add(bytes.Join([][]byte{other, answer[:21]}, nil), uint8(7), uint8(3))
	f.Add(bytes.Join([][]byte{answer, {0x88, 0x80, 0, 0, 0, 0}, answer}, nil), uint8(22), uint8(2))
	f.Add(bytes.Join([][]byte{answer, {0x8a, 0xfe, 0, 16}, text}, nil), uint8(2), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, piece, sent uint8) {
		check := func() *checker {
			c := newChecker(ws.StateServerSide, nil)
			c.pings = &pings{nonce: own.nonce}
			c.pings.sent.Store(uint64(sent))
			return c
		}
		whole, wholeErr := passed(check(), data, len(data))
		split, splitErr := passed(check(), data, int(piece))
		if !bytes.Equal(whole, split) || (wholeErr == nil) != (splitErr == nil) {
			t.Errorf("got %x, %v in pieces of %d, want %x, %v", split, splitErr, piece, whole, wholeErr)
		}
		all, allErr := passed(newChecker(ws.StateServerSide, nil), data, len(data))
		if (wholeErr == nil) != (allErr == nil) {
			t.Errorf("got %v, want %v", wholeErr, allErr)
		}
		want, held := unanswered(all, own.nonce, uint64(sent))
		if !bytes.Equal(whole, want) && (!held || !bytes.HasPrefix(want, whole) || len(want)-len(whole) >= heldSize) {
			t.Errorf("got %x passed of %x, want %x", whole, data, want)
		}
	})
}

// unanswered is a client's stream of frames without the answers to as many Pings
// as were sent, and whether it ends within what may be one.
func unanswered(stream []byte, nonce [nonceSize]byte, sent uint64) (rest []byte, held bool) {
	rd := bytes.NewReader(stream)
	for answered := uint64(0); rd.Len() > 0; {
		from := len(stream) - rd.Len()
		h, err := ws.ReadHeader(rd)
		if err != nil || h.Length > int64(rd.Len()) { // The last is not whole.
			return append(rest, stream[from:]...), answered < sent && bytes.HasPrefix(stream[from:], []byte{0x8a, 0x90})
		}
		payload := make([]byte, h.Length)
		_, _ = rd.Read(payload) // It is there.
		ws.Cipher(payload, h.Mask, 0)
		if h.OpCode == ws.OpPong && len(payload) == pingSize && bytes.HasPrefix(payload, nonce[:]) {
			if n := binary.BigEndian.Uint64(payload[nonceSize:]); n > answered && n <= sent {
				answered = n
				continue
			}
		}
		rest = append(rest, stream[from:len(stream)-rd.Len()]...)
	}
	return rest, false
}
