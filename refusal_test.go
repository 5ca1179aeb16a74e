package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// TestRefusalOfPage: JavaScript cannot see a status, so a page that may be here
// gets a WebSocket that says why and closes, with the first subprotocol it
// offered that carries nothing.
func TestRefusalOfPage(t *testing.T) {
	h, book := &witness{}, &logbook{}
	g, _ := deliberateGuard()
	g.Log = book.logger()
	s := guard(t, g, h)
	secret := bearerEntry("wrong-word")
	tests := []struct {
		name, target, offer, selected string
		code                          int
		word                          string
	}{
		{"no credential", "/", "", "", 4401, "unauthenticated"},
		{"wrong", "/?access_token=wrong-word", "", "", 4401, "unauthenticated"},
		{"expired", "/?access_token=old-word", "", "", 4401, "expired"},
		{"forbidden", "/?access_token=banned-word", "", "", 4403, "forbidden"},
		{"unavailable", "/?access_token=lost-word", "", "", 4503, "unavailable"},
		{"two", "/?access_token=alice-word&access_token=bob-word", "", "", 4403, "forbidden"},
		{"empty", "/?access_token=", "", "", 4401, "unauthenticated"},
		{"ticket that is none", "/?ticket=alice-word", "", "", 4401, "unauthenticated"},
		{"an offer", "/", "v2, chat", "v2", 4401, "unauthenticated"},
		{"an offer with a secret first", "/", secret + ", chat, v2", "chat", 4401, "unauthenticated"},
		{"a secret that nobody reads", "/", "usher.other.x, chat", "chat", 4401, "unauthenticated"},
		{"a secret alone", "/", secret, "", 4401, "unauthenticated"},
		{"a good secret alone", "/", bearerEntry("alice-word"), "", 4401, "unauthenticated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := []string{"Origin: " + ownOrigin}
			if tt.offer != "" {
				lines = append(lines, "Sec-WebSocket-Protocol: "+tt.offer)
			}
			p := dial(t, s.addr, "")
			p.say(upgrade("self.test", tt.target, lines...))
			res := p.status(http.StatusSwitchingProtocols)
			if got := res.Header.Get("Sec-Websocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455 §1.3
				t.Errorf("got Sec-WebSocket-Accept %q", got)
			}
			if got := strings.Join(res.Header["Sec-Websocket-Protocol"], "|"); got != tt.selected {
				t.Errorf("got subprotocol %q, want %q", got, tt.selected)
			}
			if id := p.closed(tt.code, tt.word); !strings.Contains(book.String(), "explain_id="+id) {
				t.Errorf("the log does not know the explain id %s:\n%s", id, book)
			}
			h.sawNobody(t)
		})
	}
}

// TestRefusalOfOthers: who can read a status gets one, with a problem document
// that has the explain id, and never a redirect.
func TestRefusalOfOthers(t *testing.T) {
	h, book := &witness{}, &logbook{}
	g, _ := deliberateGuard()
	g.Log = book.logger()
	g.Hosts = []string{"self.test"}
	s := guard(t, g, h)
	const bearer, invalid = "Bearer", `Bearer error="invalid_token"`
	tests := []struct {
		name, text string
		status     int
		challenge  string
	}{
		{"no credential", upgrade("self.test", "/"), 401, bearer},
		{"no credential, no upgrade", request("GET", "self.test", "/"), 401, bearer},
		{"a page without an upgrade", request("GET", "self.test", "/", "Origin: "+ownOrigin), 401, bearer},
		{"wrong", upgrade("self.test", "/?access_token=wrong-word"), 401, invalid},
		{"expired", upgrade("self.test", "/?access_token=old-word"), 401, invalid},
		{"forbidden", upgrade("self.test", "/?access_token=banned-word"), 403, ""},
		{"unavailable", upgrade("self.test", "/?access_token=lost-word"), 503, ""},
		{"two", upgrade("self.test", "/?access_token=a&access_token=b"), 400, ""},
		{"a secret alone", upgrade("self.test", "/", "Sec-WebSocket-Protocol: "+bearerEntry("alice-word")), 401, invalid},
		{"wrong origin", upgrade("self.test", "/?access_token=alice-word", "Origin: https://evil.example"), 403, ""},
		{"wrong host", upgrade("evil.example", "/?access_token=alice-word", "Origin: http://evil.example"), 421, ""},
		{"a path that a mux would clean", request("GET", "self.test", "//a/../b"), 401, bearer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := exchange(t, s.addr, tt.text)
			if res.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", res.StatusCode, tt.status)
			}
			if got := res.Header.Get("Www-Authenticate"); got != tt.challenge {
				t.Errorf("got challenge %q, want %q", got, tt.challenge)
			}
			if got := res.Header.Get("Retry-After") != ""; got != (tt.status == 503) {
				t.Errorf("got Retry-After: %t", got)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/problem+json", "Cache-Control": "no-store",
				"X-Content-Type-Options": "nosniff", "Location": "",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
			var problem struct {
				Status    int
				ExplainID string `json:"explain_id"`
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != tt.status || problem.ExplainID == "" {
				t.Fatalf("got body %q (%v), want the status and an explain id", body, err)
			}
			if !strings.Contains(book.String(), "explain_id="+problem.ExplainID) {
				t.Errorf("the log does not know the explain id %s", problem.ExplainID)
			}
			h.sawNobody(t)
		})
	}
}

// TestBasicChallenge: browsers send Basic only after a challenge, so that a page
// without a password, or with a wrong one, gets one; by another carrier it can
// be told more.
func TestBasicChallenge(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Basic(known), usher.Bearer(known)}}, h)
	const challenge = `Basic realm="usher", charset="UTF-8"`
	for name, text := range map[string]string{
		"page":     upgrade("self.test", "/", "Origin: "+ownOrigin),
		"device":   upgrade("self.test", "/"),
		"document": request("GET", "self.test", "/"),
		"wrong":    request("GET", "self.test", "/", basicLine("u", "wrong-word")),
		// Browsers take any other answer for a yes, and never ask for another.
		"wrong, of a page": upgrade("self.test", "/", "Origin: "+ownOrigin, basicLine("u", "wrong-word")),
	} {
		t.Run(name, func(t *testing.T) {
			res, body := exchange(t, s.addr, text)
			got := res.Header["Www-Authenticate"]
			if res.StatusCode != http.StatusUnauthorized || len(got) != 2 || got[0] != challenge {
				t.Errorf("got status %d, challenges %q, body %q, want 401 and %q first", res.StatusCode, got, body, challenge)
			}
			h.sawNobody(t)
		})
	}
	p := dial(t, s.addr, "")
	p.say(upgrade("self.test", "/", "Origin: "+ownOrigin, "Authorization: Bearer wrong-word"))
	p.status(http.StatusSwitchingProtocols)
	p.closed(usher.CloseUnauthenticated, "unauthenticated")
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Basic(known), usher.FirstMessage(known)}}
	if g.Validate() == nil {
		t.Error("Basic beside FirstMessage: got a valid guard, want an error")
	}
}

// TestDeny: an application may refuse in its own protocol. It gets the request
// without the credential and the whole reason, and is not asked about what no
// client of its own sends.
func TestDeny(t *testing.T) {
	h, asked := &witness{}, &witness{}
	var reasons []error
	s := guard(t, &usher.Guard{
		Hosts:    []string{"self.test"},
		Carriers: []usher.Carrier{usher.Query("", known), usher.Bearer(known), usher.Cookie("sid", known)},
		Deny: func(w http.ResponseWriter, r *http.Request, err error) {
			reasons = append(reasons, err)
			asked.ServeHTTP(w, r)
		},
	}, h)
	p := dial(t, s.addr, "")
	p.say(upgrade("self.test", "/?x=1&access_token=old-word", "Origin: "+ownOrigin, "Cookie: sid=bob-word; a=1"))
	p.status(http.StatusSwitchingProtocols)
	p.echo("a protocol of the application's own")
	p.Close()
	h.sawNobody(t)
	seen := asked.saw(t, "") // Deny is told of no identity.
	if seen.request.RequestURI != "/?x=1" || !slices.Equal(seen.request.Header["Cookie"], []string{"a=1"}) {
		t.Errorf("Deny got a request with a credential:\n%s", seen.dump)
	}
	why, ok := errors.AsType[*usher.Refusal](reasons[0])
	if !ok || !errors.Is(reasons[0], usher.ErrExpired) || why.Status != 401 || why.Code != 4401 ||
		why.Word != "expired" || why.ID == "" || why.Carrier != "query" {
		t.Errorf("got reason %+v, want a *Refusal with ErrExpired of the query", reasons[0])
	}
	for _, text := range []string{
		upgrade("evil.example", "/"), upgrade("self.test", "/", "Origin: https://evil.example"),
		strings.Replace(upgrade("self.test", "/"), "Version: 13", "Version: 8", 1),
	} {
		if res, _ := exchange(t, s.addr, text); res.StatusCode < 400 {
			t.Errorf("got status %d, want a refusal in plain HTTP", res.StatusCode)
		}
	}
	asked.sawNobody(t)
}

// TestFirstMessageRefused: what is no good first message is told so by a Close.
func TestFirstMessageRefused(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.FirstMessage(known)}}, h)
	message := func(text string) []byte { return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text)))) }
	masked := func(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }
	auth := []byte(`{"type":"auth","token":"alice-word"}`)
	tests := []struct {
		name  string
		bytes []byte
		code  int
		word  string
	}{
		{"wrong", message(`{"type":"auth","token":"wrong-word"}`), 4401, "unauthenticated"},
		{"expired", message(`{"type":"auth","token":"old-word"}`), 4401, "expired"},
		{"forbidden", message(`{"type":"auth","token":"banned-word"}`), 4403, "forbidden"},
		{"unavailable", message(`{"type":"auth","token":"lost-word"}`), 4503, "unavailable"},
		{"token and ticket", message(`{"type":"auth","token":"alice-word","ticket":"x"}`), 4403, "forbidden"},
		{"a ticket where none is taken", message(`{"type":"auth","ticket":"alice-word"}`), 4401, "unauthenticated"},
		{"another type", message(`{"type":"hello","token":"alice-word"}`), 4401, "unauthenticated"},
		{"no type", message(`{"token":"alice-word"}`), 4401, "unauthenticated"},
		{"a token that is no text", message(`{"type":"auth","token":["alice-word"]}`), 4401, "unauthenticated"},
		{"two objects", message(`{"type":"auth","token":"alice-word"}{}`), 4401, "unauthenticated"},
		{"an array", message(`[{"type":"auth","token":"alice-word"}]`), 4401, "unauthenticated"},
		{"no JSON", message("hello"), 4401, "unauthenticated"},
		{"nothing", message(""), 4401, "unauthenticated"},
		{"invalid UTF-8", message("{\"type\":\"auth\",\"token\":\"\xff\xfe\"}"), 4401, "unauthenticated"},
		{"binary", masked(ws.NewBinaryFrame(auth)), 4401, "unauthenticated"},
		{"in two frames", masked(ws.NewFrame(ws.OpText, false, auth)), 4401, "unauthenticated"},
		{"over 8 KiB", message(`{"type":"auth","token":"alice-word","x":"` + strings.Repeat("x", 8<<10) + `"}`), 4401, "unauthenticated"},
		{"17 pings", slices.Repeat(masked(ws.NewPingFrame(nil)), 17), 4401, "unauthenticated"},
		{"unmasked", ws.MustCompileFrame(ws.NewTextFrame(auth)), 1002, "protocol_error"},
		{"reserved bits", append([]byte{0xc1, 0x80}, 0, 0, 0, 0), 1002, "protocol_error"},
		{"reserved opcode", append([]byte{0x83, 0x80}, 0, 0, 0, 0), 1002, "protocol_error"},
		{"a ping in fragments", append([]byte{0x09, 0x80}, 0, 0, 0, 0), 1002, "protocol_error"},
		{"a ping of 126 bytes", masked(ws.NewPingFrame(make([]byte, 126))), 1002, "protocol_error"},
		{"a length over 63 bits", []byte{0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1002, "protocol_error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := dial(t, s.addr, "")
			p.say(upgrade("self.test", "/"))
			p.status(http.StatusSwitchingProtocols)
			p.say(string(tt.bytes))
			for range strings.Count(tt.name, "17 pings") * 16 {
				if f := p.receive(); f.Header.OpCode != ws.OpPong {
					t.Fatalf("got frame %v, want a pong", f.Header.OpCode)
				}
			}
			p.closed(tt.code, tt.word)
			h.sawNobody(t)
		})
	}
}

// TestLogInjection: what a client chose cannot begin a line in a text log, nor
// reach the terminal of whoever reads it.
func TestLogInjection(t *testing.T) {
	const poison = "a\r\nlevel=ERROR msg=forged \x1b[31m\u2028x\x00"
	book := &logbook{}
	v := usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
		if c.Secret.Reveal() == "subject" {
			return &usher.Identity{Subject: poison, Issuer: poison, Session: poison, Token: poison}, nil
		}
		return nil, fmt.Errorf("no key %s", poison) // As a verifier that names the kid.
	})
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Query("", v)}, Log: book.logger()}
	door := g.Handler(&witness{})
	through(t, door, request("GET", "self.test", "/?access_token=subject"))
	through(t, door, request("GET", "self.test", "/?access_token=kid"))
	through(t, door, request("GET", "self.test", "/a%0d%0alevel=ERROR%1b[31m?access_token=kid"))
	for _, origin := range []string{"https://a\x1b[31m.example", "https://a\tb", "https://a\r\nb"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://self.test/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["Origin"] = []string{origin}
		door.ServeHTTP(discard{}, r)
	}
	text := book.String()
	if lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n"); len(lines) != 6 {
		t.Errorf("got %d lines of log for 6 requests:\n%q", len(lines), text)
	}
	for _, bad := range []string{"\r", "\x1b", "\x00", "\u2028", "\nlevel"} {
		if strings.Contains(text, bad) {
			t.Errorf("the log has %q raw:\n%q", bad, text)
		}
	}
	if !strings.Contains(text, `\x1b[31m`) {
		t.Errorf("the log does not show what was sent:\n%q", text)
	}
}

// discard is a ResponseWriter for answers that nobody looks at.
type discard struct{}

func (discard) Header() http.Header         { return make(http.Header) }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
