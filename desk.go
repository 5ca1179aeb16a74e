package usher

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// maxDeskBody bounds the body of a request for a ticket, in bytes.
const maxDeskBody = 4096

// Desk returns the handler where pages get tickets for routes:
//
//	POST /usher/v1/tickets?route=/chat
//	200 {"ticket":"…","expires_in":30,"session":"…","session_expires_in":3600}
//
// It stands behind g, whose carriers say who may ask: Bearer, Cookie or both.
// Browsers attach a cookie, and Basic, to what foreign pages start, so with
// those a request also needs a header that no form can send: Content-Type:
// application/json, or X-Requested-With. A ticket buys no ticket.
//
// The parameter route may be left out where there is one route. A ticket is
// bound to the request's Origin. A request without one, as from a backend that
// fetches a ticket for its page, may name it: {"origin":"https://…"}, one that
// g allows. Where neither does, the ticket is for a client that is no browser.
//
// Pages of g's origins can read the answers, refusals included (CORS). Errors
// are application/problem+json (RFC 9457). Times are in seconds.
func (t *Tickets) Desk(g *Guard, routes ...string) http.Handler {
	d := &desk{tickets: t, guard: g.compile(), routes: slices.Clone(routes)}
	return newCORS(g, g.Handler(d), http.MethodPost)
}

type desk struct {
	tickets *Tickets
	guard   *guardState
	routes  []string
}

// deskAnswer is what a page gets.
type deskAnswer struct {
	Ticket           string `json:"ticket"`
	ExpiresIn        int64  `json:"expires_in"`
	Session          string `json:"session,omitempty"`
	SessionExpiresIn int64  `json:"session_expires_in,omitempty"`
}

// ServeHTTP runs for those whom the Guard admitted.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := d.mint(w, r)
	if err == nil {
		writeJSON(w, http.StatusOK, "application/json", answer)
		return
	}
	var p *problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, ErrExpired):
		p = &problem{http.StatusUnauthorized, "the credential has expired"}
	case errors.Is(err, errTicketSize):
		p = &problem{http.StatusUnprocessableEntity, "the identity is too large for a ticket: it has too many or too long claims"}
	default:
		// Not what the client did. The log gets the reason.
		d.guard.log.Error("cannot make a ticket", "error", err)
		p = &problem{http.StatusInternalServerError, "no ticket could be made"}
	}
	p.write(w)
}

// mint makes the ticket that r asks for, if it may.
func (d *desk) mint(w http.ResponseWriter, r *http.Request) (*deskAnswer, error) {
	id, err := FromContext(r.Context())
	if err != nil {
		return nil, err
	}
	if err := provesPage(r, leaseOf(r.Context()).carrier); err != nil { // FromContext has found it there.
		return nil, err
	}
	route, err := d.route(r)
	if err != nil {
		return nil, err
	}
	origin, err := d.origin(w, r)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	ticket, expires, err := d.tickets.Make(id, origin, route)
	if err != nil {
		return nil, err
	}
	return &deskAnswer{
		Ticket:           ticket.Reveal(),
		ExpiresIn:        seconds(now, expires),
		Session:          id.Session,
		SessionExpiresIn: seconds(now, id.Expires),
	}, nil
}

// provesPage refuses what a foreign page could have started: a request whose
// credential the browser attached by itself, and that has nothing in it which
// needs a preflight. The Guard saw to the Origin. What is not known to be
// deliberate counts as attached.
func provesPage(r *http.Request, carrier string) error {
	switch carrier {
	case carrierBearer, carrierQuery:
		return nil
	case carrierTicket:
		// Else a ticket would live for as long as somebody exchanges it.
		return &problem{http.StatusForbidden, "a ticket opens one connection, and nothing else"}
	}
	if isJSON(r.Header) || len(r.Header["X-Requested-With"]) > 0 {
		return nil
	}
	return &problem{http.StatusForbidden, "with a cookie or Basic the request must have the header " +
		"Content-Type: application/json or X-Requested-With, which shows that no foreign page sent it"}
}

func isJSON(h http.Header) bool {
	values := h["Content-Type"]
	if len(values) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(values[0])
	return err == nil && mediaType == "application/json"
}

// route returns the route that r asks for.
func (d *desk) route(r *http.Request) (string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", &problem{http.StatusBadRequest, "the query is malformed"}
	}
	asked := query["route"]
	switch {
	case len(asked) > 1:
		return "", &problem{http.StatusBadRequest, "the parameter route is there more than once"}
	case len(asked) == 1 && slices.Contains(d.routes, asked[0]):
		return asked[0], nil
	case len(asked) == 0 && len(d.routes) == 1:
		return d.routes[0], nil
	case len(asked) == 0 && len(d.routes) > 1:
		return "", &problem{http.StatusBadRequest, "the parameter route must say what the ticket is for"}
	}
	return "", &problem{http.StatusNotFound, "there are no tickets for this route"}
}

// origin returns the origin to bind the ticket to: that of the page that asks,
// or the one that a backend names for its page, or "".
func (d *desk) origin(w http.ResponseWriter, r *http.Request) (string, error) {
	origin, ok := d.guard.allowedOrigin(r)
	if !ok {
		return "", &problem{http.StatusForbidden, "this origin is not allowed"}
	}
	named, given, err := readMember(w, r, "origin")
	switch {
	case err != nil:
		return "", err
	case !given:
		return origin, nil
	case origin != "" && named != origin:
		return "", &problem{http.StatusBadRequest, "the body names another origin than the header Origin"}
	case !d.guard.allowsOrigin(r, named):
		return "", &problem{http.StatusForbidden, "the origin that the body names is not allowed"}
	}
	return named, nil
}

// readMember reads the body of r, which is empty or a JSON object with at most
// the one member called name, a text. Its errors are problems.
func readMember(w http.ResponseWriter, r *http.Request, name string) (value string, given bool, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDeskBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", false, &problem{http.StatusRequestEntityTooLarge, "the body is longer than 4096 bytes"}
	case err != nil:
		return "", false, &problem{http.StatusBadRequest, "the body could not be read"}
	case len(bytes.TrimSpace(body)) == 0:
		return "", false, nil
	case !isJSON(r.Header):
		return "", false, &problem{http.StatusUnsupportedMediaType, "a body must be application/json"}
	}
	value, given, err = parseMember(body, name)
	if err != nil {
		err = &problem{http.StatusBadRequest, "the body must be a JSON object with at most the member " + name + ", a text: " + err.Error()}
	}
	return value, given, err
}

// parseMember reads {"name":"…"}. It knows no other member, and none twice or in
// another case, which encoding/json would let pass. Its errors quote nothing of
// the body.
func parseMember(body []byte, name string) (text string, given bool, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return "", false, errors.New("not an object")
	}
	for d.More() {
		member, err := d.Token()
		if err != nil {
			return "", false, errors.New("malformed")
		}
		if member != name {
			return "", false, errors.New("unknown member")
		}
		if given {
			return "", false, errors.New(name + " is there twice")
		}
		value, err := d.Token()
		if err != nil {
			return "", false, errors.New("malformed")
		}
		if text, given = value.(string); !given {
			return "", false, errors.New(name + " is no text")
		}
	}
	if _, err := d.Token(); err != nil {
		return "", false, errors.New("malformed")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", false, errors.New("something follows the object")
	}
	return text, given, nil
}

// seconds returns how long it is from now to then, to the nearest second; 0 if
// then is zero.
func seconds(now, then time.Time) int64 {
	if then.IsZero() {
		return 0
	}
	return int64(then.Sub(now).Round(time.Second) / time.Second)
}
