package server

import (
	"fmt"
	"strings"
)

// lines are those of a head, without their ends.
type lines []string

func (l lines) head() string { return strings.Join(l, "\r\n") + "\r\n\r\n" }

// with is l with others in the place of the line at i.
func (l lines) with(i int, others ...string) lines {
	changed := append(lines{}, l[:i]...)
	return append(append(changed, others...), l[i+1:]...)
}

// everyday are handshakes as clients write them, which are not to go the long way.
var everyday = []lines{
	{ // Chromium.
		"GET /chat?ticket=abc HTTP/1.1", "Host: gate.example", "Connection: Upgrade", "Pragma: no-cache", "Cache-Control: no-cache",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
		"Upgrade: websocket", "Origin: https://app.example", "Sec-WebSocket-Version: 13", "Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en-US,en;q=0.9,de;q=0.8", "Cookie: session=0123456789abcdef; theme=dark", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "Sec-WebSocket-Protocol: chat, usher.bearer.YWJj",
	},
	{ // Firefox.
		"GET /chat HTTP/1.1", "Host: 127.0.0.1:8080", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
		"Accept: */*", "Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate, br, zstd", "Sec-WebSocket-Version: 13",
		"Origin: http://127.0.0.1:8080", "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Key: Rq2HQKp7Pnm6SrU9PO0QYQ==",
		"Connection: keep-alive, Upgrade", "Cookie: a=b", "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Site: same-origin",
		"Pragma: no-cache", "Cache-Control: no-cache", "Upgrade: websocket",
	},
	{ // WebKit.
		"GET /chat HTTP/1.1", "Host: [::1]:8080", "Origin: http://[::1]:8080", "Pragma: no-cache", "Cache-Control: no-cache",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: permessage-deflate",
		"Upgrade: websocket", "Connection: Upgrade", "Accept-Language: en-GB,en;q=0.9", "Accept-Encoding: gzip, deflate",
		"User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
	},
	{ // ws, which the Ably SDK for Node has inside.
		"GET /?key=app.id:secret&format=msgpack&heartbeats=true&v=5&agent=ably-js%2F2.14.0%20nodejs%2F20.19.0 HTTP/1.1",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "Host: localhost:8081",
	},
	{ // curl.
		"GET /chat HTTP/1.1", "Host: localhost:8080", "User-Agent: curl/8.14.1", "Accept: */*", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Connection: Upgrade",
	},
	{ // Python's websockets.
		"GET /chat HTTP/1.1", "Host: localhost:8080", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", "User-Agent: Python/3.13 websockets/15.0", "Authorization: Bearer abc",
	},
	{ // gorilla/websocket.
		"GET /chat HTTP/1.1", "Host: localhost:8080", "User-Agent: Go-http-client/1.1", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Upgrade: websocket",
	},
	{ // A proxy.
		"GET /chat HTTP/1.1", "host: gate.example", "upgrade: websocket", "connection: upgrade", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
		"sec-websocket-version: 13", "x-forwarded-for: 192.0.2.1", "x-forwarded-for: 192.0.2.2", "x-forwarded-proto: https", "x-request-id: 1",
	},
}

// plain is what the odd heads are made of.
var plain = lines{
	"GET /chat?a=b HTTP/1.1", "Host: gate.example", "Upgrade: websocket", "Connection: Upgrade",
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "X-A: 1",
}

// oddTargets stand in the place of the target, and what is around it.
var oddTargets = []string{
	"GET / HTTP/1.1", "GET // HTTP/1.1", "GET //evil.example/chat HTTP/1.1", "GET ///chat HTTP/1.1", "GET /chat/../admin HTTP/1.1", "GET /./chat HTTP/1.1",
	"GET /%63hat HTTP/1.1", "GET /chat%2f..%2fadmin HTTP/1.1", "GET /%2e%2e/chat HTTP/1.1", "GET /chat%00 HTTP/1.1", "GET /chat%0d%0aX:1 HTTP/1.1",
	"GET /%zz HTTP/1.1", "GET /% HTTP/1.1", "GET /%4 HTTP/1.1", "GET /chat?% HTTP/1.1", "GET /chat?a=%zz HTTP/1.1", "GET /chat? HTTP/1.1", "GET /chat?? HTTP/1.1",
	"GET /chat#frag HTTP/1.1", "GET /chat?a#b HTTP/1.1", "GET /# HTTP/1.1", "GET /chat;a=b HTTP/1.1", "GET /chat?a;b HTTP/1.1", "GET /chat\\..\\x HTTP/1.1",
	"GET http://gate.example/chat HTTP/1.1", "GET http://evil.example/chat HTTP/1.1", "GET ws://gate.example/chat HTTP/1.1", "GET //user:pw@evil.example/ HTTP/1.1",
	"GET * HTTP/1.1", "GET chat HTTP/1.1", "GET  HTTP/1.1", "GET HTTP/1.1", "GET ?a=b HTTP/1.1", "GET gate.example:80 HTTP/1.1", "GET /:80 HTTP/1.1", "GET /a:b HTTP/1.1",
	"GET /chat HTTP/1.0", "GET /chat HTTP/2.0", "GET /chat HTTP/1.2", "GET /chat http/1.1", "GET /chat HTTP/1.1 ", "GET /chat  HTTP/1.1", "GET  /chat HTTP/1.1",
	"GET /chat\tHTTP/1.1", "GET /ch at HTTP/1.1", "GET /chat HTTP/1.1 HTTP/1.1", "GET /chat HTTP/01.1", "GET /chat HTTP/1.10", "GET /chat", "GET /chat HTTPS/1.1",
	"GET /ch\xc3\xa4t HTTP/1.1", "GET /\xff HTTP/1.1", "GET /\u2028 HTTP/1.1", "GET /\u00a0HTTP/1.1", "GET /chat\x00 HTTP/1.1", "GET /chat\x7f HTTP/1.1",
	"GET /\x80 HTTP/1.1", "GET /<script> HTTP/1.1", "GET /\"' HTTP/1.1", "GET /{a}|^` HTTP/1.1", "GET /[::1] HTTP/1.1", "GET /a+b?c+d HTTP/1.1",
	"get /chat HTTP/1.1", "Get /chat HTTP/1.1", "POST /chat HTTP/1.1", "HEAD /chat HTTP/1.1", "CONNECT /chat HTTP/1.1", "OPTIONS * HTTP/1.1", "GETT /chat HTTP/1.1",
	"PRI * HTTP/2.0", " GET /chat HTTP/1.1", "\tGET /chat HTTP/1.1", "\r\nGET /chat HTTP/1.1", "\nGET /chat HTTP/1.1", "GET\t/chat HTTP/1.1", "\xef\xbb\xbfGET /chat HTTP/1.1",
}

// oddFields stand before the head's own fields, behind them, and in the place of
// the one that has their name.
var oddFields = []string{
	"Host: other.example", "Host:", "Host: ", "Host: gate.example:8080", "Host: gate.example, other.example", "Host: gate.example/", "Host: gate.example:", "Host: a b",
	"Host: [::1", "Host: g\xc3\xa4te", "Host: gate.example\t", "Host: \tgate.example", "Host: user@gate.example", "Host: gate%2eexample", "HOST: gate.example", "hOsT: x", "Host: *", "Host: %",
	"Host : x", "Host\t: x", " Host: x", "Host:x:y:z", "Host: -", "Host: ..", "Host: gate_example", "Host: (", "Host: 'a", "Host: a,b", "Host: a;b", "Host: a&b=c", "Host: a$!+~b",
	"Content-Length: 0", "Content-Length: 5", "Content-Length: -1", "content-length: 0", "CONTENT-LENGTH: +0", "Content-Length:", "Content_Length: 5", "Content-Length: 0\r\nContent-Length: 5",
	"Transfer-Encoding: chunked", "transfer-encoding: identity", "Transfer-Encoding:", "Transfer_Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding\x0b: chunked", "TE: trailers",
	"Trailer: X-A", "trailer: Content-Length", "Expect: 100-continue", "expect: x", "Expect:", "Pragma: no-cache", "pragma: no-cache", "Pragma: x", "Pragma:", "Cache-Control: no-cache", "Cache-Control:",
	"Pragma: no-cache\r\nCache-Control: max-age=0", "Pragma: no-cache\r\nCache-Control:", "Pragma: no-cache, x", "Pragma: x\r\nPragma: no-cache",
	"Connection: close", "Connection: Upgrade, close", "Connection: close, Upgrade", "Connection: Upgrade, Host", "Connection: Upgrade, X-A", "Connection: upgrade,upgrade", "Connection: keep-alive",
	"Connection: Upgrade,", "Connection: ,Upgrade", "Connection: , ,Upgrade", "Connection:", "Connection: Upgrade;close", "Connection: Upgrade\r\nConnection: close", "Connection: Upgrade\r\nConnection: keep-alive",
	"Connection: Upgrade close", "Connection: \"Upgrade\"", "connection: UPGRADE", "Connection: Upgrade\t,\tKeep-Alive", "Connection: \xe2\x84\xaaeep-alive, Upgrade", "Connection: HTTP2-Settings, Upgrade", "Connection: Upgrade, \x0bclose",
	"Upgrade: websocket, h2c", "Upgrade: h2c", "Upgrade: h2c, websocket", "Upgrade: WebSocket", "Upgrade: websocket/13", "Upgrade:", "Upgrade: websocket\r\nUpgrade: h2c", "Upgrade: websocket\r\nUpgrade: websocket",
	"upgrade:websocket", "Upgrade: \"websocket\"", "Upgrade: web\xc5\xbfocket", "Upgrade: websocket;", "Upgrade: websocket \t", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
	"Sec-WebSocket-Key: other", "Sec-WebSocket-Key:", "sec-websocket-key: x", "SEC-WEBSOCKET-KEY: x", "Sec-Websocket-Key: x", "Sec_WebSocket_Key: x", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 13, 8",
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8", "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b", "Sec-WebSocket-Accept: x", "Sec-WebSocket-Extensions: \x80", "Sec-WebSocket-: x", "Sec-WebSocket-Other: x",
	"X-A: 2", "x-a: 3", "X-a:4", "X-A:\t5\t", "X-A: a\tb", "X-A:   ", "X-A", ": x", "X-A: \x00", "X-A: \x01", "X-A: \x7f", "X-A: \x80\xff", "X-A: \xc2\xa0", "X-A: \x0b", "X-A: \x0c", "X-A: \x85", "X-A: \x1b[31m", "X-A: a\x00b",
	"X-A: 1\r\n folded", "X-A: 1\r\n\tfolded", "X-A: 1\r\n \r\nX-B: 2", "X-A: 1\nX-B: 2", "X-A: 1\n\nX-B: 2", "X-A: 1\rX-B: 2", "X-A: 1\r\r\nX-B: 2", "X-A: 1\n\r\nX-B: 2", "X-A: 1\r", "X-A: \r", "X-A: \n", "\r", "\n",
	"X A: 1", "X-A : 1", "X-\xc3\xa4: 1", "X\x00A: 1", "X@A: 1", "X(A): 1", "X\"A: 1", "X/A: 1", "X[A]: 1", "X{A}: 1", "X,A: 1", "X;A: 1", "X=A: 1", "X?A: 1", "X\\A: 1", "X<A>: 1",
	"X!#$%&'*+.^_`|~A: 1", "x_user_id: root", "X-USER-id: root", "-: 1", "--: 1", "_: 1", "1: 1", "x-: 1", "-x: 1", "x--y: 1", "X-A:: 1", "X-A:a:b", "x-a_b-c.d: 1", "é: 1", "X-A\xff: 1",
	"Authorization: Basic YTpi", "Authorization: Bearer a\r\nAuthorization: Bearer b", "Cookie: a=b\r\nCookie: c=d", "Cookie:", "Origin: null", "Origin: a\r\nOrigin: b", "Forwarded: for=x", "X-Forwarded-For: 1.1.1.1",
	"Proxy: x", "Proxy-Connection: close", "Keep-Alive: timeout=5", "Date: x", "Content-Type: a/b", "Content-Encoding: gzip", "X-HTTP-Method-Override: POST", ":method: GET", ":path: /x",
}

// oddHeads are heads that are wrong, rare or hostile, some of them followed by more,
// and some that are plain for all that.
func oddHeads() []string {
	var heads []string
	add := func(l lines) { heads = append(heads, l.head()) }
	for _, target := range oddTargets {
		add(plain.with(0, target))
	}
	for _, field := range oddFields {
		add(plain.with(1, field, plain[1]))
		add(append(plain.with(0, plain[0]), field))
		name, _, _ := strings.Cut(field, ":")
		for i, own := range plain[1:] {
			if ours, _, _ := strings.Cut(own, ":"); strings.EqualFold(ours, strings.TrimSpace(name)) {
				add(plain.with(i+1, field))
			}
		}
	}
	for i := 1; i < len(plain); i++ {
		add(plain.with(i))
		add(plain.with(i, plain[i], plain[i]))
		add(plain.with(i, strings.ToUpper(plain[i])))
		add(plain.with(i, strings.ToLower(plain[i])))
		heads = append(heads, strings.Replace(plain.head(), plain[i]+"\r\n", plain[i]+"\n", 1))
	}
	for _, n := range []int{10, 56, 57, 58, 59, 60, 1000} { // Around the bound of plain heads, and far above.
		many := plain.with(0, plain[0])
		for i := range n {
			many = append(many, fmt.Sprintf("X-%d: %d", i%40, i))
		}
		add(many)
	}
	for _, n := range []int{100, roomSize - len(plain.head()) - len("X-B: \r\n"), roomSize, maxHead + 5000} {
		for _, more := range []int{-1, 0, 1} {
			add(append(plain.with(0, plain[0]), "X-B: "+strings.Repeat("b", n+more)))
		}
	}
	whole := plain.head()
	for _, behind := range []string{"\x81\x85\x00\x00\x00\x00hello", whole, "GET /internal HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n", "\r\n\r\n", "\x00", strings.Repeat("z", 10000)} {
		heads = append(heads, whole+behind)
	}
	return append(heads, whole[:len(whole)-1], whole[:len(whole)-2], strings.ReplaceAll(whole, "\r\n", "\n"), strings.ReplaceAll(whole, "\r\n", "\r"), "\r\n\r\n"+whole, "", "\r\n\r\n")
}
