package usher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
)

// The codes of the Close frames that a Guard sends (RFC 6455 §7.4.2). Each says
// what the client should do next.
const (
	// CloseUnauthenticated: get a fresh credential, then reconnect. Its words
	// are "unauthenticated", "expired" and "revoked".
	CloseUnauthenticated = 4401
	// CloseForbidden: stop. Its words are "forbidden", and "replaced" for a
	// connection whose place was taken by another of its identity.
	CloseForbidden = 4403
	// CloseAuthTimeout: no first message came in time; reconnect.
	CloseAuthTimeout = 4408
	// CloseTooMany: wait, then reconnect. A Guard by itself sends it to an
	// identity that has as many connections as it may; a flood it answers in
	// plain HTTP.
	CloseTooMany = 4429
	// CloseUnavailable: it could not be decided; wait, then reconnect.
	CloseUnavailable = 4503
	// CloseFault: a fault of the server or of its configuration; wait, then
	// reconnect.
	CloseFault = 1011

	// CloseProtocolError: the client broke RFC 6455; its program is at fault.
	CloseProtocolError = 1002
	// CloseGoingAway: the server is on its way out; reconnect at once.
	CloseGoingAway = 1001
)

// A Refusal says why a request was turned away or a connection ended, in the
// terms of HTTP and of WebSocket. errors.Is sees the cause.
type Refusal struct {
	// Status is the HTTP status for who can read one. Default: 500.
	Status int
	// Code is the WebSocket close code: one of the Close constants, or 0 where
	// only HTTP answers, since no code says that. A connection that has to be
	// ended with such a Refusal is ended with CloseFault.
	Code int
	// Word is what a client may be told. With a close code it is
	// "unauthenticated", "expired", "forbidden", "auth_timeout", "too_many",
	// "unavailable", "fault", "protocol_error", "draining", "revoked" or
	// "replaced". With code 0 it is "bad_request", "misdirected",
	// "not_implemented", "method_not_allowed", "version", "bad_handshake" or
	// "origin". A Refusal of a handler's own may have another word, as the
	// gateway's "idle" and "unresponsive" are.
	Word string
	// ID is the explain id: the client has it in the close reason or in the
	// error body, the operator in the log. Default: a random one.
	ID string
	// Carrier names the carrier whose credential was judged, if any was.
	Carrier string
	// Cause is the error behind it, for the operator. May be nil.
	Cause error

	plain bool // Always an HTTP status: a wrong host or origin, a flood, no handshake.
}

// Error gives the word and the cause. It is for the operator, not the client.
func (r *Refusal) Error() string {
	if r.Cause == nil {
		return r.Word
	}
	return fmt.Sprintf("%s: %v", r.Word, r.Cause)
}

// Unwrap returns the cause, such as ErrExpired.
func (r *Refusal) Unwrap() error { return r.Cause }

func (r *Refusal) is(target error) bool { return errors.Is(r.Cause, target) }

// reason is the Close frame's text: the word, a space and the explain id.
func (r *Refusal) reason() string { return r.Word + " " + r.ID }

// The Guard's own causes of a refusal, beside those of verifiers.
var (
	// ErrNoCredential: the request brought none that a carrier of the Guard
	// takes.
	ErrNoCredential = errors.New("no credential")
	// ErrProtocol: the client broke the rules of RFC 6455 (close code 1002).
	ErrProtocol = errors.New("protocol error")

	errTwoCredentials = errors.New("two different credentials")
	errTwoSubjects    = fmt.Errorf("%w: of two subjects", errTwoCredentials)

	errFull        = errors.New("too many sockets wait for a verdict")
	errFullAddress = errors.New("too many sockets of this client wait for a verdict")
	errTooMany     = errors.New("this identity has as many connections as it may")
	errTimeout     = errors.New("no first message in time")
	errMalformed   = errors.New("malformed credential")
	errFault       = errors.New("fault of the server")
)

func newRefusal(status, code int, word string, cause error) *Refusal {
	return &Refusal{Status: status, Code: code, Word: word, ID: newExplainID(), Cause: cause}
}

func newExplainID() string { return rand.Text()[:12] }

// plainRefusal is one that is always an HTTP status, also for a browser. Its
// code is 0 unless the word has one in a Close frame.
func plainRefusal(status, code int, word string, cause error) *Refusal {
	r := newRefusal(status, code, word, cause)
	r.plain = true
	return r
}

// asRefusal returns err as the refusal that it is, or becomes. It is a copy,
// since a verifier or a handler may have one *Refusal for many requests at once.
func asRefusal(err error) *Refusal {
	given, ok := errors.AsType[*Refusal](err)
	if !ok {
		return refusalFor(err)
	}
	r := *given
	if r.ID == "" {
		r.ID = newExplainID()
	}
	if r.Status == 0 {
		r.Status = http.StatusInternalServerError
	}
	return &r
}

// refusalFor turns an error of a verdict into a refusal. What nobody expected
// is a no.
func refusalFor(err error) *Refusal {
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled):
		return newRefusal(http.StatusServiceUnavailable, CloseUnavailable, "unavailable", err)
	case errors.Is(err, ErrForbidden):
		return newRefusal(http.StatusForbidden, CloseForbidden, "forbidden", err)
	case errors.Is(err, errTwoCredentials):
		return newRefusal(http.StatusBadRequest, CloseForbidden, "forbidden", err)
	case errors.Is(err, ErrExpired):
		return newRefusal(http.StatusUnauthorized, CloseUnauthenticated, "expired", err)
	case errors.Is(err, ErrRevoked):
		return newRefusal(http.StatusUnauthorized, CloseUnauthenticated, "revoked", err)
	case errors.Is(err, errTooMany):
		return newRefusal(http.StatusTooManyRequests, CloseTooMany, "too_many", err)
	case errors.Is(err, errTimeout):
		return newRefusal(http.StatusRequestTimeout, CloseAuthTimeout, "auth_timeout", err)
	case errors.Is(err, errFullAddress):
		return plainRefusal(http.StatusTooManyRequests, CloseTooMany, "too_many", err)
	case errors.Is(err, errFull):
		return plainRefusal(http.StatusServiceUnavailable, CloseTooMany, "too_many", err)
	case errors.Is(err, ErrProtocol):
		return newRefusal(http.StatusBadRequest, CloseProtocolError, "protocol_error", err)
	case errors.Is(err, errFault):
		return newRefusal(http.StatusInternalServerError, CloseFault, "fault", err)
	default:
		return newRefusal(http.StatusUnauthorized, CloseUnauthenticated, "unauthenticated", err)
	}
}
