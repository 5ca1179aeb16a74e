package usher_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/usher-ws/usher"
)

// Whoever logs out everywhere is out, also with the tokens that are left, and
// whoever logs in again is in.
func ExampleSessions_Revoke() {
	var sessions usher.Sessions
	issued := time.Now()
	door := &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(usher.VerifierFunc(
			func(context.Context, usher.Credential) (*usher.Identity, error) { // Such as a JWT.
				return &usher.Identity{Subject: "alice", Issued: issued, Expires: issued.Add(time.Hour)}, nil
			}))},
		Sessions: &sessions,
	}
	visit := func() int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer a-token")
		w := httptest.NewRecorder()
		door.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println(visit())
	_, err := sessions.Revoke(context.Background(), usher.Revocation{Subject: "alice", Reason: "lost a phone"})
	fmt.Println(visit(), err)
	issued = time.Now() // Alice logs in again.
	fmt.Println(visit())
	_, err = sessions.Revoke(context.Background(), usher.Revocation{Reason: "lost a phone"})
	fmt.Println(err)
	// Output:
	// 200
	// 401 <nil>
	// 200
	// revocation of nobody: it names no subject, session, token, group or issuer
}

// A server that has judged a fresh credential by itself extends the connections
// of its session.
func ExampleSessions_Renew() {
	var sessions usher.Sessions // That of the Guards.
	fresh := &usher.Identity{Subject: "alice", Session: "s1", Expires: time.Now().Add(time.Hour)}
	n, err := sessions.Renew(context.Background(), fresh, "/chat")
	fmt.Println(n, err)
	fresh.Expires = time.Now()
	_, err = sessions.Renew(context.Background(), fresh, "/chat")
	fmt.Println(errors.Is(err, usher.ErrExpired))
	// Output:
	// 0 <nil>
	// true
}

// Pages renew the connections they have with the token that they got meanwhile.
func ExampleSessions_Desk() {
	var (
		login    usher.Verifier // Such as a JWT.
		chat     http.Handler   // Such as a handler of coder/websocket.
		tickets  usher.Tickets
		sessions usher.Sessions
		origins  = []string{"https://app.example.com"}
	)
	door := &usher.Guard{
		Carriers: []usher.Carrier{usher.Ticket("", &tickets)}, Origins: origins, Sessions: &sessions, Route: "/chat",
	}
	desk := &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(login)}, Origins: origins, Sessions: &sessions, Route: "/chat",
	}
	http.Handle("/chat", door.Handler(chat))
	http.Handle("/usher/v1/tickets", tickets.Desk(desk, "/chat"))
	http.Handle("/usher/v1/sessions/renew", sessions.Desk(map[string]*usher.Guard{"/chat": desk}))
}

// Who is there, and since when.
func ExampleSessions_All() {
	var sessions usher.Sessions // That of the Guards.
	for c := range sessions.All() {
		fmt.Println(c.ID, c.Identity.Subject, c.Route, time.Since(c.Since))
	}
	fmt.Println(sessions.Len())
	// Output: 0
}
