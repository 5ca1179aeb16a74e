package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/usher-ws/usher/internal/head"
)

// errAnswer: the upstream did not answer as a WebSocket server does. Nothing is
// tunneled to it.
var errAnswer = errors.New("upstream's answer is no WebSocket handshake")

// An answerError is an upstream's refusal of the handshake.
type answerError struct{ status int }

func (e *answerError) Error() string { return fmt.Sprintf("upstream answered %d", e.status) }

// An answer is the head of an upstream's answer to a handshake.
type answer struct {
	status int
	other  bool // It is not HTTP/1.1.
	body   bool // It says that it has one.
	fields []head.Field
}

// isPlain takes the head if it is a plain 101, without what has a meaning to
// net/http.
func (a *answer) isPlain(text string) bool {
	line, fields, plain := head.Parse(text, a.fields)
	rest, http11 := strings.CutPrefix(line, "HTTP/1.1 ")
	if code, _, _ := strings.Cut(rest, " "); !plain || !http11 || code != "101" {
		return false
	}
	for i := range fields {
		switch fields[i].Name {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Pragma":
			return false
		}
	}
	a.status, a.fields = http.StatusSwitchingProtocols, fields
	return true
}

// take takes what net/http has read.
func (a *answer) take(res *http.Response) {
	_, length := res.Header["Content-Length"]
	a.status, a.other = res.StatusCode, res.ProtoMajor != 1 || res.ProtoMinor != 1
	a.body = length || len(res.TransferEncoding) > 0
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		for _, value := range res.Header[name] {
			a.fields = append(a.fields, head.Field{Name: name, Value: value})
		}
	}
}

// values returns all values of a header.
func (a *answer) values(name string) []string {
	var list []string
	for i := range a.fields {
		if a.fields[i].Name == name {
			list = append(list, a.fields[i].Value)
		}
	}
	return list
}

// one returns the value of a header that there is once: of none and of several
// it is empty.
func (a *answer) one(name string) string {
	found := ""
	for i, n := 0, 0; i < len(a.fields); i++ {
		if a.fields[i].Name != name {
			continue
		}
		if n++; n > 1 {
			return ""
		}
		found = a.fields[i].Value
	}
	return found
}

// check holds the answer against RFC 6455 §4.1 and what was offered.
func (a *answer) check(key string, o offer) error {
	if a.status != http.StatusSwitchingProtocols {
		return &answerError{a.status}
	}
	var room [32]byte
	switch {
	case a.other:
		return fmt.Errorf("%w: not HTTP/1.1", errAnswer)
	case !strings.EqualFold(a.one("Upgrade"), "websocket"):
		return fmt.Errorf("%w: no Upgrade: websocket", errAnswer)
	case !a.upgrades():
		return fmt.Errorf("%w: no Connection: Upgrade", errAnswer)
	case a.one("Sec-Websocket-Accept") != string(appendAccept(room[:0], key)):
		return fmt.Errorf("%w: missing or wrong Sec-WebSocket-Accept", errAnswer)
	case a.body: // RFC 9110 §8.6, RFC 9112 §6.1
		return fmt.Errorf("%w: a 101 with a body", errAnswer)
	}
	selected := a.values("Sec-Websocket-Protocol")
	if len(selected) > 1 || len(selected) == 1 && !slices.Contains(items(o.subprotocols), selected[0]) {
		return fmt.Errorf("%w: a subprotocol that was not offered", errAnswer)
	}
	offered, chosen := extensionNames(o.extensions), a.extensions()
	for i, name := range chosen {
		if !slices.Contains(offered, name) || slices.Contains(chosen[:i], name) {
			return fmt.Errorf("%w: an extension that was not offered, or twice", errAnswer)
		}
	}
	return nil
}

// upgrades reports whether Connection says so.
func (a *answer) upgrades() bool {
	for i := range a.fields {
		if a.fields[i].Name != "Connection" {
			continue
		}
		for item := range strings.SplitSeq(a.fields[i].Value, ",") {
			if strings.EqualFold(strings.TrimSpace(item), "upgrade") {
				return true
			}
		}
	}
	return false
}

// extensions are those that the upstream has chosen, by their names.
func (a *answer) extensions() []string { return extensionNames(a.values("Sec-Websocket-Extensions")) }

// passOn gives the client the upstream's 101, without what was between the
// upstream and the gateway, and takes the client's connection over.
func (b *behind) passOn(w http.ResponseWriter, r *http.Request, g *greeting) (net.Conn, error) {
	also := named(g.answer.values("Connection"))
	fields := slices.DeleteFunc(g.answer.fields, func(f head.Field) bool {
		return hopByHop[f.Name] || slices.Contains(also, f.Name) || f.Name == "Sec-Websocket-Accept" ||
			f.Name == "Set-Cookie" && !b.AllowSetCookie
	})
	accept := string(appendAccept(nil, r.Header.Get("Sec-Websocket-Key")))
	guarded, ok := w.(interface {
		Switch(head []byte) (net.Conn, error)
	})
	if ok && len(w.Header()) == 0 {
		g.out = g.out[:0]
		g.out.line("HTTP/1.1 101 Switching Protocols")
		for _, f := range fields {
			g.out.field(f.Name, f.Value)
		}
		g.out.line("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ", accept, "\r\n")
		return guarded.Switch(g.out)
	}
	h := make(http.Header, len(fields)+3)
	for _, f := range fields {
		h[f.Name] = append(h[f.Name], f.Value)
	}
	h["Upgrade"], h["Connection"], h["Sec-Websocket-Accept"] = []string{"websocket"}, []string{"Upgrade"}, []string{accept}
	maps.Copy(w.Header(), h)
	w.WriteHeader(http.StatusSwitchingProtocols)
	client, _, err := http.NewResponseController(w).Hijack()
	return client, err
}
