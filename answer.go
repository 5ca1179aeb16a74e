package usher

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants SHA-1; it proves nothing.
	"encoding/base64"
	"net/http"
	"slices"
)

// answer accepts a handshake in the Guard's own name (RFC 6455 §4.2.2), with
// one subprotocol or none, and without extensions.
func answer(c *conn, r *http.Request, subprotocol string) error {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // See above.
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if subprotocol != "" {
		head += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	_, err := c.raw.Write([]byte(head + "\r\n"))
	return err
}

// selectFrom returns the first subprotocol that the client offers and the
// application speaks, or "".
func selectFrom(offer, spoken []string) string {
	for _, p := range offer {
		if slices.Contains(spoken, p) {
			return p
		}
	}
	return ""
}
