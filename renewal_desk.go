package usher

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"
)

// Desk returns the endpoint where a page brings a fresh credential for the live
// connections of its session:
//
//	POST /usher/v1/sessions/renew
//	200 {"session":"…","expires_in":3600,"connections":1}
//
// byRoute has for each route (see [Guard.Route]) the Guard that judges the
// credential: with the carriers Bearer, Cookie or both, with the verifiers that
// the route itself has, and with these Sessions. The credential is tried with
// each; the connections of those routes that accept it are renewed: see Renew.
// As at [Tickets.Desk], a cookie needs a header that no form can send, and a
// ticket renews nothing.
//
// The body may be empty, or name the session: {"session":"…"}; if that is not
// the credential's, the answer is 403 and nothing is renewed. So it is for
// another subject. 404 says that no such connection is live on any node; 429
// that four renewals of the session are under way, or 256 in all. Pages of the
// routes' origins can read the answers (CORS); errors are
// application/problem+json (RFC 9457). The time is in seconds: until the first of
// the session's connections on this node ends, or the credential where all are on
// other nodes.
func (s *Sessions) Desk(byRoute map[string]*Guard) http.Handler {
	d := &renewalDesk{sessions: s}
	for _, route := range slices.Sorted(maps.Keys(byRoute)) {
		g := byRoute[route]
		d.doors = append(d.doors, renewalDoor{
			route: route, guard: g.compile(), cors: newCORS(g, http.HandlerFunc(d.serve), http.MethodPost),
		})
	}
	return d
}

type renewalDesk struct {
	sessions *Sessions
	doors    []renewalDoor
	turns    renewalTurns
}

// A renewalDoor is where the credentials of one route are judged.
type renewalDoor struct {
	route string
	guard *guardState
	cors  *cors
}

// A renewed is who a credential says it is, to the routes that say the same.
type renewed struct {
	id     *Identity
	routes []string
	again  asker
}

// ServeHTTP answers as the door does that lets the page in: if there are
// several, one that takes cookies.
func (d *renewalDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var by *cors
	for _, door := range d.doors {
		if _, ok := door.guard.allowedOrigin(r); ok && (by == nil || !by.ambient) {
			by = door.cors
		}
	}
	switch {
	case by != nil:
		by.ServeHTTP(w, r)
	case len(d.doors) > 0:
		d.doors[0].cors.ServeHTTP(w, r) // Which refuses.
	default:
		(&problem{http.StatusNotFound, "there is no route whose connections could be renewed"}).write(w)
	}
}

// serve answers a request from a page that may read the answer.
func (d *renewalDesk) serve(w http.ResponseWriter, r *http.Request) {
	named, given, err := readMember(w, r, "session")
	var p *problem
	if errors.As(err, &p) {
		p.write(w)
		return
	}
	var list []renewed
	var no refusedAt
	for _, door := range d.doors {
		if _, ok := door.guard.allowedOrigin(r); !ok {
			continue // Of other pages; it has no say, as long as one lets this one in.
		}
		v, yes, err := door.judge(r)
		if err == nil && given && yes.identity.Session != named {
			err = fmt.Errorf("%w: the credential is of another session", ErrForbidden)
		}
		if err != nil {
			no.note(door.guard, v, err)
			continue
		}
		if err := door.guard.require.unmet(yes.identity); err != nil {
			no.note(door.guard, v, err) // And its connections there end.
		}
		list = join(list, door, yes)
	}
	d.answer(w, r, list, no)
}

// answer renews what there is to renew.
func (d *renewalDesk) answer(w http.ResponseWriter, r *http.Request, list []renewed, no refusedAt) {
	var all extent
	var id *Identity
	for _, one := range list {
		if !d.turns.enter(one.id.Session) {
			no.note(d.doors[0].guard, &visit{begun: time.Now(), route: one.routes[0]}, tooManyRenewals())
			continue
		}
		renewed, err := d.sessions.renewAll(r.Context(), one.id, one.routes, one.again)
		d.turns.leave(one.id.Session)
		if err != nil {
			no.note(d.doors[0].guard, &visit{begun: time.Now(), route: one.routes[0]}, err)
			continue
		}
		if renewed.connections > 0 && renewed.ends.IsZero() { // On other nodes only.
			renewed.ends = one.id.Expires
		}
		if id == nil || renewed.connections > 0 {
			id = one.id
		}
		all.merge(renewed)
	}
	_, unmet := errors.AsType[*unmetError](no.err)
	switch {
	case id == nil, unmet && all.connections == 0:
		no.refuse(w, r)
	case all.connections == 0:
		(&problem{http.StatusNotFound, "this session has no live connection"}).write(w)
	default:
		writeJSON(w, http.StatusOK, "application/json", struct {
			Session     string `json:"session"`
			ExpiresIn   int64  `json:"expires_in"`
			Connections int    `json:"connections"`
		}{id.Session, seconds(time.Now(), all.ends), all.connections})
	}
}

// judge says who the credential in r belongs to.
func (d *renewalDoor) judge(r *http.Request) (*visit, verdict, error) {
	g := d.guard
	v, err := g.visit(r)
	if err != nil {
		return v, verdict{}, err
	}
	if v.upgrade {
		return v, verdict{}, &problem{http.StatusBadRequest, "no WebSocket is served here"}
	}
	_, c, err := g.extract.cut(r.Context(), r)
	if err != nil {
		return v, verdict{}, plainRefusal(http.StatusBadRequest, 0, "bad_request", err)
	}
	yes, err := g.judge(r.Context(), v, c)
	if err == nil {
		err = provesPage(r, yes.by.carrier.name)
	}
	return v, yes, err
}

// tooManyRenewals is a refusal as a flood is one, with an explain id of its own.
func tooManyRenewals() *Refusal {
	return plainRefusal(http.StatusTooManyRequests, CloseTooMany, "too_many",
		errors.New("too many renewals are under way"))
}

// join adds what a door says to what others said.
func join(list []renewed, d renewalDoor, yes verdict) []renewed {
	again := d.guard.askerFor(&yes)
	for i := range list {
		if again == nil && list[i].again == nil && reflect.DeepEqual(list[i].id, yes.identity) {
			list[i].routes = append(list[i].routes, d.route)
			return list
		}
	}
	return append(list, renewed{yes.identity, []string{d.route}, again})
}

// A refusedAt is the most telling of several refusals: that it could not be
// decided, then whatever says more than that nobody knows the credential.
type refusedAt struct {
	guard *guardState
	visit *visit
	err   error
}

func (no *refusedAt) note(g *guardState, v *visit, err error) {
	if no.err == nil || tells(err) > tells(no.err) {
		*no = refusedAt{g, v, err}
	}
}

func tells(err error) int {
	switch {
	case errors.Is(err, ErrUnavailable):
		return 4
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrRevoked), errors.Is(err, ErrExpired):
		return 3
	case errors.Is(err, ErrNoCredential):
		return 0
	case errors.Is(err, ErrUnrecognized):
		return 1
	}
	return 2
}

func (no *refusedAt) refuse(w http.ResponseWriter, r *http.Request) {
	var p *problem
	if errors.As(no.err, &p) {
		p.write(w)
		return
	}
	why := asRefusal(no.err)
	no.guard.reportRefusal(r.Context(), no.visit, why)
	no.guard.refusePlain(w, why)
}
