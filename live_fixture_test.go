package usher_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

// ownPage is the origin of a page of the server that overPipe stands for.
const ownPage = "Origin: http://example.com"

// login is the issuer of most identities in these tests.
const login = "https://login.test"

// mint takes credentials that are identities in themselves: see minted.
var mint = usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	text, err := base64.RawURLEncoding.DecodeString(c.Secret.Reveal())
	id := new(usher.Identity)
	if err != nil || json.Unmarshal(text, id) != nil {
		return nil, usher.ErrUnrecognized
	}
	return id, nil
})

// minted returns a credential that mint takes for id.
func minted(id usher.Identity) string {
	text, err := json.Marshal(id)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// bearing is the header line with a credential of id's.
func bearing(id usher.Identity) string { return "Authorization: Bearer " + minted(id) }

// loggedIn is who has a token of now, for an hour.
func loggedIn(subject, session string) usher.Identity {
	now := time.Now()
	return usher.Identity{
		Subject: subject, Issuer: login, Session: session, Token: "token of " + session,
		Issued: now, Expires: now.Add(time.Hour),
	}
}

// byMint is a Guard for route, with these Sessions.
func byMint(s *usher.Sessions, route string) *usher.Guard {
	return &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(mint)}, Sessions: s, Route: route, Log: quiet(),
	}
}

// join opens a connection by a pipe.
func join(t *testing.T, g *usher.Guard, next http.Handler, id usher.Identity) *peer {
	t.Helper()
	p, _ := overPipe(t, g, next, bearing(id))
	p.status(http.StatusSwitchingProtocols)
	return p
}

// turnedAway fails the test unless a page with this credential is told why it
// may not come in.
func turnedAway(t *testing.T, g *usher.Guard, id usher.Identity, code int, word string) {
	t.Helper()
	var w witness
	p, done := overPipe(t, g, &w, bearing(id), ownPage)
	p.status(http.StatusSwitchingProtocols)
	p.closed(code, word)
	<-done
	w.sawNobody(t)
}

// tried returns the status of a plain request with this credential.
func tried(g *usher.Guard, id usher.Identity) int {
	r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
	r.Header.Set("Authorization", "Bearer "+minted(id))
	w := httptest.NewRecorder()
	g.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w.Code
}

// leaveAll closes connections from the client's side, as clients do.
func leaveAll(peers ...*peer) {
	for _, p := range peers {
		_ = p.Close()
	}
}

// live returns the IDs of the live connections, and fails the test unless they
// ascend.
func live(t *testing.T, s *usher.Sessions) []uint64 {
	t.Helper()
	var ids []uint64
	for c := range s.All() {
		if len(ids) > 0 && c.ID <= ids[len(ids)-1] {
			t.Errorf("got connection %d behind %v, want the oldest first", c.ID, ids)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// An eventlog keeps what a Guard observes.
type eventlog struct {
	mu   sync.Mutex
	list []usher.Event
}

func (l *eventlog) observe(_ context.Context, e usher.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
}

func (l *eventlog) events() []usher.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list
}
