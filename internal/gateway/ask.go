package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher"
)

const (
	defaultAskTimeout  = 2 * time.Second
	defaultAskAtOnce   = 64
	defaultAskLifetime = 24 * time.Hour
	// maxAskWaiting bounds the questions that wait for their turn.
	maxAskWaiting = 1024
	// maxAskAnswer bounds the body of an answer, and maxAskHead its head, in
	// bytes.
	maxAskAnswer = 64 << 10
	maxAskHead   = 64 << 10
)

// An Ask is a [usher.Verifier] that asks a server of the user's own: one GET
// with just that credential. A cookie goes as Cookie, a token as Authorization:
// Bearer, a password as Authorization: Basic; tickets are not its business. The
// header X-Usher-Route names the route.
//
// 2xx with a JSON object is a yes, and the object's members are the claims:
// "sub", and optionally "iss", "sid", "jti", "iat" and "exp". 403 is
// usher.ErrForbidden, any other 4xx a no, but for 408, 425 and 429. All else,
// redirects and no answer in time included, is usher.ErrUnavailable. A
// redirect is not followed and no proxy is used, so that the credential goes to
// URL and nowhere else.
//
// A yes counts as long as Cache-Control or Expires say (RFC 9111 §5), at most 24
// hours; the Guard then asks again. With no-store, no-cache or a max-age of 0
// that is a minute. "exp" is an end that no answer moves.
type Ask struct {
	// URL is what to ask. Plain http is for a network that may see the
	// credentials. Required.
	URL string
	// Timeout is how long a question may take, the wait for its turn included.
	// Default: 2 s.
	Timeout time.Duration
	// MaxConcurrent is how many questions there are at one time. Others wait
	// their turn, 1024 at most; the newest is then usher.ErrUnavailable. As
	// many more are for rechecks. Default: 64.
	MaxConcurrent int
	// Lifetime is how long a yes counts that does not say. Default: 24 h.
	Lifetime time.Duration
	// Cookie is the name that a cookie has in the question. Required behind the
	// carrier cookie.
	Cookie string
	// Headers maps headers of the answer to the claims that they become, over
	// members of that name. With them the answer needs no body. Default: none.
	Headers map[string]string
	// Send is a header that every question has. Default: none.
	Send http.Header
	// Subject is the claim that says who it is, a text or a number. Default:
	// "sub".
	Subject string
	// Client asks; of it, redirects, cookies and timeout are not used. Default:
	// one of its own, without a proxy.
	Client *http.Client

	once sync.Once
	// Immutable after once.
	client *http.Client
	turns  chan struct{}
	again  chan struct{} // The turns of those inside.

	waiting atomic.Int64
}

var _ usher.Verifier = (*Ask)(nil)

// Validate reports what is wrong with the fields. It does not ask.
func (a *Ask) Validate() error {
	u, err := url.Parse(a.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("ask: URL is not http or https")
	case u.User != nil || u.Fragment != "":
		return errors.New("ask: a user or a fragment in URL")
	case a.Timeout < 0 || a.MaxConcurrent < 0 || a.Lifetime < 0:
		return errors.New("ask: a negative bound")
	}
	return nil
}

// Verify asks. Its errors hold nothing of the credential, nor of the answer.
func (a *Ask) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	a.once.Do(a.init)
	timeout := a.Timeout
	if timeout <= 0 {
		timeout = defaultAskTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := a.question(ctx, c)
	if err != nil {
		return nil, err
	}
	leave, err := a.enter(ctx, c.Recheck)
	if err != nil {
		return nil, fmt.Errorf("ask: wait for a turn: %w: %w", usher.ErrUnavailable, err)
	}
	defer leave()
	res, err := a.client.Do(req)
	if err != nil {
		if full, ok := errors.AsType[*url.Error](err); ok {
			err = full.Err // Without the URL, whose query may hold a secret.
		}
		return nil, fmt.Errorf("ask %s: %w: %w", req.URL.Host, usher.ErrUnavailable, err)
	}
	defer res.Body.Close()
	id, err := a.answer(res, time.Now())
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", req.URL.Host, err)
	}
	return id, nil
}

func (a *Ask) init() {
	n := a.MaxConcurrent
	if n <= 0 {
		n = defaultAskAtOnce
	}
	a.turns, a.again = make(chan struct{}, n), make(chan struct{}, n)
	var client http.Client
	if a.Client != nil {
		client = *a.Client
	} else {
		client.Transport = &http.Transport{
			Proxy: nil, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConns: n, MaxIdleConnsPerHost: n, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxAskHead,
		}
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar, client.Timeout = nil, 0
	a.client = &client
}

// CloseIdle closes the connections that are kept for the next question.
func (a *Ask) CloseIdle() {
	a.once.Do(a.init)
	a.client.CloseIdleConnections()
}

// enter waits for a turn, which the function it returns gives back. A recheck
// does not wait behind those at the door.
func (a *Ask) enter(ctx context.Context, recheck bool) (leave func(), err error) {
	if recheck {
		select {
		case a.again <- struct{}{}:
			return func() { <-a.again }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > maxAskWaiting {
		return nil, errors.New("too many questions at once")
	}
	select {
	case a.turns <- struct{}{}:
		return func() { <-a.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errAskCredential = errors.New("ask: credential cannot stand in a header")

// question makes the request. What could be read as more than the credential
// is a no.
func (a *Ask) question(ctx context.Context, c usher.Credential) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("ask: %w: malformed URL", usher.ErrUnavailable)
	}
	for name, values := range a.Send {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "usher")
	if c.Route != "" {
		req.Header.Set("X-Usher-Route", c.Route)
	}
	secret := c.Secret.Reveal()
	switch {
	case c.Kind == usher.KindPassword:
		if strings.Contains(c.Username, ":") {
			return nil, errAskCredential
		}
		req.SetBasicAuth(c.Username, secret)
	case c.Kind != usher.KindToken:
		return nil, usher.ErrUnrecognized
	case secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errAskCredential
	case c.Carrier != "cookie":
		if strings.ContainsAny(secret, " ,") { // What ends a token (RFC 9110 §11.4).
			return nil, errAskCredential
		}
		req.Header["Authorization"] = []string{"Bearer " + secret}
	case a.Cookie == "":
		return nil, fmt.Errorf("ask: %w: no name for the cookie", usher.ErrUnavailable)
	case strings.Contains(secret, ";"):
		return nil, errAskCredential
	default:
		req.Header["Cookie"] = []string{a.Cookie + "=" + secret}
	}
	return req, nil
}

// answer judges what came back.
func (a *Ask) answer(res *http.Response, now time.Time) (*usher.Identity, error) {
	switch status := res.StatusCode; {
	case status/100 == 2:
	case status == http.StatusForbidden:
		return nil, fmt.Errorf("status 403: %w", usher.ErrForbidden)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("status %d: %w", status, usher.ErrUnavailable)
	case status/100 == 4:
		return nil, fmt.Errorf("status %d", status)
	case status/100 == 3:
		return nil, fmt.Errorf("status %d: %w: redirects are not followed", status, usher.ErrUnavailable)
	default:
		return nil, fmt.Errorf("status %d: %w", status, usher.ErrUnavailable)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAskAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w: %w", usher.ErrUnavailable, err)
	}
	if len(body) > maxAskAnswer {
		return nil, fmt.Errorf("%w: more than %d bytes", usher.ErrUnavailable, maxAskAnswer)
	}
	claims, err := a.claims(body, res.Header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", usher.ErrUnavailable, err)
	}
	return a.identity(claims, res.Header, now)
}

// origin is the issuer of answers that name none.
func (a *Ask) origin() string {
	u, err := url.Parse(a.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}
