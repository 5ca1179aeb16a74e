package tokens

import "encoding/base64"

// Carriers are the ways that Request knows, each as Usher's documentation has
// it.
var Carriers = []string{"ticket", "subprotocol", "query", "cookie", "bearer", "first_message", "basic"}

// Request returns a handshake as Chromium writes it, with a token or ticket by
// a carrier, and the text of the first message, or nil. Any other name is no
// carrier: the request has no credential.
func Request(carrier, token string) (handshake, message []byte) {
	target, offer, more := "/chat", "chat", ""
	switch carrier {
	case "ticket":
		target += "?ticket=" + token
	case "query":
		target += "?access_token=" + token
	case "subprotocol":
		offer += ", usher.bearer." + base64.RawURLEncoding.EncodeToString([]byte(token))
	case "cookie":
		more = "Cookie: theme=dark; session=" + token + "\r\n"
	case "bearer":
		more = "Authorization: Bearer " + token + "\r\n"
	case "basic":
		more = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(User+":"+token)) + "\r\n"
	case "first_message":
		message = []byte(`{"type":"auth","token":"` + token + `","ack":true}`)
	}
	return Handshake(target, offer, more), message
}

// Handshake is one as Chromium writes it, without a credential: for a target,
// with an offer of subprotocols unless that is empty, and with more headers,
// each with its end of line.
func Handshake(target, offer, more string) []byte {
	if offer != "" {
		more += "Sec-WebSocket-Protocol: " + offer + "\r\n"
	}
	return []byte("GET " + target + " HTTP/1.1\r\n" +
		"Host: chat.example.com\r\n" +
		"Connection: Upgrade\r\n" +
		"Pragma: no-cache\r\n" +
		"Cache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
		"Upgrade: websocket\r\n" +
		"Origin: " + Origin + "\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-US,en;q=0.9\r\n" +
		more +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n")
}
