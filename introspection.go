package usher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	defaultIntrospectionAge     = time.Minute
	defaultIntrospectionTimeout = 2 * time.Second
	defaultIntrospectionAtOnce  = 64
	// introspectionCache is how many tokens are remembered that were active.
	introspectionCache = 10_000
)

// An Introspection judges tokens by asking the authorization server that made
// them (RFC 7662): opaque ones, which say nothing to anybody else, or JWTs whose
// end should be noticed before they expire. It is a [Verifier] for KindToken.
//
// An active token is remembered for MaxAge, and never beyond its "exp". A
// connection that it opened is asked about again as long as it lives, so that it
// ends when the token is no longer active. There is never more than one question
// about a token at a time. Whatever is not a plain answer (an error, a redirect,
// no answer in time) is ErrUnavailable.
//
// The server is told every token that is not known to be another's. What is a
// JWT of another issuer is not sent, and is ErrUnrecognized; in [AnyOf], put an
// Introspection behind all others, since "not active" is a no that is final.
//
// It must not be copied after first use.
type Introspection struct {
	// URL is the introspection endpoint: https, or http on the loopback
	// interface. Required.
	URL string
	// Issuer is whose tokens these are: where an answer has "iss", it must be
	// this, exactly. Required.
	Issuer string
	// Audience must be among "aud" of the answer. Required.
	Audience string
	// InsecureAnyAudience takes tokens that were made for any service of the
	// issuer's, also those that a hostile or broken one got from its users (RFC
	// 7662 §4). It is for an issuer whose answers have no "aud", and that calls
	// tokens inactive which are not for the caller. Not together with Audience.
	// Default: false.
	InsecureAnyAudience bool
	// ClientID is what the server knows the caller by (RFC 7662 §2.1). Required.
	ClientID string
	// ClientSecret is what the caller proves it by, as Basic (RFC 6749 §2.3.1).
	// Required.
	ClientSecret Secret
	// MaxAge is how long an answer counts, and so how long a token that was
	// revoked there may live on here. Default: 1 min.
	MaxAge time.Duration
	// Timeout is how long a question may take, the wait for its turn included.
	// Default: 2 s.
	Timeout time.Duration
	// MaxConcurrent is how many questions there are at one time, and as many
	// again about those inside. Others wait their turn. Default: 64.
	MaxConcurrent int
	// Client asks; of it, redirects, cookies and timeout are not used. Default:
	// one of its own.
	Client *http.Client

	once sync.Once
	// Immutable after once.
	client *http.Client
	turns  chan struct{}
	again  chan struct{} // The turns of those inside.

	known tokenCache[introspected]

	mu sync.Mutex
	// Guarded by mu.
	asking map[[32]byte]*question
}

// An introspected is an answer about an active token, as it came: each who asks
// gets claims of its own.
type introspected struct {
	payload string
	asked   time.Time
	until   time.Time // It counts until then.
}

// A question is one under way, and what all who wait for it have in common.
type question struct {
	done chan struct{}
	// Set before done is closed.
	answer    *introspected
	err       error
	abandoned bool // Whoever asked gave up: it says nothing about the token.
}

// Validate reports what is missing or wrong. As long as it is an error, nobody is
// asked.
func (i *Introspection) Validate() error {
	if _, err := keyURL(i.URL); err != nil {
		return fmt.Errorf("introspection: %w", err)
	}
	switch {
	case i.Issuer == "":
		return errors.New("introspection: no issuer")
	case i.Audience == "" && !i.InsecureAnyAudience:
		return errors.New("introspection: no audience")
	case i.Audience != "" && i.InsecureAnyAudience:
		return errors.New("introspection: both an audience and any audience")
	case i.ClientID == "" || i.ClientSecret.Empty():
		return errors.New("introspection: no client id or no client secret, and nobody is asked without")
	case i.MaxAge < 0 || i.Timeout < 0 || i.MaxConcurrent < 0:
		return errors.New("introspection: a negative bound; leave it 0 for its default")
	}
	return nil
}

// Verify judges a token. Its errors hold nothing of it.
func (i *Introspection) Verify(ctx context.Context, c Credential) (*Identity, error) {
	if c.Kind != KindToken {
		return nil, ErrUnrecognized
	}
	if err := i.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	i.once.Do(i.init)
	token := c.Secret.Reveal()
	switch {
	case token == "" || len(token) > MaxToken:
		return nil, fmt.Errorf("introspection: token of %d bytes, at least 1 and at most %d", len(token), MaxToken)
	case i.isForeign(token):
		return nil, fmt.Errorf("introspection: %w: of another issuer", ErrUnrecognized)
	}
	sum := c.Secret.digest()
	answer := i.recall(sum, c.Recheck)
	if answer == nil {
		var err error
		if answer, err = i.share(ctx, sum, c); err != nil {
			return nil, fmt.Errorf("introspection: %w", err)
		}
	}
	claims, err := decodeClaims(answer.payload)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	id, err := i.identity(claims, answer.asked)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	return &id, nil
}

func (i *Introspection) init() {
	n := cmp.Or(i.MaxConcurrent, defaultIntrospectionAtOnce)
	i.turns, i.again = make(chan struct{}, n), make(chan struct{}, n)
	i.asking = make(map[[32]byte]*question)
	var c http.Client
	if i.Client != nil {
		c = *i.Client
	} else {
		u, _ := keyURL(i.URL) // Verify has validated it.
		t := keyTransport(u.Scheme == "http")
		t.DisableKeepAlives, t.ForceAttemptHTTP2 = false, true
		t.MaxIdleConns, t.MaxIdleConnsPerHost, t.IdleConnTimeout = n, n, 30*time.Second
		t.TLSHandshakeTimeout = cmp.Or(i.Timeout, defaultIntrospectionTimeout)
		c.Transport = t
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar, c.Timeout = nil, 0
	i.client = &c
}

// CloseIdle closes the connections that are kept for the next question.
func (i *Introspection) CloseIdle() {
	if i.Validate() == nil {
		i.once.Do(i.init)
		i.client.CloseIdleConnections()
	}
}

// isForeign reports whether a token says by itself that another issuer made it.
func (i *Introspection) isForeign(token string) bool {
	payload, _, err := splitToken(token)
	if err != nil {
		return false
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return false
	}
	iss, named := claims["iss"]
	return named && iss != i.Issuer
}

func (i *Introspection) maxAge() time.Duration { return cmp.Or(i.MaxAge, defaultIntrospectionAge) }

// recall returns the answer at hand that still counts. For those inside it must
// be a young one, since they ask a while before theirs is over: it comes from
// another connection with the same token.
func (i *Introspection) recall(sum [32]byte, recheck bool) *introspected {
	answer := i.known.find(sum, introspectionCache)
	if answer == nil {
		return nil
	}
	now := time.Now()
	if !now.Before(answer.until) || recheck && now.Sub(answer.asked) > i.maxAge()/4 {
		return nil
	}
	return answer
}

// share asks about a token, or waits for whoever is asking about it.
func (i *Introspection) share(ctx context.Context, sum [32]byte, c Credential) (*introspected, error) {
	for {
		i.mu.Lock()
		q, waits := i.asking[sum]
		if !waits {
			q = &question{done: make(chan struct{}), abandoned: true} // Also if it panics.
			i.asking[sum] = q
		}
		i.mu.Unlock()
		if !waits {
			i.lead(ctx, q, sum, c)
			return q.answer, q.err
		}
		select {
		case <-q.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the answer: %w: %w", ErrUnavailable, ctx.Err())
		}
		if !q.abandoned {
			return q.answer, q.err
		}
	}
}

// lead asks for all who wait.
func (i *Introspection) lead(ctx context.Context, q *question, sum [32]byte, c Credential) {
	defer func() {
		i.mu.Lock()
		delete(i.asking, sum)
		i.mu.Unlock()
		close(q.done)
	}()
	q.answer, q.err = i.ask(ctx, c)
	switch {
	case q.err == nil:
		i.known.add(sum, q.answer, introspectionCache)
	case !errors.Is(q.err, ErrUnavailable):
		i.known.forget(sum)
	}
	q.abandoned = ctx.Err() != nil
}

// enter waits for a turn, which the function it returns gives back. A recheck
// does not wait behind those at the door.
func (i *Introspection) enter(ctx context.Context, recheck bool) (leave func(), err error) {
	turns := i.turns
	if recheck {
		turns = i.again
	}
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
