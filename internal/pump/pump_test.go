package pump_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher/internal/pump"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns two ends of a connection: on a real socket, or in memory.
func pair(t *testing.T, socket bool) (a, b net.Conn) {
	t.Helper()
	if !socket {
		a, b = net.Pipe()
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if b, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b
}

func TestNextGivesAllBytesAndTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		socket bool
	}{{"socket", true}, {"pipe", false}} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t, tt.socket)
			want := make([]byte, 1<<20)
			if _, err := rand.Read(want); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = a.Write(want)
				_ = a.Close()
			}()
			var got bytes.Buffer
			r := pump.NewReader(b)
			var err error
			for err == nil {
				var p []byte
				p, err = r.Next()
				got.Write(p)
				r.Done()
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("got error %v, want EOF", err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("got %d bytes, not those that were sent", got.Len())
			}
		})
	}
}

func TestNextObeysTheDeadline(t *testing.T) {
	_, b := pair(t, true)
	if err := b.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	p, err := pump.NewReader(b).Next()
	if len(p) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v, want a timeout", len(p), err)
	}
}
