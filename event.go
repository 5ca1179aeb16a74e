package usher

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// An Event is something that a Guard has done, for metrics and for the operator
// who looks up an explain id. It holds no credential.
type Event struct {
	// Kind says what was done.
	Kind EventKind
	// Time is when.
	Time time.Time
	// Took is how long the verdict took; for EventEnded it is how long the
	// connection lived.
	Took time.Duration
	// Route is the route that the request came in by: see [Guard.Route].
	Route string
	// Carrier is the name of the carrier that decided, or empty.
	Carrier string
	// Origin is the request's, if it was allowed; else empty.
	Origin string
	// Client is the client's network: an IPv4 address or 64 bits of IPv6.
	Client netip.Prefix
	// Identity is who was admitted, or renewed; nil for EventRefused.
	Identity *Identity
	// Refusal says why a request was refused or a connection ended by the
	// Guard. It is nil for EventAdmitted and EventRenewed, and where handler or
	// client closed.
	Refusal *Refusal
}

// An EventKind is a kind of Event.
type EventKind string

// The kinds of event. A request is admitted or refused, and both only if its
// handler calls Refuse, or Refused. An admitted upgrade is renewed any number of times, and
// where its connection was taken over it is ended once.
const (
	EventAdmitted EventKind = "admitted"
	EventRefused  EventKind = "refused"
	EventRenewed  EventKind = "renewed"
	EventEnded    EventKind = "ended"
)

// event begins an event with what is known of the request.
func (v *visit) event(kind EventKind) Event {
	return Event{Kind: kind, Took: time.Since(v.begun), Route: v.route, Origin: v.origin, Client: v.client}
}

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
		attrs = append(attrs, slog.String("explain_id", why.ID), slog.Int("status", why.Status))
		if why.Code != 0 {
			attrs = append(attrs, slog.Int("code", why.Code))
		}
		attrs = append(attrs, slog.String("reason", why.Error()))
	}
	g.log.LogAttrs(ctx, level, string(e.Kind), attrs...)
}

func (g *guardState) reportRefusal(ctx context.Context, v *visit, why *Refusal) {
	e := v.event(EventRefused)
	e.Carrier, e.Refusal = why.Carrier, why
	g.report(ctx, e)
}
