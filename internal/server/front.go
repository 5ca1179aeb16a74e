package server

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/usher-ws/usher/internal/config"
)

// A door is a route's Guard in the ServeMux, so that it can be told from the
// redirects that a ServeMux has of its own.
type door struct{ http.Handler }

// ServeHTTP decides which door a request is for. It never redirects, which a
// ServeMux would for another form of a path: clients may follow a redirect and
// send their credential along.
func (st *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !st.names.serves(r.Host):
		writeProblem(w, http.StatusMisdirectedRequest, "this name is not served here")
	case strings.EqualFold(r.Method, http.MethodTrace):
		// Its answer is the request as an upstream sees it: with what the gateway
		// has put in, which clients must not see.
		writeProblem(w, http.StatusNotImplemented, "TRACE is not supported")
	case st.own[r.URL.Path] != nil:
		st.own[r.URL.Path].ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, ownPrefix):
		c, ok := st.api.find(r.URL.Path)
		if !ok {
			writeProblem(w, http.StatusNotFound, "")
			return
		}
		st.api.public(w, r, c)
	case st.hub != nil && config.HubOwns(r.URL.EscapedPath()):
		st.hub.ServeHTTP(w, r)
	case !isClean(r.URL):
		writeProblem(w, http.StatusBadRequest, "the path is not in its shortest form")
	default:
		d := st.door(r.Host, r.URL)
		switch {
		case d == nil && st.hub != nil:
			st.hub.elsewhere(w, r)
		case d == nil:
			writeProblem(w, http.StatusNotFound, "")
		case st.leadsElsewhere(d, r):
			writeProblem(w, http.StatusBadRequest, "the path is of another route once it is unescaped")
		default:
			d.ServeHTTP(w, r)
		}
	}
}

// door returns the door for a path under a name, or nil.
func (st *site) door(host string, u *url.URL) *door {
	h, _ := st.match(host, u)
	d, _ := h.(*door)
	return d
}

// match asks the ServeMux. That compares names byte by byte and takes the
// brackets off an IPv6 address with a port, so it is asked about the name as
// patternsOf writes it. No method plays a part.
func (st *site) match(host string, u *url.URL) (h http.Handler, pattern string) {
	return st.mux.Handler(&http.Request{Method: http.MethodGet, Host: plainHost(host), URL: u})
}

// leadsElsewhere reports whether the path, read as many servers read it, is for
// another door than d: they unescape a slash before they look at the path, take
// a backslash for one, or drop what follows a semicolon. Behind d they would
// serve what is behind the other door.
func (st *site) leadsElsewhere(d *door, r *http.Request) bool {
	plain := unescaped(r.URL.Path)
	if plain == r.URL.Path && r.URL.RawPath == "" {
		return false
	}
	h, pattern := st.match(r.Host, &url.URL{Path: plain})
	if pattern == "" {
		return false
	}
	other, ok := h.(*door)
	return !ok || other != d // No door is a redirect to one, which servers follow by themselves.
}

// unescaped returns a path that was unescaped once, with one slash wherever a
// server may see any, and without the parameters of its segments.
func unescaped(p string) string {
	var b strings.Builder
	for segment := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
		name, _, _ := strings.Cut(segment, ";")
		if name != "" {
			b.WriteByte('/')
			b.WriteString(name)
		}
	}
	if strings.HasSuffix(p, "/") || strings.HasSuffix(p, "\\") || b.Len() == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

// isClean reports whether the path begins with a slash and has no element that
// is empty, "." or "..", escaped ones included: an upstream may unescape them
// and leave the path that its route is for.
func isClean(u *url.URL) bool {
	escaped := u.EscapedPath()
	if !strings.HasPrefix(escaped, "/") || hasDots(u.Path) {
		return false
	}
	clean := path.Clean(escaped)
	return clean == escaped || clean != "/" && clean+"/" == escaped
}

func hasDots(p string) bool {
	for element := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
		if element == "." || element == ".." {
			return true
		}
	}
	return false
}
