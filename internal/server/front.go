package server

import (
	"net/http"
	"net/url"
	"path"
	"strings"
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
	case r.Method == http.MethodTrace:
		// Its answer is the request as an upstream sees it: with what the gateway
		// has put in, which clients must not see.
		writeProblem(w, http.StatusNotImplemented, "TRACE is not supported")
	case st.own[r.URL.Path] != nil:
		st.own[r.URL.Path].ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, ownPrefix):
		writeProblem(w, http.StatusNotFound, "")
	case !isClean(r.URL):
		writeProblem(w, http.StatusBadRequest, "the path is not in its shortest form")
	default:
		if h, _ := st.mux.Handler(r); !isDoor(h) {
			writeProblem(w, http.StatusNotFound, "")
			return
		}
		st.mux.ServeHTTP(w, r) // Which sets what the wildcards matched.
	}
}

func isDoor(h http.Handler) bool {
	_, ok := h.(*door)
	return ok
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
