package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/realtime"
)

// hubPath is what the hub is called as a route: of metrics, tickets and logs.
const hubPath = "/"

// A hubDoor is the Guard in front of the hub, and the hub behind it.
type hubDoor struct {
	kept      *kept
	route     *route
	plainKeys bool         // API keys may come over plain HTTP.
	inner     http.Handler // The Guard's.
}

// hubDoor makes the door of the hub, if there is one: a Guard like all others, which
// refuses in Ably's words.
func (b *builder) hubDoor(desks, proofs *dispatch, renewals map[string]*usher.Guard) (*hubDoor, error) {
	h := b.config.Hub
	if h == nil {
		return nil, nil
	}
	var err error
	if b.apps, err = configuredApps(h); err != nil {
		return nil, err
	}
	others, err := b.anyOf(h.Verify, "")
	if err != nil {
		return nil, err
	}
	v := usher.AnyOf(hubKeys{b.kept}, others)
	if slices.ContainsFunc(h.Carriers, func(c *config.Carrier) bool { return c.Ticket != nil }) {
		v = usher.AnyOf(v, hubTickets{b.tickets})
	}
	b.doors = &hubDoors{verifier: v, origins: h.Origins, plainKeys: h.InsecurePlainKeys}
	rc := &config.Route{
		Path: hubPath, Origins: h.Origins, InsecureAnyOrigin: len(h.Origins) == 0, Carriers: h.Carriers,
	}
	carriers, err := b.carriers(h.Carriers)
	if err != nil {
		return nil, err
	}
	r := &route{name: hubPath, config: rc}
	d := &hubDoor{kept: b.kept, route: r, plainKeys: h.InsecurePlainKeys}
	r.guard = b.newGuard(rc, hubPath, append(apps.Carriers(v), carriers...))
	r.guard.Detach, r.guard.Deny = true, d.deny
	if err := r.guard.Validate(); err != nil {
		return nil, err
	}
	d.inner = apps.Deliberate(r.guard.Handler(hubSeat{b.kept}))
	if err := b.endpoints(r, desks, proofs); err != nil {
		return nil, err
	}
	tokens := *rc
	tokens.Carriers = hubCarriers(h)
	return d, b.renewal(&route{name: hubPath, config: &tokens}, renewals)
}

// hubCarriers are the ways in by credentials that are not of the hub's keys.
func hubCarriers(h *config.Hub) []*config.Carrier {
	if len(h.Verify) == 0 {
		return h.Carriers
	}
	return append([]*config.Carrier{{Bearer: &config.Verify{Verify: h.Verify}}}, h.Carriers...)
}

// inClear reports whether all on the way here can read a request.
func (d *hubDoor) inClear(r *http.Request) bool {
	addr, scheme := d.route.guard.Client(r)
	return scheme != "https" && addr.IsValid() && !addr.Unmap().IsLoopback()
}

// clearKey is where the context of a request says that all on the way can read it.
type clearKey struct{}

// seenKey is where the context of a request says that all on the way have seen the
// API key in it.
type seenKey struct{}

// seen has the Guard refuse a request whose key all have seen, within its bounds.
func (d *hubDoor) seen(r *http.Request) *http.Request {
	addr, _ := d.route.guard.Client(r)
	d.kept.log.Debug("api key refused over plain HTTP", "client", networkOf(addr))
	return r.WithContext(context.WithValue(r.Context(), seenKey{}, true))
}

// ServeHTTP lets in what needs no credential, and has the Guard judge the others.
func (d *hubDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := false // An API key, by all on the way: a token that is seen ends, a key does not.
	if d.inClear(r) {
		r = r.WithContext(context.WithValue(r.Context(), clearKey{}, true))
		if seen = !d.plainKeys && apps.BringsKey(r); seen {
			r = d.seen(r)
		}
	}
	if !seen && !isUpgrade(r) && d.kept.hub.rest.Open(w, r) {
		return
	}
	d.inner.ServeHTTP(w, r)
}

// elsewhere answers for a path that is nobody's: its clients may have meant a part
// of the Ably API that is not here.
func (d *hubDoor) elsewhere(w http.ResponseWriter, r *http.Request) {
	switch rest := d.kept.hub.rest; {
	case isUpgrade(r):
		d.ServeHTTP(w, r)
	case !rest.Open(w, r):
		rest.Refuse(w, r, ably.Err(ably.NotFound))
	}
}

// deny answers who is refused in the words of the Ably wire.
func (d *hubDoor) deny(w http.ResponseWriter, r *http.Request, err error) {
	if why := apps.Explain(err); isUpgrade(r) {
		d.kept.hub.realtime.Refuse(w, r, why)
	} else {
		d.kept.hub.rest.Refuse(w, r, why)
	}
}

func isUpgrade(r *http.Request) bool { return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") }

// A hubSeat is the hub behind its Guard.
type hubSeat struct{ kept *kept }

// ServeHTTP has an upgrade go to one translator, and a request to the other.
func (s hubSeat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := s.kept.hub
	switch {
	case !isUpgrade(r):
		h.rest.ServeHTTP(w, r)
	case r.URL.Path == "/":
		h.realtime.ServeHTTP(w, r)
	default:
		h.realtime.Refuse(w, r, ably.Err(ably.NotFound))
	}
}

// ServesElsewhere says that realtime holds connections without a goroutine of
// net/http: see [usher.Guard.Detach].
func (s hubSeat) ServesElsewhere() {}

// hubKeys judges what the hub's own keys have signed. The hub is there once
// anybody is served.
type hubKeys struct{ kept *kept }

// Verify asks the hub's authority.
func (k hubKeys) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	seen := ctx.Value(seenKey{}) != nil
	if ctx.Value(clearKey{}) != nil && apps.IsKey(c) && !k.kept.hub.doors.Load().plainKeys { // Or in band.
		seen = true
	}
	if seen {
		return nil, fmt.Errorf("key: %w", ably.Errorf(ably.TLSRequired, "this server takes API keys over TLS only; its operator can say otherwise (hub.insecure_plain_keys)"))
	}
	return k.kept.hub.authority.Verify(ctx, c)
}

// hubTickets takes a ticket also where the SDKs bring a token, since they have no
// other place for it.
type hubTickets struct{ tickets *usher.Tickets }

// Verify redeems a ticket. Of one that is not good any more the SDKs hear what has
// them ask for another: they bring the same again when they reconnect. It is not
// for REST, where each request would take one.
func (t hubTickets) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	if c.Kind != usher.KindToken || c.Carrier != "query" {
		return nil, usher.ErrUnrecognized
	}
	c.Kind = usher.KindTicket
	id, err := t.tickets.Verify(ctx, c)
	if err == nil || errors.Is(err, usher.ErrUnrecognized) || errors.Is(err, usher.ErrUnavailable) {
		return id, err
	}
	return nil, fmt.Errorf("%w: %w", err, ably.Err(ably.TokenError))
}

// A hubAccess tells realtime what clients may do.
type hubAccess struct{ *hubService }

// Grant says what the client of an admitted request may do.
func (a hubAccess) Grant(r *http.Request) (*realtime.Grant, error) {
	id, err := usher.FromContext(r.Context())
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	where := realtime.Grant{Origin: r.Header.Get("Origin"), InClear: r.Context().Value(clearKey{}) != nil}
	return a.grant(id, where, q.Get("clientId"), q.Has("clientId"))
}

// grant is what an identity may do on a connection, of which where has the rest.
func (a hubAccess) grant(id *usher.Identity, where realtime.Grant, clientID string, said bool) (*realtime.Grant, error) {
	g, err := a.registry.Grant(id)
	if err != nil {
		return nil, apps.Explain(err)
	}
	named, bad := g.As(clientID, said)
	if bad != nil {
		return nil, bad
	}
	app := a.registry.App(named.App)
	if app == nil {
		return nil, ably.Errorf(ably.BadCredential, "the app is no more")
	}
	var ends time.Time
	if !id.Recheck {
		ends = id.Expires
	}
	return &realtime.Grant{
		App: app, Key: named.Key, Client: named.Client, ClientID: named.ClientID, Permissions: named.Permissions, Expires: ends, Claims: named.Claims,
		Origin: where.Origin, InClear: where.InClear,
	}, nil
}

// Again says what the client of a live connection may do by now.
func (a hubAccess) Again(ctx context.Context, now *realtime.Grant) (*realtime.Grant, error) {
	id, err := usher.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return a.grant(id, *now, "", false)
}

// Renew judges a token that a client has sent on its connection.
func (a hubAccess) Renew(ctx context.Context, now *realtime.Grant, token usher.Secret) (*realtime.Grant, error) {
	v := a.doors.Load().verifier
	if now.InClear {
		ctx = context.WithValue(ctx, clearKey{}, true)
	}
	id, err := v.Verify(ctx, usher.Credential{Carrier: "query", Kind: usher.KindToken, Secret: token, Origin: now.Origin, Route: hubPath})
	if err != nil {
		return nil, apps.Worded(err)
	}
	g, err := a.grant(id, *now, "", false)
	if err != nil {
		return nil, err
	}
	if g.App != now.App {
		return nil, ably.Errorf(ably.IncompatibleCredential, "the token is of another app")
	}
	if err := usher.Adopt(ctx, id); err != nil {
		return nil, apps.Worded(err)
	}
	return g, nil
}
