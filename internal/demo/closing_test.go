package demo

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// compiled is frames as they go over the wire.
func compiled(t *testing.T, frames ...ws.Frame) []byte {
	t.Helper()
	var all []byte
	for _, f := range frames {
		one, err := ws.CompileFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one...)
	}
	return all
}

func TestCloseFrameIsWrittenDown(t *testing.T) {
	t.Parallel()
	head := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
	refusal := ws.NewCloseFrame(ws.NewCloseFrameBody(4401, "expired K7"))
	leaving := ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "secret")))
	long := ws.NewTextFrame(make([]byte, 70_000))
	for _, c := range []struct {
		name     string
		out, in  []byte // What the server and then the client send.
		kind     string // Of the last event: of a Close frame, or of another.
		wantLine string
	}{
		{"refusal", compiled(t, refusal), nil, "closed", "Close 4401 expired K7"},
		{"after messages", compiled(t, long, ws.NewPingFrame(nil), ws.NewTextFrame([]byte("x")), refusal), nil, "closed", "Close 4401 expired K7"},
		{"left", nil, compiled(t, leaving), "left", "Close 1000 ‹6 characters›"},
		{"repeated by the client", compiled(t, refusal), compiled(t, leaving), "closed", "Close 4401 expired K7"},
		{"no code", compiled(t, ws.NewCloseFrame(nil)), nil, "closed", "Close"},
		{"none", compiled(t, long), nil, "answer", "HTTP/1.1 101 Switching Protocols"},
		{"too long for a control frame", []byte{0x88, 126, 0, 126}, nil, "answer", "HTTP/1.1 101 Switching Protocols"},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			conn := &recordedConn{ring: newRing(), try: "a"}
			inSteps(conn.says, append(head[:len(head):len(head)], c.out...), step)
			inSteps(conn.sees, c.in, step)
			all, _ := conn.ring.since(0)
			last := all[len(all)-1]
			if last.Kind != c.kind || last.Line != c.wantLine || last.Try != "a" {
				t.Errorf("%s, %d bytes at a time: got %s %q, want %s %q", c.name, step, last.Kind, last.Line, c.kind, c.wantLine)
			}
		}
	}
}

// inSteps gives p to take, at most step bytes at a time.
func inSteps(take func([]byte), p []byte, step int) {
	for len(p) > 0 {
		n := min(step, len(p))
		take(p[:n])
		p = p[n:]
	}
}

// Whatever is sent, the scanner keeps little of it, and what it finds does not
// depend on how it is cut.
func FuzzCloseScanner(f *testing.F) {
	f.Add([]byte{0x88, 2, 0x11, 0x31})
	f.Add([]byte{0x81, 1, 'x', 0x88, 0x80, 1, 2, 3, 4})
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		var whole, cut closeScanner
		want, wanted := whole.next(p)
		var got []byte
		found := false
		for i := range p {
			if payload, ok := cut.next(p[i : i+1]); ok {
				got, found = payload, true
			}
			if len(cut.begun) > maxControl+14 {
				t.Fatalf("kept: got %d bytes", len(cut.begun))
			}
		}
		if found != wanted || !bytes.Equal(got, want) {
			t.Errorf("close: got %q %t a byte at a time, want %q %t", got, found, want, wanted)
		}
	})
}
