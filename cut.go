package usher

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The names that are the Guard's own on every route: they are cut out of every
// request, also where no carrier reads them.
const (
	tokenParam       = "access_token"
	ticketParam      = "ticket"
	csrfParam        = "csrf_token"
	csrfHeader       = "X-Csrf-Token"
	ownSubprotocols  = "usher."
	bearerPrefix     = "usher.bearer."
	ticketPrefix     = "usher.ticket."
	csrfPrefix       = "usher.csrf."
	foreignPrefix    = "base64url.bearer."
	kubernetesPrefix = "base64url.bearer.authorization.k8s.io."
	phoenixPrefix    = "base64url.bearer.phx."
)

// An extractor takes credentials out of the requests to one Guard, and says
// which carrier each of them came by.
type extractor struct {
	carriers    []Carrier           // In the Guard's order.
	params      map[string]struct{} // Query parameters to cut out.
	cookies     map[string]struct{} // Cookies to cut out.
	csrf        bool                // CSRF tokens are cut out.
	subprotocol bool                // Subprotocols with a foreign prefix are, too.
}

func newExtractor(carriers []Carrier) extractor {
	x := extractor{
		carriers: slices.Clone(carriers),
		params:   map[string]struct{}{tokenParam: {}, ticketParam: {}},
		cookies:  make(map[string]struct{}),
	}
	for _, c := range x.carriers {
		switch c.name {
		case carrierTicket, carrierQuery:
			x.params[c.param] = struct{}{}
		case carrierSubprotocol:
			x.subprotocol = true
		case carrierCookie:
			x.cookies[c.param] = struct{}{}
			if c.csrf != nil {
				x.csrf = true
				x.params[csrfParam] = struct{}{}
			}
		}
	}
	return x
}

// A cutting is what was taken out of one request, as it stood there, before
// anybody asks what it means.
type cutting struct {
	params  []named  // Query parameters of the carriers.
	cookies []named  // Cookies of the carriers.
	auth    []string // Authorization.
	secret  []string // Subprotocols that carry something.
	csrf    []string // CSRF tokens, by whatever way.
	offer   []string // The subprotocols that are left.
}

// A named is a value that was found under a name.
type named struct{ name, value string }

// valuesOf iterates over the values that were found under a name.
func valuesOf(list []named, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, n := range list {
			if n.name == name && !yield(n.value) {
				return
			}
		}
	}
}

// cut returns a copy of r without anything that is, or could be, a credential,
// and what it took out. r itself is not changed. Its error means that the
// request is malformed.
func (x *extractor) cut(ctx context.Context, r *http.Request) (*http.Request, *cutting, error) {
	c := &cutting{}
	clean := r.WithContext(ctx)
	if clean.Header = maps.Clone(r.Header); clean.Header == nil {
		clean.Header = make(http.Header)
	}
	c.auth = r.Header["Authorization"]
	delete(clean.Header, "Authorization")
	if x.csrf {
		c.csrf = slices.Clone(r.Header[csrfHeader])
		delete(clean.Header, csrfHeader)
	}
	x.cutReferer(clean.Header)
	x.cutQuery(clean, c)
	x.cutCookies(clean.Header, c)
	return clean, c, x.cutSubprotocols(clean.Header, c)
}

// cutQuery removes the parameters of the carriers from the URL, from the
// request target and from a form that somebody in front has parsed already.
// All other bytes stay as they were.
func (x *extractor) cutQuery(r *http.Request, c *cutting) {
	if r.URL.RawQuery == "" {
		return
	}
	rest, changed := withoutParams(r.URL.RawQuery, x.params, func(name, value string) {
		if name == csrfParam && x.csrf {
			c.csrf = append(c.csrf, value)
			return
		}
		c.params = append(c.params, named{name, value})
	})
	if !changed {
		return
	}
	u := *r.URL
	u.RawQuery = rest
	r.URL = &u
	if path, _, ok := strings.Cut(r.RequestURI, "?"); ok {
		r.RequestURI = path
		if rest != "" {
			r.RequestURI += "?" + rest
		}
	}
	if r.Form != nil {
		form := make(url.Values, len(r.Form))
		for name, values := range r.Form {
			if _, ours := x.params[name]; !ours {
				form[name] = values
			}
		}
		r.Form = form
	}
}

// cutReferer removes the parameters of the carriers from the URL of the page
// that caused the request, which had them in it if it was a plain request.
func (x *extractor) cutReferer(h http.Header) {
	var kept []string
	changed := false
	for _, line := range h["Referer"] {
		if path, query, ok := strings.Cut(line, "?"); ok {
			if rest, ours := withoutParams(query, x.params, func(string, string) {}); ours {
				changed = true
				if line = path; rest != "" {
					line += "?" + rest
				}
			}
		}
		kept = append(kept, line)
	}
	if changed {
		h["Referer"] = kept
	}
}

// withoutParams returns the raw query without the named parameters. Both "&"
// and ";" separate, because servers behind may split at either.
func withoutParams(raw string, names map[string]struct{}, found func(name, value string)) (string, bool) {
	var kept strings.Builder
	changed := false
	for len(raw) > 0 {
		piece, sep := raw, ""
		if i := strings.IndexAny(raw, "&;"); i >= 0 {
			piece, sep = raw[:i], raw[i:i+1]
		}
		raw = raw[len(piece)+len(sep):]
		rawName, rawValue, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(rawName)
		if _, ours := names[name]; err != nil || !ours {
			kept.WriteString(piece)
			kept.WriteString(sep)
			continue
		}
		changed = true
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			value = "%" // Malformed, and no verifier's.
		}
		found(name, value)
	}
	rest := kept.String()
	if changed {
		rest = strings.TrimRight(rest, "&;")
	}
	return rest, changed
}

// cutCookies removes the cookies of the carriers; others stay.
func (x *extractor) cutCookies(h http.Header, c *cutting) {
	lines := h["Cookie"]
	if len(x.cookies) == 0 || len(lines) == 0 {
		return
	}
	var kept []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			// No more than this is white space here (RFC 6265 §5.2): a sibling
			// site may plant a cookie whose name begins with another space.
			pair = strings.Trim(pair, " \t")
			name, value, _ := strings.Cut(pair, "=")
			name = strings.Trim(name, " \t")
			if _, ours := x.cookies[name]; !ours {
				if pair != "" {
					kept = append(kept, pair)
				}
				continue
			}
			value = strings.Trim(strings.Trim(value, " \t"), `"`)
			c.cookies = append(c.cookies, named{name, value})
		}
	}
	if c.cookies == nil {
		return
	}
	delete(h, "Cookie")
	if len(kept) > 0 {
		h["Cookie"] = []string{strings.Join(kept, "; ")}
	}
}

// cutSubprotocols removes the entries that carry something from the offer. An
// offer that is no list of tokens (RFC 6455 §11.3.4) is malformed.
func (x *extractor) cutSubprotocols(h http.Header, c *cutting) error {
	lines := h["Sec-Websocket-Protocol"]
	if len(lines) == 0 {
		return nil
	}
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			item = strings.TrimSpace(item)
			if !isToken(item) {
				delete(h, "Sec-Websocket-Protocol")
				return errMalformed
			}
			lower := strings.ToLower(item)
			switch {
			case strings.HasPrefix(item, csrfPrefix):
				c.csrf = append(c.csrf, item[len(csrfPrefix):])
			case strings.HasPrefix(lower, ownSubprotocols),
				x.subprotocol && strings.HasPrefix(lower, foreignPrefix):
				c.secret = append(c.secret, item)
			default:
				c.offer = append(c.offer, item)
			}
		}
	}
	delete(h, "Sec-Websocket-Protocol")
	if len(c.offer) > 0 {
		h["Sec-Websocket-Protocol"] = []string{strings.Join(c.offer, ", ")}
	}
	return nil
}

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return true
}
