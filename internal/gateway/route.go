package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"slices"
	"time"

	"github.com/usher-ws/usher"
)

// A Route is what the gateway does with admitted requests for one pattern. It is
// the handler behind the route's Guard.
type Route struct {
	// Pattern is the ServeMux pattern of the route.
	Pattern string
	// Pool is where its connections go.
	Pool *Pool
	// Identity is what the upstream is told. Default: nothing.
	Identity Identity
	// UpstreamHeaders are set in every request to the upstream, as a credential
	// of the gateway's own. Clients never see them. Default: none.
	UpstreamHeaders http.Header
	// Cookies are names of cookies that are credentials, of this route or of
	// another. They never reach the upstream. Default: none.
	Cookies []string
	// Host is the Host of requests to the upstream. Default: the client's.
	Host string
	// AllowSetCookie lets the cookies of an upstream's 101 pass. An upstream
	// could plant a session with them. Default: false.
	AllowSetCookie bool
	// HandshakeTimeout is how long the upstream's answer to a handshake may
	// take. Default: 10 s.
	HandshakeTimeout time.Duration
	// Idle is how long a connection may be without a byte in either direction.
	// It then ends with 1001. Default: for ever.
	Idle time.Duration
	// Ping is how long nothing may come from a client until the gateway sends it
	// a Ping of its own (RFC 6455 §5.5.2), between two frames of the upstream's,
	// and how long after that again: then the client is taken for dead, its
	// connection ends with 1001 and the word "unresponsive", and the upstream is
	// told 1001. Whatever comes from the client is a sign of life, and browsers
	// and libraries answer Pings by themselves. The upstream notices nothing: the
	// answers to these Pings do not reach it, those to its own do. Neither counts
	// for Idle and Traffic.
	//
	// A client that says nothing and takes nothing for that long, so that it
	// cannot be asked, is dead too. It is not judged while the upstream keeps it
	// waiting: in the middle of a frame that the upstream does not finish, and
	// while the upstream does not take what the client sent. What is on its way
	// to a slow client delays a Ping as it does any frame, so this should be
	// longer than that takes. Default: none are sent.
	Ping time.Duration
	// Guard is the route's, for what it knows of a request's client.
	Guard *usher.Guard
	// Opened is told of each WebSocket connection before the upstream is dialed,
	// with the context of its request, and what it returns is called at the end.
	// Default: nobody.
	Opened func(context.Context) (closed func())
	// Traffic is told how many bytes a connection carried. Default: nobody.
	Traffic func(fromClient, toClient int64)
}

// Handler returns the route's handler, to stand behind its Guard.
func (rt *Route) Handler() http.Handler {
	b := &behind{Route: rt, path: newPathRule(rt.Pattern), identity: rt.Identity.canonical(), fixed: make(http.Header)}
	names := slices.Collect(maps.Keys(b.identity.Headers))
	for name, values := range rt.UpstreamHeaders {
		name = http.CanonicalHeaderKey(name)
		names, b.fixed[name] = append(names, name), values
	}
	if b.identity.JWT != "" {
		names = append(names, b.identity.JWT)
	}
	b.own = newOwnNames(names...)
	b.proxy = &httputil.ReverseProxy{
		Rewrite: b.rewrite, Transport: b, FlushInterval: -1, ErrorHandler: b.proxyFailed,
	}
	b.proxy.ErrorLog = slog.NewLogLogger(b.log().Handler(), slog.LevelDebug)
	return b
}

// behind is a Route made ready.
type behind struct {
	*Route
	own      ownNames
	path     pathRule
	identity Identity    // With canonical names, as is
	fixed    http.Header // what UpstreamHeaders says.
	proxy    *httputil.ReverseProxy
}

// log is the Guard's.
func (b *behind) log() *slog.Logger {
	if b.Guard.Log != nil {
		return b.Guard.Log
	}
	return slog.Default()
}

// ServesElsewhere has the Guard call ServeHTTP in the goroutine of the request
// where it detaches its handlers: the tunnel has goroutines of its own.
func (b *behind) ServesElsewhere() {}

func (b *behind) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := usher.FromContext(r.Context()); err != nil { // Nobody is asked before the verdict.
		usher.Refuse(w, r, err)
		return
	}
	tail, err := b.path.tail(r.URL)
	if err != nil {
		usher.Refuse(w, r, &usher.Refusal{
			Status: http.StatusBadRequest, Code: usher.CloseForbidden, Word: "forbidden", Cause: err,
		})
		return
	}
	if r.Header.Get("Upgrade") != "" { // A WebSocket handshake: its Guard lets no other through.
		b.tunnel(w, r, tail)
		return
	}
	if r.ContentLength != 0 { // Its body may take its time: who sends it is known.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	b.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), plainKey{}, &plainRequest{in: r, tail: tail})))
}

// headers makes the header for the upstream out of a client's: without what
// belongs to one connection, without any spelling of what only the gateway
// says, and with the gateway's own word.
func (b *behind) headers(h http.Header, in *http.Request, t *Target) error {
	stripHops(h)
	b.own.strip(h)
	stripCookies(h, b.Cookies)
	err := b.say(in, t, h.Set)
	maps.Copy(h, b.fixed)
	return err
}

// say calls set with each header that is the gateway's own word about a request,
// but for UpstreamHeaders.
func (b *behind) say(in *http.Request, t *Target, set func(name, value string)) error {
	addr, scheme := b.Guard.Client(in)
	if addr.IsValid() {
		set("X-Forwarded-For", addr.Unmap().String())
	}
	set("X-Forwarded-Proto", scheme)
	set("X-Forwarded-Host", in.Host)
	id, err := usher.FromContext(in.Context())
	if err != nil {
		return err
	}
	return b.identity.tell(id, t, set)
}

// host is the Host of a request to the upstream.
func (b *behind) host(in *http.Request) string {
	if b.Host != "" {
		return b.Host
	}
	return in.Host
}

// badGateway answers what is the upstream's fault: for a browser's upgrade a
// WebSocket that says so, else an HTTP status. An upstream that does not want
// the client is no reason for it to come back.
func badGateway(w http.ResponseWriter, r *http.Request, err error) {
	why := &usher.Refusal{Status: http.StatusBadGateway, Code: usher.CloseUnavailable, Word: "unavailable", Cause: err}
	if answer, ok := errors.AsType[*answerError](err); ok {
		switch {
		case answer.status == http.StatusTooManyRequests:
			why.Code, why.Word = usher.CloseTooMany, "too_many"
		case answer.status/100 == 4:
			why.Code, why.Word = usher.CloseForbidden, "forbidden"
		}
	}
	usher.Refuse(w, r, why)
}
