package gateway

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants SHA-1; it proves nothing.
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// maxHead bounds the head of an upstream's answer, in bytes.
	maxHead = 64 << 10
	// maxInterim bounds the 1xx answers before it.
	maxInterim = 5
)

// errAnswer: the upstream did not answer as a WebSocket server does. Nothing is
// tunneled to it.
var errAnswer = errors.New("upstream's answer is no WebSocket handshake")

// An upstreamConn is a connection to an upstream that has switched protocols.
type upstreamConn struct {
	net.Conn
	// early is what came behind the head of the answer.
	early []byte
	// answer is the head of the answer, as the client may see it.
	answer http.Header
}

// shake makes the WebSocket handshake (RFC 6455 §4.1) on c for the request out,
// whose header has what the client offers, within timeout.
func shake(c net.Conn, out *http.Request, timeout time.Duration) (*upstreamConn, error) {
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, err
	}
	key := base64.StdEncoding.EncodeToString(nonce[:])
	h := out.Header
	h["Connection"] = []string{"Upgrade"}
	h["Upgrade"] = []string{"websocket"}
	h["Sec-Websocket-Key"] = []string{key}
	h["Sec-Websocket-Version"] = []string{"13"}
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	g := greetings.Get().(*greeting)
	defer g.over()
	if err := g.write(c, out); err != nil {
		return nil, fmt.Errorf("%w: write handshake: %w", usher.ErrUnavailable, err)
	}
	rd := g.read(c)
	res, err := readAnswer(rd, out) //nolint:bodyclose // A 101 has none; any other may not end, and is cut with its connection.
	if err != nil {
		return nil, fmt.Errorf("%w: %w", usher.ErrUnavailable, err)
	}
	if err := checkAnswer(res, key, out.Header); err != nil {
		return nil, err
	}
	early, err := rd.Peek(rd.Buffered())
	if err != nil {
		return nil, err
	}
	return &upstreamConn{Conn: c, early: slices.Clone(early), answer: res.Header}, c.SetDeadline(time.Time{})
}

// A greeting has the buffers of a handshake, which are used again.
type greeting struct {
	wr      *bufio.Writer
	rd      *bufio.Reader
	limited io.LimitedReader
}

var greetings = sync.Pool{New: func() any {
	return &greeting{wr: bufio.NewWriterSize(nil, 4<<10), rd: bufio.NewReaderSize(nil, 4<<10)}
}}

func (g *greeting) write(c net.Conn, out *http.Request) error {
	g.wr.Reset(c)
	if err := out.Write(g.wr); err != nil {
		return err
	}
	return g.wr.Flush()
}

func (g *greeting) read(c net.Conn) *bufio.Reader {
	g.limited = io.LimitedReader{R: c, N: maxHead}
	g.rd.Reset(&g.limited)
	return g.rd
}

// over gives the buffers back. What the answer said was copied out of them.
func (g *greeting) over() {
	g.wr.Reset(nil)
	g.rd.Reset(nil)
	g.limited.R = nil
	greetings.Put(g)
}

// readAnswer reads the head of the final answer.
func readAnswer(rd *bufio.Reader, out *http.Request) (*http.Response, error) {
	for range maxInterim {
		res, err := http.ReadResponse(rd, out)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if res.StatusCode/100 != 1 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, nil
		}
	}
	return nil, errors.New("read answer: too many interim answers")
}

// An answerError is an upstream's refusal of the handshake.
type answerError struct{ status int }

func (e *answerError) Error() string { return fmt.Sprintf("upstream answered %d", e.status) }

// checkAnswer holds the answer against RFC 6455 §4.1 and what was offered.
func checkAnswer(res *http.Response, key string, offer http.Header) error {
	if res.StatusCode != http.StatusSwitchingProtocols {
		return &answerError{res.StatusCode}
	}
	h := res.Header
	_, length := h["Content-Length"]
	upgrade, accept := h["Upgrade"], h["Sec-Websocket-Accept"]
	switch {
	case res.ProtoMajor != 1 || res.ProtoMinor != 1:
		return fmt.Errorf("%w: not HTTP/1.1", errAnswer)
	case len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket"):
		return fmt.Errorf("%w: no Upgrade: websocket", errAnswer)
	case !slices.ContainsFunc(items(h["Connection"]), func(s string) bool { return strings.EqualFold(s, "upgrade") }):
		return fmt.Errorf("%w: no Connection: Upgrade", errAnswer)
	case len(accept) != 1 || accept[0] != acceptFor(key):
		return fmt.Errorf("%w: missing or wrong Sec-WebSocket-Accept", errAnswer)
	case length || len(res.TransferEncoding) > 0: // RFC 9110 §8.6, RFC 9112 §6.1
		return fmt.Errorf("%w: a 101 with a body", errAnswer)
	}
	selected := h["Sec-Websocket-Protocol"]
	if len(selected) > 1 || len(selected) == 1 && !slices.Contains(items(offer["Sec-Websocket-Protocol"]), selected[0]) {
		return fmt.Errorf("%w: a subprotocol that was not offered", errAnswer)
	}
	offered, chosen := extensionNames(offer["Sec-Websocket-Extensions"]), extensionNames(h["Sec-Websocket-Extensions"])
	for i, name := range chosen {
		if !slices.Contains(offered, name) || slices.Contains(chosen[:i], name) {
			return fmt.Errorf("%w: an extension that was not offered, or twice", errAnswer)
		}
	}
	return nil
}

func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // See the import.
	return base64.StdEncoding.EncodeToString(sum[:])
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
