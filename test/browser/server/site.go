package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/usher-ws/usher"
)

// briefTicket is the life of the tickets that tests see expire.
const briefTicket = time.Second

// hasty is the time for a first message where tests see it pass.
const hasty = 300 * time.Millisecond

// newSite puts a Guard for each carrier in front of the echo. A route ends in
// a name of the test's choice, so that each case has a path, and a line in the
// record, of its own.
func newSite(rec *record, secret string, port int) (http.Handler, error) {
	tokens, err := newVerifier(secret)
	if err != nil {
		return nil, err
	}
	passwords, err := newPasswords()
	if err != nil {
		return nil, err
	}
	s := &site{rec: rec, mux: http.NewServeMux(), origins: []string{fmt.Sprintf("https://other.test:%d", port)}}
	s.guardTickets(tokens)
	csrf := new(usher.CSRF)
	s.guard("/subprotocol/{case}", usher.Subprotocol(tokens))
	s.guard("/message/{case}", usher.FirstMessage(tokens))
	s.guard("/cookie/{case}", usher.Cookie("session", tokens))
	s.guard("/cookie-csrf/{case}", usher.CookieCSRF("guarded", csrf, tokens))
	s.guard("/query/{case}", usher.Query("", tokens))
	s.guard("/basic/{case}", usher.Basic(passwords))
	s.guard("/mixed/{case}", usher.Subprotocol(tokens), usher.Query("", tokens), usher.Cookie("session", tokens))
	s.mux.Handle("/csrf", csrf.Desk(s.newGuard(usher.Cookie("guarded", tokens))))

	g := s.newGuard(usher.FirstMessage(tokens))
	g.Limits.FirstMessage = hasty
	s.mux.Handle("/message-hasty/{case}", g.Handler(rec.echoGorilla()))
	s.mux.Handle("/coder-query/{case}", s.newGuard(usher.Query("", tokens)).Handler(rec.echoCoder()))
	s.mux.Handle("/coder-message/{case}", s.newGuard(usher.FirstMessage(tokens)).Handler(rec.echoCoder()))
	s.mux.HandleFunc("/page", servePage)
	return s.mux, nil
}

// A site is a site while its routes are put together.
type site struct {
	rec     *record
	mux     *http.ServeMux
	origins []string
}

func (s *site) newGuard(carriers ...usher.Carrier) *usher.Guard {
	return &usher.Guard{
		Carriers: carriers, Origins: s.origins, Subprotocols: []string{subprotocol}, Observe: s.rec.observe,
	}
}

func (s *site) guard(pattern string, carriers ...usher.Carrier) {
	s.mux.Handle(pattern, s.newGuard(carriers...).Handler(s.rec.echoGorilla()))
}

// guardTickets adds the routes that take tickets, and the desks that make them
// for who has a token or a session.
func (s *site) guardTickets(tokens usher.Verifier) {
	desk := func(pattern string, t *usher.Tickets, routes ...string) {
		s.mux.Handle(pattern, t.Desk(s.newGuard(usher.Bearer(tokens), usher.Cookie("session", tokens)), routes...))
	}
	usual, brief, down := new(usher.Tickets), &usher.Tickets{TTL: briefTicket}, &usher.Tickets{Spent: brokenSpender{}}
	s.guard("/ticket/{case}", usher.Ticket("", usual))
	s.guard("/ticket-message/{case}", usher.Ticket("", usual), usher.FirstMessage(nil))
	s.guard("/ticket-brief/{case}", usher.Ticket("", brief))
	s.guard("/ticket-down/{case}", usher.Ticket("", down))
	desk("/usher/v1/tickets", usual, "/ticket/{case}", "/ticket-message/{case}")
	desk("/brief/tickets", brief, "/ticket-brief/{case}")
	desk("/down/tickets", down, "/ticket-down/{case}")
}

// servePage is the page that tests do their work from. It sets the cookies
// that it is asked to, as a site's login would.
func servePage(w http.ResponseWriter, r *http.Request) {
	for _, cookie := range r.URL.Query()["cookie"] {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("<!doctype html><meta charset=utf-8><link rel=icon href=\"data:,\"><title>page</title>\n"))
}
