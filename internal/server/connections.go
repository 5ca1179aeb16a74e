package server

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/observe"
)

const (
	pageSize    = 100  // Unless the caller says.
	maxPageSize = 1000 // At most.
)

// A connectionPage is some of the live connections of this node, by id.
type connectionPage struct {
	Connections []connection `json:"connections"`
	// Next is the last id where there are more: for the parameter after.
	Next uint64 `json:"next,omitempty"`
}

// A connection is one that is live.
type connection struct {
	ID      uint64    `json:"id"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Session string    `json:"session"`
	Token   string    `json:"token,omitempty"` // The claim jti, which is no credential.
	Route   string    `json:"route"`
	Carrier string    `json:"carrier"`
	Origin  string    `json:"origin,omitempty"`
	Client  string    `json:"client"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"`
}

// A selection says which connections are meant.
type selection struct {
	subject, issuer, session, route string
	after                           uint64
	limit                           int
}

// connections lists the live connections of this node.
func (a *api) connections(_ http.ResponseWriter, r *http.Request, _ call, _ caller) (answer, error) {
	want, err := readSelection(r.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	page := connectionPage{Connections: []connection{}}
	for c := range a.sessions.All() {
		if !want.has(c) {
			continue
		}
		if len(page.Connections) == want.limit {
			page.Next = page.Connections[want.limit-1].ID
			break
		}
		page.Connections = append(page.Connections, asConnection(c))
	}
	return answer{http.StatusOK, page}, nil
}

// readSelection reads the query. A parameter that it does not know is an error:
// misspelled, it would list more than was meant.
func readSelection(query string) (selection, error) {
	want := selection{limit: pageSize}
	given, err := url.ParseQuery(query)
	if err != nil {
		return want, badCall("the query is malformed")
	}
	texts := map[string]*string{"subject": &want.subject, "issuer": &want.issuer, "session": &want.session, "route": &want.route}
	for name, values := range given {
		if !slices.Contains([]string{"subject", "issuer", "session", "route", "limit", "after"}, name) {
			return want, badCall("unknown parameter %.64q; there are subject, issuer, session, route, limit, after", name)
		}
		if len(values) > 1 || values[0] == "" {
			return want, badCall("the parameter %s must be there once, and not empty", name)
		}
		switch name {
		case "limit":
			want.limit, err = strconv.Atoi(values[0])
			if err != nil || want.limit < 1 || want.limit > maxPageSize {
				return want, badCall("the parameter limit must be from 1 to %d", maxPageSize)
			}
		case "after":
			if want.after, err = strconv.ParseUint(values[0], 10, 64); err != nil {
				return want, badCall("the parameter after must be the id of a connection")
			}
		default:
			*texts[name] = values[0]
		}
	}
	return want, nil
}

func (want selection) has(c usher.Connection) bool {
	return c.ID > want.after &&
		(want.subject == "" || want.subject == c.Identity.Subject) &&
		(want.issuer == "" || want.issuer == c.Identity.Issuer) &&
		(want.session == "" || want.session == c.Identity.Session) &&
		(want.route == "" || want.route == c.Route)
}

func asConnection(c usher.Connection) connection {
	one := connection{
		ID: c.ID, Subject: c.Identity.Subject, Issuer: c.Identity.Issuer, Session: c.Identity.Session, Token: c.Identity.Token,
		Route: c.Route, Carrier: c.Carrier, Origin: c.Origin, Since: c.Since.UTC(),
	}
	if !c.Identity.Expires.IsZero() {
		one.Expires = c.Identity.Expires.UTC()
	}
	if c.Client.IsValid() {
		one.Client = c.Client.String()
	}
	return one
}

// explain tells what happened under an explain id.
func (a *api) explain(_ http.ResponseWriter, _ *http.Request, c call, _ caller) (answer, error) {
	one, ok := a.explanations.Find(c.id)
	if !ok {
		return answer{}, denyf(http.StatusNotFound, "nothing is remembered under this id: it is of another process, "+
			"of before its start, or older than its last %d refusals and ends", observe.Remembered)
	}
	return answer{http.StatusOK, one}, nil
}
