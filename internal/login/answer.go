package login

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"

	"github.com/usher-ws/usher"
)

// A refusal is what a browser is told instead of being logged in. Its words are
// ours alone.
type refusal struct {
	status int
	detail string
	cause  error // For the log.
}

// Error says all of it.
func (r *refusal) Error() string {
	if r.cause == nil {
		return r.detail
	}
	return r.detail + ": " + r.cause.Error()
}

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }

// fail tells the browser what went wrong, and the operator why.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, err error) {
	told, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
	case errors.Is(err, usher.ErrUnavailable):
		told = &refusal{http.StatusServiceUnavailable, "it cannot be told now; try again in a moment", err}
	default: // What nobody expected is a no.
		told = &refusal{http.StatusForbidden, "the login was refused", err}
	}
	refuse(w, told.status, told.detail, l.refused(r, told.status, err))
}

// refused puts a refusal on record, and returns its explain id.
func (l *Login) refused(r *http.Request, status int, err error) string {
	why := &usher.Refusal{Status: status, Word: "bad_request", ID: rand.Text()[:12], Cause: err}
	switch status {
	case http.StatusForbidden:
		why.Word = "forbidden"
	case http.StatusServiceUnavailable:
		why.Word = "unavailable"
	}
	l.options.Log.Debug("login refused", "path", r.URL.Path, "status", status, "explain_id", why.ID, "error", err)
	if l.refusals != nil {
		l.refusals(r, why)
	}
	return why.ID
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail, explainID string) {
	body, err := json.Marshal(struct {
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		ExplainID string `json:"explain_id,omitempty"`
	}{http.StatusText(status), status, detail, explainID})
	if err != nil { // Texts and a number.
		body = nil
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}

// arrive sends the browser on from a page of ours. A redirect would be the last of
// those that began at the provider, so that browsers would call it cross-site,
// and a Guard in front of the place would refuse it.
func arrive(w http.ResponseWriter, place string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	place = html.EscapeString(place)
	fmt.Fprintf(w, `<!doctype html><meta http-equiv="refresh" content="0;url=%[1]s"><title>Logged in</title><a href="%[1]s">Go on</a>`, place)
}

// send sends the browser on. A path of ours is not made absolute: it stays at the
// name that the browser knows.
func send(w http.ResponseWriter, place string) {
	w.Header().Set("Location", place)
	w.WriteHeader(http.StatusSeeOther)
}
