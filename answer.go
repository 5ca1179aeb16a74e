package usher

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants SHA-1; it proves nothing.
	"encoding/base64"
	"net/http"
	"slices"
	"time"
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
func (g *guardState) selectFrom(offer []string) string {
	for _, p := range offer {
		if slices.Contains(g.subprotocols, p) {
			return p
		}
	}
	return ""
}

// refuse turns a request away: in the application's own protocol where Deny is
// set, to a browser as a WebSocket that says why and closes, and in plain HTTP
// to everybody else. Only a refusal that is always plain may come with
// a request whose credential was not cut out.
func (g *guardState) refuse(w http.ResponseWriter, r *http.Request, v visit, offer []string, why *Refusal) {
	g.reportRefusal(r.Context(), v, why)
	readable := v.upgrade && v.origin != "" && !g.byChallenge(why)
	if why.plain || (g.deny == nil && !readable) || g.room.enter(v.client) != nil {
		g.refusePlain(w, why)
		return
	}
	defer g.room.leave(v.client)
	if g.deny != nil {
		g.deny(w, r, why)
		return
	}
	c, _, err := hijack(w)
	if err != nil {
		g.refusePlain(w, why)
		return
	}
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	// With none selected, Chromium fails a handshake that offers some.
	subprotocol := ""
	if len(offer) > 0 {
		subprotocol = offer[0]
	}
	if err := answer(c, r, subprotocol); err != nil {
		_ = c.Close()
		return
	}
	c.end(why)
}

// byChallenge reports whether a refusal belongs to Basic, which works by HTTP
// status. Browsers take a password that was not answered 401 for a good one,
// and Firefox then sends it whatever the page says: see docs/decisions/0005.
func (g *guardState) byChallenge(why *Refusal) bool {
	return g.basic && (why.is(ErrNoCredential) || why.Carrier == carrierBasic && why.Code != CloseForbidden)
}

// refusePlain answers with an HTTP status, never a redirect.
func (g *guardState) refusePlain(w http.ResponseWriter, why *Refusal) {
	h := w.Header()
	switch why.Status {
	case http.StatusUnauthorized:
		if g.basic {
			h.Add("WWW-Authenticate", `Basic realm="usher", charset="UTF-8"`)
		}
		if !g.basic || g.bearer {
			challenge := "Bearer"
			if !why.is(ErrNoCredential) {
				challenge += ` error="invalid_token"` // RFC 6750 §3.1
			}
			h.Add("WWW-Authenticate", challenge)
		}
	case http.StatusUpgradeRequired:
		h.Set("Sec-WebSocket-Version", "13") // RFC 6455 §4.4
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	h.Set("Vary", "Origin")
	writeProblem(w, why.Status, http.StatusText(why.Status), why.Word, why.ID)
}
