package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
)

// The paths of the endpoints, behind Options.Name.
const (
	TokenPath      = "/oauth/token"
	RevokePath     = "/oauth/revoke"
	IntrospectPath = "/oauth/introspect"
	MetadataPath   = "/.well-known/oauth-authorization-server"
	KeysPath       = "/.well-known/jwks.json"
)

// An Issuer makes tokens, and takes them back. It holds no state of its own: all
// nodes of a site are one issuer.
type Issuer struct {
	// Immutable after New.
	o        Options
	refresh  refreshTokens
	metadata []byte
	turns    chan struct{} // Held by who is served.
}

// maxTurns is how many requests are served at one time: each may ask the store.
// Beyond, the newest is refused.
const maxTurns = 256

// New returns an issuer. It asks nobody for anything yet.
func New(o Options) (*Issuer, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	text, err := json.Marshal(metadataOf(o.Name))
	if err != nil {
		return nil, fmt.Errorf("issuer: encode metadata: %w", err)
	}
	return &Issuer{o: o, refresh: refreshTokens{secret: o.Secret}, metadata: text, turns: make(chan struct{}, maxTurns)}, nil
}

// Endpoints returns the handlers by their paths. They belong on the listener
// that Options.Name leads to, with nothing of a route's in front of them.
func (i *Issuer) Endpoints() map[string]http.Handler {
	return map[string]http.Handler{
		TokenPath:      i.form(i.token, true),
		RevokePath:     i.form(i.revoke, true),
		IntrospectPath: i.form(i.introspect, false),
		MetadataPath:   document("application/json", func() ([]byte, error) { return i.metadata, nil }),
		KeysPath:       document("application/jwk-set+json", i.KeyDocument),
	}
}

// Tokens returns what judges the issuer's access tokens that are for audience:
// for the carriers of routes.
func (i *Issuer) Tokens(audience string) usher.Verifier { return i.tokens(audience) }

// A request is a form that was sent to an endpoint.
type request struct {
	*http.Request
	form
	page bool // A web page has sent it: one of an allowed origin.
}

// form is an endpoint that takes a form and answers with JSON, or with nothing
// where that is nil. Pages are those of Options.Origins, if any may come at all.
func (i *Issuer) form(serve func(context.Context, *request) (any, error), pages bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{Request: r}
		err := i.enter(w, q, pages)
		if err == nil && r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		var answer any
		if err == nil {
			answer, err = i.inTurn(serve, q)
		}
		i.observe(q, err)
		if err == nil {
			writeJSON(w, http.StatusOK, answer)
			return
		}
		f, level := asFailure(err), slog.LevelDebug
		if f.status >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		i.o.Log.Log(r.Context(), level, "token request refused", "path", r.URL.Path, "client_id", q.claimed(),
			"client", i.o.Address(r).String(), "status", f.status, "code", f.code, "error", err)
		f.write(w)
	})
}

// inTurn serves a request that finds a turn.
func (i *Issuer) inTurn(serve func(context.Context, *request) (any, error), q *request) (any, error) {
	select {
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
		return serve(q.Context(), q)
	default:
		return nil, fmt.Errorf("%w: too many requests at once", usher.ErrUnavailable)
	}
}

// enter reads the form of a POST, and says who may read the answer.
func (i *Issuer) enter(w http.ResponseWriter, q *request, pages bool) error {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if origins := q.Header["Origin"]; len(origins) > 0 {
		if len(origins) > 1 || !pages || origins[0] != i.o.Name && !slices.Contains(i.o.Origins, origins[0]) {
			return &failure{status: http.StatusForbidden, code: codeRequest, about: "pages of this origin may not ask here"}
		}
		q.page = true
		h.Set("Access-Control-Allow-Origin", origins[0])
	}
	switch {
	case q.Method == http.MethodOptions:
		h.Set("Allow", "POST, OPTIONS")
		if q.page {
			h.Set("Access-Control-Allow-Methods", http.MethodPost)
			h.Set("Access-Control-Allow-Headers", "content-type")
			h.Set("Access-Control-Max-Age", "600")
		}
		return nil
	case q.Method != http.MethodPost:
		h.Set("Allow", "POST, OPTIONS")
		return &failure{status: http.StatusMethodNotAllowed, code: codeRequest, about: "the method must be POST"}
	}
	var err error
	q.form, err = readForm(w, q.Request)
	return err
}

// document is an endpoint with a document for everybody.
func document(contentType string, text func() ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			(&failure{status: http.StatusMethodNotAllowed, code: codeRequest, about: "the method must be GET"}).write(w)
			return
		}
		body, err := text()
		if err != nil {
			(&failure{status: http.StatusInternalServerError, code: codeServer}).write(w)
			return
		}
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(body)
	})
}

// writeJSON answers with what nobody may keep (RFC 6749 §5.1).
func writeJSON(w http.ResponseWriter, status int, v any) {
	body := []byte(nil)
	if v != nil {
		var err error
		if body, err = json.Marshal(v); err != nil {
			// Structs of texts and numbers, and maps of claims that came as JSON.
			status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
		}
	}
	h := w.Header()
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body)
}

// A failure is an error of RFC 6749 §5.2, or of an extension of it.
type failure struct {
	status int
	code   string
	about  string // For the client's developer. Nothing that was sent is in it.
	wait   string // Retry-After. Default: 5, where the status is one to come back at.
	cause  error  // For the operator. May be nil.
}

// The codes of failures.
const (
	codeRequest     = "invalid_request"
	codeClient      = "invalid_client"
	codeGrant       = "invalid_grant"
	codeNotAllowed  = "unauthorized_client"
	codeGrantType   = "unsupported_grant_type"
	codeScope       = "invalid_scope"
	codeTarget      = "invalid_target" // RFC 8707 §2
	codeSlow        = "slow_down"      // RFC 8628 §3.5
	codeUnavailable = "temporarily_unavailable"
	codeServer      = "server_error"
)

// Error is for the operator.
func (f *failure) Error() string {
	if f.cause == nil {
		return strings.TrimSuffix(f.code+": "+f.about, ": ")
	}
	return fmt.Sprintf("%s: %s: %v", f.code, f.about, f.cause)
}

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.cause }

func bad(code, about string) error {
	return &failure{status: http.StatusBadRequest, code: code, about: about}
}

// badFor is bad with a cause.
func badFor(code, about string, cause error) error {
	return &failure{status: http.StatusBadRequest, code: code, about: about, cause: cause}
}

// asFailure returns err as what it is answered with. What is not known to be the
// client's is not.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if errors.Is(err, usher.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &failure{
			status: http.StatusServiceUnavailable, code: codeUnavailable, cause: err,
			about: "what has to be asked or kept is out of reach: try again",
		}
	}
	return &failure{status: http.StatusInternalServerError, code: codeServer, cause: err}
}

func (f *failure) write(w http.ResponseWriter) {
	switch f.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="usher", charset="UTF-8"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		wait := f.wait
		if wait == "" {
			wait = "5"
		}
		w.Header().Set("Retry-After", wait)
	}
	writeJSON(w, f.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{f.code, f.about})
}
