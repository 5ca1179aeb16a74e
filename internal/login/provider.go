package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/usher-ws/usher"
)

const (
	// askTime is how long the provider may take for one answer, and maxAnswer how
	// long that may be in bytes.
	askTime   = 5 * time.Second
	maxAnswer = 1 << 20
	// configAge is how long the provider's configuration is used, configRetry how
	// long after a failed attempt the next may begin, and configStale how long an
	// old one is used meanwhile.
	configAge   = time.Hour
	configRetry = 5 * time.Second
	configStale = 24 * time.Hour
	// maxAsking is how many questions for tokens there are at one time, of each
	// kind.
	maxAsking = 64
)

// A provider is the OpenID provider, as its configuration describes it.
type provider struct {
	options *Options
	client  *http.Client

	turn    chan struct{} // Held by who asks for the configuration.
	doors   turns         // Held by who asks for the tokens of a login.
	inside  turns         // Held by who asks whether somebody may stay.
	current atomic.Pointer[described]

	// Owned by who has the turn.
	tried time.Time
	err   error
}

// described is a configuration (OpenID Connect Discovery §3). It does not change.
type described struct {
	oauth       *oauth2.Config
	endSession  string // Empty where it has no such endpoint.
	namesItself bool   // Its answers have "iss" (RFC 9207 §3).
	at          time.Time
}

func newProvider(o *Options, client *http.Client) *provider {
	return &provider{options: o, client: client, turn: make(chan struct{}, 1), doors: make(turns, maxAsking), inside: make(turns, maxAsking)}
}

// turns bound the questions for tokens at one time: at the bound the newest is
// refused. Logins, which anybody can begin, have others than those inside.
type turns chan struct{}

// take takes a turn, which the function it returns gives back.
func (t turns) take() (leave func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	default:
		return nil, fmt.Errorf("%w: too many questions to the provider at once", usher.ErrUnavailable)
	}
}

// context returns one with which the libraries use our client.
func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// get returns the provider's configuration: that at hand, or a fresh one. There
// is one question at a time.
func (p *provider) get(ctx context.Context) (*described, error) {
	if d := p.current.Load(); d != nil && time.Since(d.at) < configAge {
		return d, nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: wait for the provider's configuration: %w", usher.ErrUnavailable, ctx.Err())
	}
	d := p.current.Load()
	if d != nil && time.Since(d.at) < configAge {
		return d, nil
	}
	if time.Since(p.tried) >= configRetry {
		fresh, err := p.ask(ctx)
		p.tried, p.err = time.Now(), err
		if err == nil {
			p.current.Store(fresh)
			return fresh, nil
		}
		p.options.Log.Warn("configuration of the login's provider not read", "issuer", p.options.Issuer, "error", err)
	}
	if d != nil && time.Since(d.at) < configStale {
		return d, nil
	}
	return nil, fmt.Errorf("%w: %w", usher.ErrUnavailable, p.err)
}

// ask reads the configuration, which must be that of our issuer. It is read for
// all: that who asks hangs up does not end it.
func (p *provider) ask(ctx context.Context) (*described, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	found, err := oidc.NewProvider(p.context(ctx), p.options.Issuer)
	if err != nil {
		return nil, bare(err)
	}
	var more struct {
		EndSession  string   `json:"end_session_endpoint"`
		NamesItself bool     `json:"authorization_response_iss_parameter_supported"`
		Auth        []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, errors.New("malformed")
	}
	d := &described{endSession: more.EndSession, namesItself: more.NamesItself, at: time.Now()}
	endpoint := found.Endpoint()
	loopback := checkURL(p.options.Issuer, false) != nil
	for name, address := range map[string]string{"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL} {
		if err := checkURL(address, loopback); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if d.endSession != "" {
		if err := checkURL(d.endSession, loopback); err != nil {
			return nil, fmt.Errorf("end_session_endpoint: %w", err)
		}
	}
	// Basic is the default (OpenID Connect Discovery §3). To try one after the
	// other would spend the code.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.options.ClientSecret.Empty() || len(more.Auth) > 0 && !slices.Contains(more.Auth, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	d.oauth = &oauth2.Config{
		ClientID: p.options.ClientID, ClientSecret: p.options.ClientSecret.Reveal(), Endpoint: endpoint,
		RedirectURL: p.options.URL + CallbackPath, Scopes: append([]string{oidc.ScopeOpenID}, p.options.Scopes...),
	}
	return d, nil
}

// bare returns an error of the libraries without what was in the answer, and
// without the URL.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("status %d, error %.40q", e.Response.StatusCode, e.ErrorCode)
	}
	if e, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return fmt.Errorf("configuration of another issuer, %.200q", e.Discovered)
	}
	return errors.New("no usable answer")
}

// newClient returns the client that the provider is asked with: bounded, without
// redirects, so that a secret goes nowhere else, and for plain http within
// loopback, whatever a name resolves to.
func newClient(from *http.Client, plain bool) *http.Client {
	var c http.Client
	if from != nil {
		c = *from
	}
	if c.Transport == nil {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: askTime,
		}
		if plain {
			t.Proxy = nil
			t.DialContext = (&net.Dialer{Control: loopbackOnly}).DialContext
		}
		c.Transport = t
	}
	c.Transport = bounded{c.Transport}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar, c.Timeout = nil, askTime
	return &c
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	if addr, err := netip.ParseAddrPort(address); err != nil || !addr.Addr().Unmap().IsLoopback() {
		return errors.New("plain http to an address that is not loopback")
	}
	return nil
}

// bounded cuts off answers.
type bounded struct{ http.RoundTripper }

// RoundTrip asks, and bounds what is read of the answer.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// CloseIdleConnections closes what is kept for the next question.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
