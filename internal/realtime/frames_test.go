package realtime

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// TestInbox has random messages come in random fragments, with control frames
// between them, in random pieces.
func TestInbox(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var want []string
		var wire []byte
		write := func(f ws.Frame) {
			f.Header.Masked, f.Header.Mask = true, ws.NewMask()
			f.Payload = bytes.Clone(f.Payload)
			ws.Cipher(f.Payload, f.Header.Mask, 0)
			b, err := ws.CompileFrame(f)
			if err != nil {
				t.Fatal(err)
			}
			wire = append(wire, b...)
		}
		for range 5 {
			text := strings.Repeat("x", rnd.IntN(3)*rnd.IntN(40_000)) + fmt.Sprint(rnd.Int())
			op := []ws.OpCode{ws.OpText, ws.OpBinary}[rnd.IntN(2)]
			rest, parts := []byte(text), 1+rnd.IntN(3)
			pinged := false
			for i := range parts {
				n := rnd.IntN(len(rest) + 1)
				if i == parts-1 {
					n = len(rest)
				}
				partOp := op
				if i > 0 {
					partOp = ws.OpContinuation
				}
				write(ws.NewFrame(partOp, i == parts-1, rest[:n]))
				rest = rest[n:]
				if pinged = rnd.IntN(2) == 0; pinged {
					write(ws.NewPingFrame([]byte("p")))
					want = append(want, "9:p")
				}
			}
			// A Ping behind the last part comes after the message.
			whole := fmt.Sprintf("%d:%s", op, text)
			if pinged {
				want = slices.Insert(want, len(want)-1, whole)
			} else {
				want = append(want, whole)
			}
		}
		var got []string
		in := inbox{limit: 100_000}
		for len(wire) > 0 {
			n := min(len(wire), 1+rnd.IntN(1+rnd.IntN(20_000)))
			piece := bytes.Clone(wire[:n])
			err := in.take(piece, func(op ws.OpCode, payload []byte) error {
				got = append(got, fmt.Sprintf("%d:%s", op, payload))
				return nil
			})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !bytes.Equal(piece, wire[:n]) {
				t.Fatalf("seed %d: the bytes that were lent were changed", seed)
			}
			wire = wire[n:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: got %d messages, want %d, or others", seed, len(got), len(want))
		}
		if in.held != nil || in.partial != nil {
			t.Errorf("seed %d: got memory held at rest", seed)
		}
	}
}

func TestInboxRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		wire []byte
		want error
	}{
		"not masked":             {[]byte{0x81, 1, 'x'}, errFrame},
		"a reserved bit":         {[]byte{0xc1, 0x80, 0, 0, 0, 0}, errFrame},
		"no such opcode":         {[]byte{0x83, 0x80, 0, 0, 0, 0}, errFrame},
		"continues nothing":      {[]byte{0x80, 0x80, 0, 0, 0, 0}, errFrame},
		"a Ping in parts":        {[]byte{0x09, 0x80, 0, 0, 0, 0}, errFrame},
		"a Ping of 126 bytes":    {[]byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, errFrame},
		"two begun":              {[]byte{0x01, 0x80, 0, 0, 0, 0, 0x01, 0x80, 0, 0, 0, 0}, errFrame},
		"too large":              {[]byte{0x81, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0}, errTooLarge},
		"larger than there is":   {[]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, errTooLarge},
		"too large in two parts": {slices.Concat([]byte{0x01, 0xfe, 0x0f, 0xff, 0, 0, 0, 0}, make([]byte, 0x0fff), []byte{0x80, 0x82, 0, 0, 0, 0}), errTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			in := inbox{limit: 4096}
			if err := in.take(tt.wire, func(ws.OpCode, []byte) error { return nil }); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// However the bytes are cut, it is the same messages.
func FuzzInbox(f *testing.F) {
	f.Add([]byte{0x81, 0x81, 1, 2, 3, 4, 'x', 0x89, 0x80, 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{0x01, 0x81, 1, 2, 3, 4, 'x', 0x80, 0x80, 0, 0, 0, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, cut uint8) {
		read := func(size int) (got []string, failed error) {
			in := inbox{limit: 1000}
			for rest := wire; len(rest) > 0; {
				n := min(size, len(rest))
				if err := in.take(bytes.Clone(rest[:n]), func(op ws.OpCode, p []byte) error {
					got = append(got, fmt.Sprintf("%d:%x", op, p))
					return nil
				}); err != nil {
					return got, err
				}
				if m := in.partial; len(in.held) > 1000+ws.MaxHeaderSize+size || m != nil && len(m.whole) > 1000 {
					t.Fatalf("got %d bytes and the message %+v held, want them bounded", len(in.held), m)
				}
				rest = rest[n:]
			}
			return got, nil
		}
		whole, err := read(len(wire) + 1)
		pieces, pieceErr := read(int(cut) + 1)
		if !slices.Equal(whole, pieces) || !errors.Is(pieceErr, err) {
			t.Errorf("got %v and %v at once, %v and %v in pieces", whole, err, pieces, pieceErr)
		}
	})
}

// A frame has the head that its length wants, whatever it is appended to.
func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte("x"), n)
		want, err := ws.CompileFrame(ws.NewTextFrame(payload))
		if err != nil {
			t.Fatal(err)
		}
		write := func(b []byte) []byte { return append(b, payload...) }
		for _, before := range [][]byte{nil, {}, []byte("before"), make([]byte, 3, 100_000)} {
			got := appendFrame(bytes.Clone(before), ws.OpText, write)
			if !bytes.Equal(got, append(bytes.Clone(before), want...)) {
				t.Errorf("got %d bytes, %x, for %d after %d", len(got), got[:min(len(got), 20)], n, len(before))
			}
		}
	}
}
