package server_test

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/server"
)

const (
	upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	// hello is a text frame of a client.
	hello = "\x81\x85\x00\x00\x00\x00hello"
	// last makes the gateway end the connection, whatever was before it: as a
	// request that asks for it, or as a frame that is none.
	last = "GET /last HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n\r\n"
)

// An attack is what a client sends at once.
type attack struct{ name, text string }

// handshake is one with more headers in it. AUTH stands for a good credential.
func handshake(target, more string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: gate.example\r\nAUTH\r\n" + upgrade + more + "\r\n"
}

// masked is a text frame of a client.
func masked(text string) string {
	return "\x81\xfe" + string([]byte{byte(len(text) >> 8), byte(len(text))}) + "\x00\x00\x00\x00" + text
}

// attacks are what was tried elsewhere to get something past a gateway, or to be
// somebody else behind it. They are with a good token.
func attacks(token string) []attack {
	good := handshake("/chat/a", "")
	refused := strings.Replace(good, "AUTH\r\n", "", 1)
	page := strings.Replace(refused, "\r\n\r\n", "\r\nOrigin: http://gate.example\r\n\r\n", 1)
	foreign := strings.Replace(good, "\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n", 1)
	first := strings.Replace(refused, "/chat", "/first", 1)
	hub := strings.Replace(refused, "/chat/a", "/?v=3&key=chat.full:wrong", 1)
	internal := "GET /internal HTTP/1.1\r\nHost: gate.example\r\nX-User-Id: root\r\nAUTH\r\n\r\n"
	plain := "GET /chat/b HTTP/1.1\r\nHost: gate.example\r\nX-User-Id: root\r\nAUTH\r\n\r\n"
	list := []attack{
		{"a request behind a handshake", good + plain},
		{"a request behind a refused handshake", refused + plain},
		{"one that is nobody's behind a refused handshake", refused + internal},
		{"one behind the handshake of a refused page", page + plain},
		{"one behind the handshake of a foreign page", foreign + plain},
		{"a handshake behind a refused one", refused + good + hello},
		{"a handshake behind two refused ones", refused + refused + good + hello},
		{"a handshake behind a request", plain + good + hello},
		{"a handshake behind a handshake", good + good},
		{"a handshake to nowhere, and a request", handshake("/nowhere", "") + plain},
		{"frames behind the handshake", good + hello + hello},
		{"half a frame behind the handshake", good + hello[:4]},
		{"many frames behind the handshake", good + strings.Repeat(hello, 2000)},
		{"frames behind a refused handshake", refused + hello},
		{"frames behind the handshake of a refused page", page + hello},
		{"a line behind a refused handshake", refused + "\r\n" + plain},
		{"no line behind a refused handshake", refused + "\x00" + plain},
		{"a first message behind the handshake", first + masked(`{"type":"auth","token":"`+token+`"}`) + hello + hello},
		{"a first message that is long", first + masked(`{"type":"auth","token":"`+token+`"`+strings.Repeat(" ", 5000)+"}") + hello},
		{"a bad first message behind the handshake", first + masked(`{"type":"auth","token":"x"}`) + hello},
		{"another message than the first", first + hello + masked(`{"type":"auth","token":"`+token+`"}`)},
		{"a request instead of a first message", first + plain},
		{"the hub, with a bad key", hub + hello + plain},
		{"the hub, with none", strings.Replace(hub, "&key=chat.full:wrong", "", 1) + plain},
		{"the hub, with a bad key and no handshake", strings.Replace(hub, "Upgrade: websocket", "X-A: 1", 1) + plain},
		{"a body on a handshake", handshake("/chat/a", "Content-Length: 5\r\n") + "hello" + plain},
		{"a body of another length", handshake("/chat/a", "Content-Length: 0\r\nContent-Length: 5\r\n") + plain},
		{"a body in chunks", handshake("/chat/a", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n" + plain},
		{"a body in both", handshake("/chat/a", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n" + plain},
		{"a body in hidden chunks", handshake("/chat/a", "Transfer-Encoding : chunked\r\n") + "0\r\n\r\n" + plain},
		{"a body in chunks of another name", handshake("/chat/a", "Transfer_Encoding: chunked\r\n") + "0\r\n\r\n" + plain},
		{"a head that is folded", handshake("/chat/a", "X-A: 1\r\n X-User-Id: root\r\n")},
		{"a head with NUL", handshake("/chat/a", "X-A: 1\x00X-User-Id: root\r\n")},
		{"a head with bare LF", handshake("/chat/a", "X-A: 1\nX-User-Id: root\r\n")},
		{"a head with bare CR", handshake("/chat/a", "X-A: 1\rX-User-Id: root\r\n")},
		{"two hosts", handshake("/chat/a", "Host: evil.example\r\n")},
		{"two keys", handshake("/chat/a", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")},
		{"two versions", handshake("/chat/a", "Sec-WebSocket-Version: 8\r\n")},
		{"two upgrades", handshake("/chat/a", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n")},
		{"two credentials", handshake("/chat/a", "AUTH\r\n")},
		{"two origins", handshake("/chat/a", "Origin: http://gate.example\r\nOrigin: http://evil.example\r\n")},
		{"no key", strings.Replace(good, "Sec-WebSocket-Key", "X-Key", 1)},
		{"a short key", strings.Replace(good, "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 1)},
		{"another version", strings.Replace(good, "Version: 13", "Version: 8", 1)},
		{"no host", strings.Replace(good, "Host: gate.example\r\n", "", 1)},
		{"an odd host", strings.Replace(good, "Host: gate.example", "Host: a..b:::[]", 1)},
		{"hop by hop", strings.Replace(good, "Connection: Upgrade", "Connection: Upgrade, X-User-Id, X-Forwarded-For", 1)},
		{"as many headers as are plain", handshake("/chat/a", strings.Repeat("X-A: 1\r\n", 57))},
		{"one more", handshake("/chat/a", strings.Repeat("X-A: 1\r\n", 58))},
		{"a thousand", handshake("/chat/a", strings.Repeat("X-A: 1\r\n", 1000))},
		{"a large head", handshake("/chat/a", "X-A: "+strings.Repeat("a", 7000)+"\r\n") + hello},
		{"a larger head", handshake("/chat/a", "X-A: "+strings.Repeat("a", 20000)+"\r\n") + hello},
	}
	for _, target := range []string{
		"/chat/../internal", "/chat/./a", "/chat/%2e%2e/internal", "/chat/..%2finternal", "/chat//a", "//chat/a", "//evil.example/chat/a", "/chat/%00", "/chat/%0d%0aX-User-Id:%20root",
		"/chat/%", "/chat/%zz", "/chat/a%2Fb?c=%2F", "/chat/a?b#c", "/chat/a;b=c", "/chat/\\..\\a", "/chat/\xc3\xa4", "/chat/%ff", "/CHAT/a", "/ch%61t/a", "/chat/a?access_token=x&ticket=y&z=1",
		"http://evil.example/chat/a", "*", "chat/a", "/chat/a?" + strings.Repeat("q", 4000), "/chat", "/chat/",
	} {
		list = append(list, attack{"target " + target[:min(len(target), 40)], handshake(target, "") + hello})
	}
	for _, forged := range []string{
		"X-User-Id: root", "x-user-id: root", "X_User_Id: root", "x_USER.id: root", "X~User!Id: root", "X-User_Id: root", "X-USER-ID:root", "X'User*Id: root",
		"X-User-Id: root\r\nX-User-Id: admin", "X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "x-forwarded-PROTO: https", "X-Forwarded-Host: 6.6.6.6", "Forwarded: for=6.6.6.6",
		"X-Real-IP: 6.6.6.6", "X_REAL_IP: 6.6.6.6", "True-Client-IP: 6.6.6.6", "Cookie: a=b\r\nCookie: c=d", "X-A: 1\r\nx-a: 2\r\nX-a: 3", "X-A: \t padded \t", "X-A:", "X-A: \xc3\xa4\xff",
		"Sec-WebSocket-Protocol: usher.bearer.YWJj, chat", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Accept: x", "Proxy: evil", "Te: trailers", "Keep-Alive: 5", "Sec-WebSocket-Foo: 1",
		"Proxy-Authorization: Basic YTpi", "Proxy-Connection: keep-alive", "Date: x", "Via: evil", "Trailer: X-User-Id", "Expect: 100-continue", "Range: bytes=0-1", "If-None-Match: *",
	} {
		list = append(list, attack{"header " + forged, handshake("/chat/a", forged+"\r\n") + hello})
	}
	auth := strings.NewReplacer("AUTH", "Authorization: Bearer "+token)
	for i := range list {
		list[i].text = auth.Replace(list[i].text)
	}
	return list
}

// What differs each time.
var (
	eachTime = regexp.MustCompile(`(?m)^((?i:Sec-WebSocket-Key|Date): ).*$`)
	// forgery is what must not come to the backend.
	forgery = regexp.MustCompile(`(?im)/internal|^Authorization|^X.User.Id: (root|admin)|^X.(Forwarded|Real).*6\.6`)
	explain = regexp.MustCompile(`("explain_id":"|explain id |unauthenticated |forbidden |protocol_error |unavailable )[A-Za-z0-9_-]+`)
)

// normal is text without that.
func normal(text string) string {
	if closes(text) { // Its mask is drawn.
		text = text[:len(text)-6]
	}
	return explain.ReplaceAllString(eachTime.ReplaceAllString(text, "${1}…\r"), "${1}…")
}

// send sends text to addr, and returns what comes back until the other end closes,
// or says Close.
func send(t testing.TB, addr, text string) string {
	t.Helper()
	c := connect(t, addr)
	defer c.Close()
	go func() { _, _ = io.WriteString(c, text) }() // It may be more than anybody takes.
	answer, buf := "", make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		answer += string(buf[:n])
		if _, tunnel, ok := strings.Cut(answer, "HTTP/1.1 101 "); ok {
			if _, frames, _ := strings.Cut(tunnel, "\r\n\r\n"); saysClose(frames) {
				return answer
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%q: got no more than %q in %v", text, answer, patience)
		}
		if err != nil {
			return answer
		}
	}
}

// saysClose reports whether there is a Close among the frames of a server.
func saysClose(frames string) bool {
	for len(frames) >= 2 {
		if size := 2 + int(frames[1]); frames[0] == 0x88 {
			return len(frames) >= size
		} else if frames[1] == 126 && len(frames) >= 4 {
			frames = frames[min(len(frames), 4+int(frames[2])<<8+int(frames[3])):]
		} else {
			frames = frames[min(len(frames), size):]
		}
	}
	return false
}

// TestAttacksBothWays tries each attack twice: as it is, and with a bare LF behind
// its first line, which is for net/http and changes nothing else. Client and
// backend get the same.
func TestAttacksBothWays(t *testing.T) {
	b := newTrap(t, nil)
	g := trapped(t, b, `  - {path: "/first/{rest...}", upstream: "ws://`+b.Addr().String()+`/up", carriers: [first_message: {verify: [local]}]}
hub: {apps: {chat: {keys: {full: {secret: {file: secret}}}}}}
`)
	taken, soFar := 0, func() {}
	for _, a := range attacks(token(t, secret, nil)) {
		if server.TakesHandshake(a.text) {
			taken++
		}
		answer, got := normal(send(t, g.public, a.text+last)), b.took(t)
		wantAnswer, want := normal(send(t, g.public, strings.Replace(a.text, "\r\n", "\n", 1)+last)), b.took(t)
		for _, list := range [][]string{got, want} {
			for i := range list {
				list[i] = normal(list[i])
			}
		}
		if answer != wantAnswer {
			t.Errorf("%s: the client got\n%q, want as by net/http\n%q", a.name, answer, wantAnswer)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the backend got\n%q, want as by net/http\n%q", a.name, got, want)
		}
		for _, all := range got {
			if forgery.MatchString(all) {
				t.Errorf("%s: the backend got %q", a.name, all)
			}
		}
		soFar()
		soFar = leavesNothing(t)
	}
	if taken < 60 {
		t.Errorf("got %d attacks that are not for net/http, want most of them", taken)
	}
}
