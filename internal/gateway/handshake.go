package gateway

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants SHA-1; it proves nothing.
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/head"
)

const (
	// maxHead bounds the head of an upstream's answer, in bytes.
	maxHead = 64 << 10
	// maxInterim bounds the 1xx answers before it.
	maxInterim = 5
)

// A greeting is what a handshake with an upstream is made with. It is used again.
type greeting struct {
	out     text // What is written: the request, and then the answer to the client.
	key     string
	offer   offer
	timeout time.Duration // For the answer.
	said    bool          // The request was written.
	failed  error         // What went wrong then.

	in     [4 << 10]byte
	heard  int // How much of the answer is in it,
	size   int // and how long its head is; 0 is not known.
	answer answer
	early  []byte // What came behind the head of the answer.
}

var greetings = sync.Pool{New: func() any { return new(greeting) }}

// over gives g back. Nothing of it may be in use any more.
func (g *greeting) over() {
	clear(g.answer.fields[:cap(g.answer.fields)])
	g.out, g.key, g.offer, g.early = g.out[:0], "", offer{}, nil
	g.said, g.failed, g.heard, g.size = false, nil, 0, 0
	g.answer = answer{fields: g.answer.fields[:0]}
	greetings.Put(g)
}

// newKey returns a Sec-WebSocket-Key (RFC 6455 §4.1).
func newKey() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // It does not fail (see its documentation).
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// whole reports whether the head of the answer has come.
func (g *greeting) whole() bool {
	if g.size == 0 {
		g.size = head.Size(g.in[:g.heard])
	}
	return g.size > 0
}

// shake makes on c what is left of the handshake whose request is in g.out.
func (g *greeting) shake(c net.Conn) error {
	if !g.said {
		if g.failed = c.SetDeadline(time.Now().Add(g.timeout)); g.failed == nil {
			_, g.failed = c.Write(g.out)
		}
	}
	if g.failed != nil {
		return fmt.Errorf("%w: handshake: %w", usher.ErrUnavailable, g.failed)
	}
	if err := g.read(c); err != nil {
		return fmt.Errorf("%w: read answer: %w", usher.ErrUnavailable, err)
	}
	if err := g.answer.check(g.key, g.offer); err != nil {
		return err
	}
	if g.said { // There is none for writes.
		return c.SetReadDeadline(time.Time{})
	}
	return c.SetDeadline(time.Time{})
}

// read reads the head of the answer. One that is a plain 101 and comes at once is
// read where it is, all others by net/http.
func (g *greeting) read(c net.Conn) error {
	var rest io.Reader = c
	for !g.whole() && g.heard < len(g.in) {
		n, err := c.Read(g.in[g.heard:])
		if g.heard += n; err != nil {
			rest = broken{err}
			break
		}
	}
	all := g.in[:g.heard]
	if g.whole() && g.answer.isPlain(string(all[:g.size])) {
		g.early = all[g.size:]
		return nil
	}
	rd := bufio.NewReader(io.LimitReader(io.MultiReader(bytes.NewReader(all), rest), maxHead))
	res, err := readAnswer(rd) //nolint:bodyclose // A 101 has none; any other may not end, and is cut with its connection.
	if err != nil {
		return err
	}
	g.answer.take(res)
	g.early, err = rd.Peek(rd.Buffered())
	return err
}

// A broken reader fails as one has before.
type broken struct{ err error }

// Read fails.
func (b broken) Read([]byte) (int, error) { return 0, b.err }

// readAnswer reads the head of the final answer.
func readAnswer(rd *bufio.Reader) (*http.Response, error) {
	for range maxInterim {
		res, err := http.ReadResponse(rd, nil)
		if err != nil {
			return nil, err
		}
		if res.StatusCode/100 != 1 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, nil
		}
	}
	return nil, errors.New("too many interim answers")
}

// appendAccept appends the Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
func appendAccept(b []byte, key string) []byte {
	var room [64]byte
	sum := sha1.Sum(append(append(room[:0], key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)) //nolint:gosec // See the import.
	return base64.StdEncoding.AppendEncode(b, sum[:])
}

// items splits comma-separated values.
func items(values []string) []string {
	var list []string
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	}
	return list
}

// extensionNames lists the extensions without their parameters, which may hold
// no comma in any extension that is registered.
func extensionNames(values []string) []string {
	list := items(values)
	for i, item := range list {
		name, _, _ := strings.Cut(item, ";")
		list[i] = strings.ToLower(strings.TrimSpace(name))
	}
	return list
}
