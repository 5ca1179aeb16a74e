package usher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fetchTimeout = 5 * time.Second

	minRefresh     = time.Minute
	defaultRefresh = 15 * time.Minute
	maxRefresh     = time.Hour
)

// keyURL parses the address of a key set. Plain HTTP would let whoever is on
// the way choose who comes in, so it is for the loopback interface only.
func keyURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("no url")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		// The parser's error quotes the URL.
		return nil, errors.New("malformed url")
	case u.User != nil:
		return nil, errors.New("url with a password in it")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("url is plain http and not on the loopback interface")
	}
	return nil, errors.New("url is not https")
}

func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// host returns what of the URL may be logged.
func (j *JWKS) host() string {
	u, err := j.source()
	if err != nil {
		return ""
	}
	return u.Host
}

// source returns where the document is, or the issuer that says where, or why
// none is fetched.
func (j *JWKS) source() (*url.URL, error) {
	switch {
	case j.MaxStale < 0 || j.Cooldown < 0:
		return nil, errors.New("negative time; leave it 0 for its default")
	case j.URL != "" && j.Issuer != "":
		return nil, errors.New("both a url and an issuer that says where it is")
	case j.Issuer != "":
		return issuerURL(j.Issuer)
	}
	return keyURL(j.URL)
}

// get fetches the document once.
func (j *JWKS) get(ctx context.Context) (*keySnapshot, error) {
	u, err := j.source()
	if err != nil {
		return nil, fmt.Errorf("fetch jwks: %w", err)
	}
	if j.Issuer != "" {
		host := u.Host
		if u, err = discoverKeys(ctx, j.client(u.Scheme == "http"), u, j.Issuer); err != nil {
			return nil, fmt.Errorf("discover jwks at %s: %w", host, err)
		}
	}
	keys, header, err := fetchKeys(ctx, j.client(u.Scheme == "http"), u)
	if err != nil {
		return nil, fmt.Errorf("fetch jwks from %s: %w", u.Host, err)
	}
	now := time.Now()
	return &keySnapshot{
		keys:    newKeyIndex(keys),
		fetched: now,
		due:     now.Add(jitter(freshFor(header))),
	}, nil
}

func fetchKeys(ctx context.Context, client *http.Client, u *url.URL) ([]Key, http.Header, error) {
	body, header, err := fetchDocument(ctx, client, u, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, nil, err
	}
	keys, err := parseKeySet(body, false)
	if err != nil {
		return nil, nil, err
	}
	return keys, header, nil
}

// A statusError is a status other than 200.
type statusError int

func (e statusError) Error() string {
	if e >= 300 && e < 400 {
		return fmt.Sprintf("status %d: redirects are refused", int(e))
	}
	return fmt.Sprintf("status %d", int(e))
}

// fetchDocument gets a document of at most maxKeyDocument bytes.
func fetchDocument(ctx context.Context, client *http.Client, u *url.URL, accept string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, errors.New("malformed url")
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyDocument+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read body: %w", err)
	}
	if len(body) > maxKeyDocument {
		return nil, nil, fmt.Errorf("more than %d bytes", maxKeyDocument)
	}
	return body, resp.Header, nil
}

// withoutURL returns a client's error without the URL, whose query may hold a
// secret.
func withoutURL(err error) error {
	if full, ok := errors.AsType[*url.Error](err); ok {
		return full.Err
	}
	return err
}

// client returns the client to fetch with. It follows no redirect, so that the
// keys come from the address that was configured or not at all.
func (j *JWKS) client(plain bool) *http.Client {
	var c http.Client
	if j.Client != nil {
		c = *j.Client
	} else {
		c.Transport = keyTransport(plain)
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar, c.Timeout = nil, 0
	return &c
}

// keyTransport makes one connection and keeps none: the next fetch is minutes
// away. For plain HTTP it connects to the loopback interface only, whatever a
// name resolves to.
func keyTransport(plain bool) *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if plain {
		t.Proxy = nil
		t.DialContext = (&net.Dialer{Control: loopbackOnly}).DialContext
	}
	return t
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	if addr, err := netip.ParseAddrPort(address); err != nil || !addr.Addr().Unmap().IsLoopback() {
		return errors.New("plain http to an address that is not loopback")
	}
	return nil
}

// freshFor says after how long the document is to be fetched again (RFC 9111
// §5.2.2), within bounds: a server can neither cause a flood nor make a key
// live for days after it was withdrawn.
func freshFor(h http.Header) time.Duration {
	fresh := defaultRefresh
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minRefresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				continue
			}
			fresh = time.Duration(seconds) * time.Second
		}
	}
	return min(max(fresh, minRefresh), maxRefresh)
}

// jitter takes up to a tenth off d, so that the nodes of a cluster do not fetch
// all at once.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/10)
}
