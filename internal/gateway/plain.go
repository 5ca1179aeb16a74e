package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/usher-ws/usher"
)

// responseTime is how long an upstream may take to begin its answer to a plain
// request.
const responseTime = time.Minute

type plainKey struct{}

// A plainRequest is what RoundTrip needs to know of a request, which travels in
// its context.
type plainRequest struct {
	in   *http.Request // As it came out of the Guard.
	tail string        // Of its path: see pathRule.
}

// rewrite leaves the request as it came: its target is not chosen yet. The
// proxy has taken out what belongs to one connection. Trailers of clients are
// not forwarded, since what is in them is known too late to be judged.
func (b *behind) rewrite(pr *httputil.ProxyRequest) { pr.Out.Trailer = nil }

// RoundTrip sends a plain request to a target of the route's pool, and to
// another if that cannot be reached.
func (b *behind) RoundTrip(out *http.Request) (*http.Response, error) {
	plain, ok := out.Context().Value(plainKey{}).(*plainRequest)
	if !ok {
		return nil, errors.New("request did not come through the route's handler")
	}
	tried := make(map[*member]bool, 1)
	var errs []error
	for {
		m := b.Pool.take(tried)
		if m == nil {
			return nil, fmt.Errorf("%w: %w", usher.ErrUnavailable, errors.Join(errs...))
		}
		tried[m] = true
		res, err := b.roundTrip(m.target, plain, out)
		b.Pool.give(m)
		if err == nil {
			b.Pool.note(m, nil)
			return res, nil
		}
		errs = append(errs, err)
		if dial, ok := errors.AsType[*net.OpError](err); !ok || dial.Op != "dial" {
			return nil, err // It may have reached the target: not to be sent twice.
		}
		if out.Context().Err() != nil { // The client went away: no fault of the target.
			return nil, err
		}
		b.Pool.note(m, err)
	}
}

func (b *behind) roundTrip(t *Target, plain *plainRequest, out *http.Request) (*http.Response, error) {
	req := *out
	req.Header = out.Header.Clone()
	if err := b.headers(req.Header, plain.in, t); err != nil {
		return nil, err
	}
	req.URL = joinURL(t.base, plain.tail, plain.in.URL.RawQuery)
	req.URL.Scheme = "http" // TLS is the target's dialing's business.
	req.Host = b.host(plain.in)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = io.NopCloser(req.Body) // A target that cannot be reached must not close it for the next.
	}
	res, err := t.transport.RoundTrip(&req)
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		_ = res.Body.Close() // And with it the connection.
		return nil, fmt.Errorf("%w: 101 to a request that is no upgrade", errAnswer)
	}
	return res, err
}

// newTransport returns the transport for plain requests to t.
func newTransport(t *Target) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := t.dial(ctx, cmp.Or(t.timeout, defaultHandshake))
			if err != nil {
				return nil, &net.OpError{Op: "dial", Net: t.network, Err: err}
			}
			return c, nil
		},
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
		ResponseHeaderTimeout: responseTime, MaxResponseHeaderBytes: maxHead, DisableCompression: true,
	}
}

// proxyFailed answers a plain request that has no answer.
func (b *behind) proxyFailed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, usher.ErrUnavailable) {
		usher.Refuse(w, r, err)
		return
	}
	badGateway(w, r, err)
}
