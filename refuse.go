package usher

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// Refuse turns away an admitted request in its Guard's way: a browser gets a
// WebSocket that says why and closes, others an HTTP status. It is for handlers
// that find out late, such as a gateway whose upstream is down, and answers in
// their place. The error means what a verifier's does; a *Refusal is taken as
// it stands, but for what it leaves to its defaults. Where a first message has
// opened the connection, everybody gets the Close frame. Without a Guard in
// front it answers with the HTTP status, which is 500 for the error of
// FromContext.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	why := asRefusal(err)
	l := leaseOf(r.Context())
	if l == nil || l.guard == nil {
		writeProblem(w, why.Status, why.Word, why.ID)
		return
	}
	why.Carrier = l.carrier
	if sw, ok := w.(*swallowWriter); ok {
		sw.lease.end(why)
		return
	}
	l.guard.refuse(w, r, &l.visit, offered(r), why)
}

// offered lists the subprotocols in a request without credentials.
func offered(r *http.Request) []string {
	if list := r.Header.Get("Sec-Websocket-Protocol"); list != "" {
		return strings.Split(list, ", ") // As cut has joined them.
	}
	return nil
}

// refuse turns a request away: in the application's own protocol where Deny is
// set, to a browser as a WebSocket that says why and closes, and in plain HTTP
// to everybody else. Only a refusal that is always plain may come with
// a request whose credential was not cut out.
func (g *guardState) refuse(w http.ResponseWriter, r *http.Request, v *visit, offer []string, why *Refusal) {
	g.reportRefusal(r.Context(), v, why)
	readable := v.upgrade && v.origin != "" && why.Code != 0 && !g.byChallenge(why)
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
	case http.StatusForbidden:
		if unmet, ok := errors.AsType[*unmetError](why.Cause); ok && (!g.basic || g.bearer) {
			h.Add("WWW-Authenticate", unmet.challenge())
		}
	case http.StatusUpgradeRequired:
		h.Set("Sec-WebSocket-Version", "13") // RFC 6455 §4.4
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	h.Set("Vary", "Origin")
	writeProblem(w, why.Status, why.Word, why.ID)
}
