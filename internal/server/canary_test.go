package server_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// formsOf is how a secret may look where it leaks: as it is, in percent, in hex,
// and in both alphabets of base64 at each of the three alignments.
func formsOf(secret string) []string {
	// The front of a token is the same in all; what must not be seen is the rest.
	secret = secret[max(0, len(secret)-24):]
	percent := ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02x", secret[i])
	}
	forms := []string{secret, percent, strings.ToUpper(percent), url.QueryEscape(secret), hex.EncodeToString([]byte(secret))}
	for shift := range 3 {
		text := secret[shift:]
		text = text[:len(text)/3*3]
		forms = append(forms, base64.RawURLEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)))
	}
	return forms
}

// A carried secret is a target, header lines and a first message.
type carried struct {
	target  string
	lines   []string
	message string
}

// carry brings a secret by every carrier, to each route.
func carry(secret string) []carried {
	b64 := base64.RawURLEncoding.EncodeToString([]byte(secret))
	percent := ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02X", secret[i])
	}
	var all []carried
	for _, path := range []string{"/chat", "/cookie", "/csrf", "/devices", "/nothing", "//chat", "/chat/../x", "/usher/v1/tickets", "/usher/v1/csrf", "/usher/v1/x"} {
		all = append(all,
			carried{target: path + "?access_token=" + secret},
			carried{target: path + "?%61ccess_token=" + percent},
			carried{target: path + "?ticket=" + secret},
			carried{target: path, lines: []string{"Authorization: Bearer " + secret}},
			carried{target: path, lines: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+secret))}},
			carried{target: path, lines: []string{"Cookie: a=1; sid=" + secret}},
		)
	}
	return append(all,
		carried{target: "/chat", lines: []string{"Sec-WebSocket-Protocol: chat, usher.bearer." + b64}},
		carried{target: "/chat", lines: []string{"Sec-WebSocket-Protocol: usher.bearer." + b64}},
		carried{target: "/chat", lines: []string{"Sec-WebSocket-Protocol: chat, usher.ticket." + secret}},
		carried{target: "/chat", lines: []string{"Sec-WebSocket-Protocol: chat, usher.bearer." + b64 + ", a/b"}},
		carried{target: "/chat?access_token=" + secret, lines: []string{"Authorization: Bearer x" + secret}},
		carried{target: "http://u:" + secret + "@x.test/chat"},
		carried{target: "/chat", message: `{"type":"auth","token":"` + secret + `","ack":true}`},
		carried{target: "/chat", message: `{"type":"auth","token":"` + secret + `",}`},
	)
}

// visit sends what a carrier brings and writes down all that comes back.
func (c carried) visit(t *testing.T, addr, method, origin string, answers io.Writer) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	lines := append([]string{method + " " + c.target + " HTTP/1.1", "Host: x.test"}, c.lines...)
	if origin != "" {
		lines = append(lines, "Origin: "+origin)
	}
	if method == "UPGRADE" {
		lines[0] = "GET " + c.target + " HTTP/1.1"
		lines = append(lines, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
	} else {
		lines = append(lines, "Connection: close", "X-Requested-With: x", "Content-Length: 0")
	}
	fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	rd := bufio.NewReader(io.TeeReader(conn, answers))
	res, err := http.ReadResponse(rd, nil)
	if err != nil {
		t.Fatalf("%s: no answer: %v", lines[0], err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, res.Body)
		return
	}
	for _, message := range []string{c.message, "hello"} {
		if message != "" {
			_ = ws.WriteFrame(conn, ws.MaskFrameWith(ws.NewTextFrame([]byte(message)), [4]byte{}))
		}
	}
	_ = ws.WriteFrame(conn, ws.MaskFrameWith(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")), [4]byte{}))
	_, _ = io.Copy(io.Discard, rd)
}

// TestCanary: no credential, good or bad, by whatever carrier, is in anything
// that the gateway logs, tells, shows to its operator or sends to a backend.
func TestCanary(t *testing.T) {
	b := newBackend(t)
	g := allCarriers(t, b)
	forged := token(t, secret, nil)
	forged = forged[:len(forged)-24] + strings.Repeat("cAnArY", 4)
	secrets := []string{
		token(t, secret, map[string]any{"jti": "canary"}), forged, "known-session", "cAnArY-opaque-and-wrong-0001", "correct horse",
		token(t, secret, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
	}
	var answers logbook
	for _, s := range secrets {
		for _, c := range carry(strings.ReplaceAll(s, " ", "%20")) {
			if s == "correct horse" && !strings.HasPrefix(strings.Join(c.lines, ""), "Authorization: Basic") {
				continue // It is a password, and a space ends a target.
			}
			c.lines = append([]string(nil), c.lines...)
			if s == "correct horse" {
				c.lines = []string{"Authorization: " + basic("alice", s).Get("Authorization")}
			}
			for _, origin := range []string{"", page, "https://evil.example"} {
				c.visit(t, g.public, "UPGRADE", origin, &answers)
			}
			c.visit(t, g.public, "GET", "", &answers)
			c.visit(t, g.public, "POST", page, &answers)
		}
	}
	ticket := buy(t, g, "?route=/chat", bearer(t))
	carried{target: "/chat?ticket=" + ticket}.visit(t, g.public, "UPGRADE", "", &answers)
	carried{target: "/chat?ticket=" + ticket}.visit(t, g.public, "UPGRADE", "", &answers)
	shown := ""
	for _, path := range []string{"/metrics", "/readyz", "/usher/v1/status"} {
		_, body := do(t, http.MethodGet, "http://"+g.admin+path, nil, "")
		shown += body
	}
	for _, id := range explainIDs(answers.String()) {
		_, body := do(t, http.MethodGet, "http://"+g.admin+"/usher/v1/explain/"+id, nil, "")
		shown += body
	}
	g.stop()
	for where, text := range map[string]string{
		"the log": g.logs.String(), "an answer": answers.String(), "what the operator sees": shown, "the backend": b.got.String(),
	} {
		for _, s := range append(secrets, ticket) {
			for _, form := range formsOf(s) {
				if i := strings.Index(text, form); i >= 0 && !isDeskAnswer(text, i) {
					t.Fatalf("%s holds a credential, as %q: %q", where, form, text[max(0, i-300):min(len(text), i+100)])
				}
			}
		}
	}
	for _, alive := range []struct{ name, text, part string }{
		{"log", g.logs.String(), "explain_id="},
		{"log", g.logs.String(), "subject=alice"},
		{"answers", answers.String(), "HTTP/1.1 101"},
		{"answers", answers.String(), "HTTP/1.1 401"},
		{"answers", answers.String(), "HTTP/1.1 404"},
		{"answers", answers.String(), "HTTP/1.1 400"},
		{"answers", answers.String(), `{"type":"auth_ok"`},
		{"operator's view", shown, "wrong signature"},
		{"operator's view", shown, "credential expired"},
		{"operator's view", shown, "usher_verdicts_total"},
		{"backend", b.got.String(), "X-User: alice"},
		{"backend", b.got.String(), "Cookie: a=1\r\n"},
		{"backend", b.got.String(), "hello"},
	} {
		if !strings.Contains(alive.text, alive.part) {
			t.Errorf("the %s of %d bytes has no %q: the canary proves nothing", alive.name, len(alive.text), alive.part)
		}
	}
}

// isDeskAnswer reports whether what stands at i is a ticket that the desk has
// just made for whoever asks.
func isDeskAnswer(text string, i int) bool {
	line := text[strings.LastIndexByte(text[:i], '\n')+1 : i]
	return strings.HasPrefix(line, `{"ticket":"`)
}

// explainIDs finds the ids that clients were given, in bodies and in Close
// frames.
func explainIDs(text string) []string {
	var ids []string
	for _, mark := range []string{`"explain_id":"`, "unauthenticated ", "expired ", "forbidden "} {
		for part := range strings.SplitSeq(text, mark) {
			if len(part) >= 12 && strings.Trim(part[:12], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == "" {
				ids = append(ids, part[:12])
			}
		}
	}
	return ids[:min(len(ids), 400)]
}
