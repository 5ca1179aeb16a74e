package usher

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// An Event is something that a Guard has done, for metrics and for the operator
// who looks up an explain id. It holds no credential.
type Event struct {
	// Kind says what was done.
	Kind EventKind
	// Time is when.
	Time time.Time
	// Took is how long the verdict took, for Admitted and Refused; for Ended
	// it is how long the connection lived.
	Took time.Duration
	// Route is the route that the request came in by: see [Guard.Route].
	Route string
	// Carrier is the name of the carrier that decided, or empty.
	Carrier string
	// Origin is the request's, if it was allowed; else empty.
	Origin string
	// Client is the client's network: an IPv4 address or 64 bits of IPv6.
	Client netip.Prefix
	// Identity is who was admitted; nil for Refused.
	Identity *Identity
	// Refusal says why a request was refused or a connection ended by the
	// Guard. It is nil for Admitted, and where handler or client closed.
	Refusal *Refusal
}

// An EventKind is a kind of Event.
type EventKind string

// The kinds of event. A request is Admitted or Refused, and both only if its
// handler calls Refuse. An admitted upgrade whose connection was taken over is
// Ended once.
const (
	Admitted EventKind = "admitted"
	Refused  EventKind = "refused"
	Ended    EventKind = "ended"
)

// report logs an event and passes it on, in the context of its request.
func (g *guardState) report(ctx context.Context, e Event) {
	e.Time = time.Now()
	if g.observe != nil {
		g.observe(ctx, e)
	}
	level := slog.LevelDebug
	if e.Refusal != nil && e.Refusal.is(errFault) {
		level = slog.LevelError
	}
	if !g.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("route", e.Route), slog.String("carrier", e.Carrier),
		slog.String("client", e.Client.String()), slog.String("origin", e.Origin),
	}
	if id := e.Identity; id != nil {
		attrs = append(attrs, slog.String("subject", id.Subject), slog.String("issuer", id.Issuer),
			slog.String("session", id.Session), slog.Time("expires", id.Expires))
	}
	if why := e.Refusal; why != nil {
		attrs = append(attrs, slog.String("explain_id", why.ID), slog.Int("status", why.Status),
			slog.Int("code", why.Code), slog.String("reason", why.Error()))
	}
	g.log.LogAttrs(ctx, level, string(e.Kind), attrs...)
}

func (g *guardState) reportRefusal(ctx context.Context, v visit, why *Refusal) {
	g.report(ctx, Event{
		Kind: Refused, Took: time.Since(v.begun), Route: v.route, Carrier: why.Carrier,
		Origin: v.origin, Client: v.client, Refusal: why,
	})
}

// offered lists the subprotocols in a request without credentials.
func offered(r *http.Request) []string {
	if list := r.Header.Get("Sec-Websocket-Protocol"); list != "" {
		return strings.Split(list, ", ") // As cut has joined them.
	}
	return nil
}

// End ends the connection to which ctx belongs, the context of an admitted
// upgrade, with the Close frame that fits err: ErrForbidden is 4403,
// ErrUnavailable 4503, ErrProtocol 1002, any other 4401. The frame goes between
// two of the handler's, whatever library that writes with. End returns at once,
// and reports whether there was a connection to end.
func End(ctx context.Context, err error) bool {
	l, ok := ctx.Value(identityKey{}).(*lease)
	if !ok || l.guard == nil || !l.attached() {
		return false
	}
	why := asRefusal(err)
	why.Carrier = l.carrier
	l.expireLater(why)
	return true
}

// Refuse turns away an admitted request in its Guard's way: a browser gets a
// WebSocket that says why and closes, others an HTTP status. It is for handlers
// that find out late, such as a gateway whose upstream is down, and answers in
// their place; err is judged as a verifier's is, or taken as it stands if it
// is a *Refusal, which gets an ID if it has none. Without a Guard in front it
// answers with the HTTP status.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	why := asRefusal(err)
	l, ok := r.Context().Value(identityKey{}).(*lease)
	if !ok || l.guard == nil {
		writeProblem(w, why.Status, http.StatusText(why.Status), why.Word, why.ID)
		return
	}
	why.Carrier = l.carrier
	if sw, ok := w.(*swallowWriter); ok {
		sw.lease.expire(why)
		return
	}
	l.guard.refuse(w, r, l.visit, offered(r), why)
}
