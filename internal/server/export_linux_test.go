package server

import "github.com/usher-ws/usher/internal/head"

// TakesHandshake reports whether what text begins with is served before net/http.
func TakesHandshake(text string) bool {
	size := head.Size([]byte(text))
	return size > 0 && size <= roomSize && handshakeOf(text[:size]) != nil
}
