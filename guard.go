package usher

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
)

// A Guard stands in front of a WebSocket handler and lets in who can prove who
// they are. The zero value lets nobody in. Its fields must not be changed once
// Handler was called.
type Guard struct {
	// Carriers are the ways to bring a credential, in order of preference.
	// Default: none, so nobody gets in.
	Carriers []Carrier
	// Origins are the origins that pages may connect from, besides the
	// request's own, each exact: "https://app.example.com", with a port where
	// it is not the scheme's own. No wildcards; "null" cannot be listed.
	// Default: the request's own only.
	Origins []string
	// Hosts are the names that this door answers to, with a port or for any
	// port. Another name is answered 421, which is what stops DNS rebinding.
	// Default: any name.
	Hosts []string
	// TrustedProxies are the networks whose X-Forwarded-For and
	// X-Forwarded-Proto are believed. Default: none.
	TrustedProxies []netip.Prefix
	// Subprotocols are the application's own, for upgrades that the Guard
	// answers itself because of FirstMessage: the first that the client offers
	// and that is listed here is selected. The handler must select the same.
	// Default: none.
	Subprotocols []string
	// Route is the name that a ticket must have been made for. Default: the
	// path of the [http.ServeMux] pattern that matched, or the request's path.
	Route string
	// InsecureAnyOrigin lets in pages from every origin except "null". It is
	// safe only where each credential is one that no browser attaches by
	// itself, so it is refused together with Cookie and Basic. Default: false.
	InsecureAnyOrigin bool
	// Require is what an identity must be allowed, or be said to be, on this
	// route. It is asked at the door (403, 4403) and again at each renewal: a
	// connection whose fresh identity is not enough ends with 4403. Default:
	// nothing.
	Require Requirement
	// Limits bounds all that waits. Default: see Limits.
	Limits Limits
	// Deny answers a refused request in the application's own protocol. The
	// request has no credential in it any more; err is a *Refusal. It is not
	// asked about a wrong host, a wrong origin or a flood. Default: an HTTP
	// status, or for a browser an accepted WebSocket and a Close frame.
	Deny func(w http.ResponseWriter, r *http.Request, err error)
	// Sessions are the live connections, which several Guards may share.
	// Default: this Guard's own.
	Sessions *Sessions
	// Detach has upgrades served in a goroutine of their own as soon as the
	// handler has taken the connection over, so that net/http lets go of what it
	// holds for a request: some 12 KB for each connection. Middleware around the
	// Guard then sees it return at that time, and the context that the handler
	// has is no longer a part of theirs. Default: false.
	Detach bool
	// Observe is called for all that the Guard does, with the context of the
	// request, from many goroutines at once and before the client hears of it:
	// it must be fast, and must not touch the connection. Default: none.
	Observe func(context.Context, Event)
	// Log gets every Event (debug), and faults (error), never a credential.
	// Default: slog.Default().
	Log *slog.Logger

	once  sync.Once
	state *guardState
}

// Handler returns a handler that calls next for admitted requests only, with
// the identity in their context and without the credential. For an upgrade the
// connection that next hijacks ends with the identity; for a plain request the
// context does. A Guard that Validate refuses lets nobody in.
func (g *Guard) Handler(next http.Handler) http.Handler {
	s := g.compile()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, next)
	})
}

// serve is the straight line from a request to its handler.
func (g *guardState) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if g.invalid != nil {
		g.refuse(w, r, &visit{}, nil, plainRefusal(http.StatusInternalServerError, CloseFault, "fault", g.invalid))
		return
	}
	l := g.newLease(r.Context())
	v := &l.visit
	if err := g.receive(v, r); err != nil {
		g.refuse(w, r, v, nil, asRefusal(err))
		return
	}
	clean, c, err := g.extract.cut(&l.ctx, r)
	if err != nil {
		l.release()
		g.refuse(w, clean, v, nil, plainRefusal(http.StatusBadRequest, 0, "bad_handshake", err))
		return
	}
	if g.sessions.isDraining() {
		defer l.release()
		g.refuse(w, clean, v, c.offer, drainRefusal())
		return
	}
	yes, err := g.judge(r.Context(), v, c)
	switch {
	case err == nil && v.upgrade:
		g.serveUpgrade(w, clean, v, &yes, l, next)
	case err == nil:
		g.servePlain(w, clean, v, &yes, l, next)
	case v.upgrade && g.first != nil && waits(&yes, err):
		g.await(w, clean, v, c, l, next)
	default:
		defer l.release()
		why := asRefusal(err)
		if yes.by != nil {
			why.Carrier = yes.by.carrier.name
		}
		g.refuse(w, clean, v, c.offer, why)
	}
}

// waits reports whether a first message may still decide: no deliberate
// credential came, and what browsers attached is of no account.
func waits(yes *verdict, err error) bool {
	return (yes.by == nil || yes.by.carrier.ambient()) && !errors.Is(err, errTwoCredentials) &&
		!errors.Is(err, errFull)
}

// serveUpgrade calls next, which answers the handshake itself.
func (g *guardState) serveUpgrade(w http.ResponseWriter, r *http.Request, v *visit, yes *verdict, l *lease, next http.Handler) {
	if err := g.admit(l, yes); err != nil { // Before the client can hear of its admission.
		l.release()
		g.refuse(w, r, v, offered(r), l.refused(err))
		return
	}
	uw := &upgradeWriter{plainWriter: plainWriter{ResponseWriter: w, ctx: r.Context()}, lease: l}
	if g.first != nil {
		r.Header.Del("Sec-Websocket-Extensions") // Compressed, no first message could be read.
		uw.late = &lateMessage{guard: g, visit: v, lease: l, ctx: context.WithoutCancel(r.Context())}
	}
	l.begin()
	if g.detach {
		g.serveDetached(uw, next, func() { uw.handle(r, next) })
	} else {
		uw.handle(r, next)
	}
}

// servePlain calls next for a request that is no upgrade. Its context ends with
// the identity.
func (g *guardState) servePlain(w http.ResponseWriter, r *http.Request, v *visit, yes *verdict, l *lease, next http.Handler) {
	l.plain = true
	defer l.release()
	if err := g.admit(l, yes); err != nil {
		g.refuse(w, r, v, nil, l.refused(err))
		return
	}
	l.begin()
	next.ServeHTTP(&plainWriter{ResponseWriter: w, ctx: r.Context()}, r)
}

// admit completes the lease with the verdict, before anybody can see it. Its
// error is a reason to refuse that only shows now.
func (g *guardState) admit(l *lease, yes *verdict) error {
	l.carrier = yes.by.cred.Carrier
	l.identity.Store(yes.identity)
	if !l.plain { // Which is not worth a second question.
		if again := g.askerFor(yes); again != nil {
			l.again = &reasking{ask: again}
		}
	}
	if err := g.require.unmet(yes.identity); err != nil {
		return err
	}
	if err := g.sessions.add(l); err != nil {
		return err
	}
	e := l.visit.event(EventAdmitted)
	e.Carrier, e.Identity = l.carrier, yes.identity
	l.report(e)
	return nil
}

// askerFor returns what judges the credential of a yes once more, or nil.
func (g *guardState) askerFor(yes *verdict) asker {
	if !yes.identity.Recheck {
		return nil
	}
	by := *yes.by
	by.cred.Recheck = true
	return func(ctx context.Context) (*Identity, error) { return g.verifyCaught(ctx, &by) }
}

// newLease makes the lease of a request that was not looked at yet, with the
// context that its handler will have.
func (g *guardState) newLease(parent context.Context) *lease {
	l := &lease{guard: g}
	l.ctx.begin(parent, l)
	return l
}
