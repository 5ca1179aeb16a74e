package usher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
)

// deskVerifier knows one secret, and counts how often it was asked.
type deskVerifier struct {
	secret string
	id     usher.Identity
	asked  atomic.Int32
}

func (v *deskVerifier) Verify(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	v.asked.Add(1)
	if !c.Secret.Equal(usher.NewSecret(v.secret)) {
		return nil, usher.ErrUnrecognized
	}
	id := v.id
	return &id, nil
}

// deskFixture is a desk for two routes behind Bearer and Cookie, at
// http://example.com, for pages of there and of ticketOrigin.
type deskFixture struct {
	tickets  usher.Tickets
	verifier deskVerifier
	log      bytes.Buffer
	handler  http.Handler
}

func newDeskFixture(routes ...string) *deskFixture {
	d := &deskFixture{}
	d.verifier.secret = "let-me-in"
	d.verifier.id = usher.Identity{Subject: "alice", Session: "s1", Expires: time.Now().Add(time.Hour)}
	d.handler = d.tickets.Desk(&usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(&d.verifier), usher.Cookie("__Host-session", &d.verifier)},
		Origins:  []string{ticketOrigin},
		Log:      slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, routes...)
	return d
}

// askDesk sends a request with the headers, each "Name: value".
func askDesk(h http.Handler, method, target, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

const (
	deskBearer = "Authorization: Bearer let-me-in"
	deskCookie = "Cookie: __Host-session=let-me-in"
	deskAjax   = "X-Requested-With: fetch"
	deskJSON   = "Content-Type: application/json"
	deskOrigin = "Origin: " + ticketOrigin
	deskEvil   = "Origin: https://evil.example"
)

func TestDesk(t *testing.T) {
	const chat = "/usher/v1/tickets?route=/chat"
	tests := []struct {
		name          string
		method        string // POST if empty.
		target        string // chat if empty.
		body          string
		headers       []string
		want          int
		detail        string // Part of the problem's detail.
		origin, route string // Where the ticket is good; ticketRoute if empty.
	}{
		{name: "page with bearer", headers: []string{deskBearer, deskOrigin}, want: 200, origin: ticketOrigin},
		{name: "page of our own", headers: []string{deskBearer, "Origin: http://example.com"}, want: 200, origin: "http://example.com"},
		{name: "no browser", headers: []string{deskBearer}, want: 200},
		{name: "other route", target: "/?route=%2Froom%2F{id}", headers: []string{deskBearer}, want: 200, route: "/room/{id}"},
		{name: "empty object", body: " {} ", headers: []string{deskBearer, deskJSON, deskOrigin}, want: 200, origin: ticketOrigin},
		{name: "blank body", body: " \n", headers: []string{deskBearer, deskOrigin}, want: 200, origin: ticketOrigin},
		{name: "backend for its page", body: `{"origin":"` + ticketOrigin + `"}`, headers: []string{deskBearer, deskJSON}, want: 200, origin: ticketOrigin},
		{name: "page names itself", body: `{"origin":"` + ticketOrigin + `"}`, headers: []string{deskBearer, deskJSON, deskOrigin}, want: 200, origin: ticketOrigin},
		{name: "cookie, header of a script", headers: []string{deskCookie, deskOrigin, deskAjax}, want: 200, origin: ticketOrigin},
		{name: "cookie, JSON", headers: []string{deskCookie, deskOrigin, deskJSON + "; charset=utf-8"}, want: 200, origin: ticketOrigin},
		{name: "bearer decides beside a cookie", headers: []string{deskBearer, deskCookie, deskOrigin}, want: 200, origin: ticketOrigin},

		{name: "cookie, nothing else", headers: []string{deskCookie, deskOrigin}, want: 403, detail: "X-Requested-With"},
		{name: "cookie, no origin", headers: []string{deskCookie, deskAjax}, want: 403},
		{name: "cookie, form of a foreign page", body: "a=b", headers: []string{deskCookie, deskEvil, "Content-Type: application/x-www-form-urlencoded"}, want: 403},
		{name: "cookie, form of a sandboxed frame", body: "a=b", headers: []string{deskCookie, "Origin: null", "Content-Type: text/plain"}, want: 403},
		{name: "cookie, form of an own page", body: "a=b", headers: []string{deskCookie, deskOrigin, "Content-Type: application/x-www-form-urlencoded"}, want: 403, detail: "X-Requested-With"},
		{name: "cookie, JSON as a form's text", body: "{}", headers: []string{deskCookie, deskOrigin, "Content-Type: text/plain; application/json"}, want: 403},
		{name: "cookie, two types", body: "{}", headers: []string{deskCookie, deskOrigin, deskJSON, "Content-Type: text/plain"}, want: 403},
		{name: "cookie, no origin, cross-site", headers: []string{deskCookie, deskAjax, "Sec-Fetch-Site: cross-site"}, want: 403},
		{name: "bearer, foreign page", headers: []string{deskBearer, deskEvil}, want: 403, detail: "origin"},
		{name: "two origins", headers: []string{deskBearer, deskOrigin, deskOrigin}, want: 403, detail: "origin"},

		{name: "no credential", headers: []string{deskOrigin}, want: 401},
		{name: "wrong credential", headers: []string{"Authorization: Bearer no", deskOrigin}, want: 401},
		{name: "route missing", target: "/", headers: []string{deskBearer}, want: 400, detail: "route must say"},
		{name: "route twice", target: "/?route=/chat&route=/chat", headers: []string{deskBearer}, want: 400, detail: "more than once"},
		{name: "route unknown", target: "/?route=/admin", headers: []string{deskBearer}, want: 404, detail: "no tickets for this route"},
		{name: "route empty", target: "/?route=", headers: []string{deskBearer}, want: 404},
		{name: "query malformed", target: "/?route=%zz", headers: []string{deskBearer}, want: 400, detail: "malformed"},
		{name: "body names another origin", body: `{"origin":"http://example.com"}`, headers: []string{deskBearer, deskJSON, deskOrigin}, want: 400, detail: "another origin"},
		{name: "body names a foreign origin", body: `{"origin":"https://evil.example"}`, headers: []string{deskBearer, deskJSON}, want: 403, detail: "not allowed"},
		{name: "body names null", body: `{"origin":"null"}`, headers: []string{deskBearer, deskJSON}, want: 403, detail: "not allowed"},
		{name: "body names nothing", body: `{"origin":""}`, headers: []string{deskBearer, deskJSON}, want: 403, detail: "not allowed"},
		{name: "body with another member", body: `{"origin":"` + ticketOrigin + `","subject":"bob"}`, headers: []string{deskBearer, deskJSON}, want: 400, detail: "unknown member"},
		{name: "body with origin twice", body: `{"origin":"` + ticketOrigin + `","origin":"` + ticketOrigin + `"}`, headers: []string{deskBearer, deskJSON}, want: 400, detail: "twice"},
		{name: "body in another case", body: `{"Origin":"` + ticketOrigin + `"}`, headers: []string{deskBearer, deskJSON}, want: 400, detail: "unknown member"},
		{name: "body of another type", body: `["origin"]`, headers: []string{deskBearer, deskJSON}, want: 400, detail: "not an object"},
		{name: "origin of another type", body: `{"origin":["` + ticketOrigin + `"]}`, headers: []string{deskBearer, deskJSON}, want: 400, detail: "no text"},
		{name: "body cut off", body: `{"origin":"` + ticketOrigin, headers: []string{deskBearer, deskJSON}, want: 400, detail: "malformed"},
		{name: "body twice", body: `{}{}`, headers: []string{deskBearer, deskJSON}, want: 400, detail: "follows"},
		{name: "body not said to be JSON", body: `{}`, headers: []string{deskBearer}, want: 415, detail: "application/json"},
		{name: "body too long", body: `{}` + strings.Repeat(" ", 4095), headers: []string{deskBearer, deskJSON}, want: 413, detail: "4096"},
		{name: "GET", method: "GET", headers: []string{deskBearer, deskOrigin}, want: 405, detail: "POST"},
		{name: "PUT", method: "PUT", headers: []string{deskBearer, deskOrigin}, want: 405, detail: "POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDeskFixture("/chat", "/room/{id}")
			method, target, route := orElse(tt.method, "POST"), orElse(tt.target, chat), orElse(tt.route, ticketRoute)
			resp := askDesk(d.handler, method, target, tt.body, tt.headers...)
			if resp.StatusCode != tt.want {
				body, _ := io.ReadAll(resp.Body)
				t.Fatalf("status: got %d, want %d; body %s log %s", resp.StatusCode, tt.want, body, d.log.String())
			}
			if got := resp.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: got %q, want no-store", got)
			}
			if strings.Contains(d.log.String(), d.verifier.secret) {
				t.Error("log has the credential in it")
			}
			if tt.want != http.StatusOK {
				wantProblem(t, resp, tt.detail)
				return
			}
			ticket := wantTicket(t, resp)
			c := usher.Credential{Kind: usher.KindTicket, Secret: usher.NewSecret(ticket), Origin: tt.origin, Route: route}
			if id := wantTicketAdmitted(t, &d.tickets, c); id.Subject != "alice" || id.Session != "s1" {
				t.Errorf("identity: got %q in %q, want alice in s1", id.Subject, id.Session)
			}
		})
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// wantTicket checks the answer of a desk and returns its ticket.
func wantTicket(t *testing.T, resp *http.Response) string {
	t.Helper()
	var got map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("answer: got %v, want JSON", err)
	}
	ticket, _ := got["ticket"].(string)
	want := map[string]any{"ticket": ticket, "expires_in": 30.0, "session": "s1", "session_expires_in": 3600.0}
	if diff := cmp.Diff(want, got); diff != "" || ticket == "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type: got %q, want application/json", got)
	}
	return ticket
}

// wantProblem checks that resp is a problem document, and has no ticket.
func wantProblem(t *testing.T, resp *http.Response, detail string) {
	t.Helper()
	var got struct {
		Type, Title, Detail string
		Status              int
		Ticket, CSRFToken   *string
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("answer: got %v, want JSON", err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type: got %q, want application/problem+json", ct)
	}
	if got.Type != "about:blank" || got.Title != http.StatusText(resp.StatusCode) || got.Status != resp.StatusCode {
		t.Errorf("problem: got %+v, want type, title and status of %d", got, resp.StatusCode)
	}
	if !strings.Contains(got.Detail, detail) || got.Detail == "" {
		t.Errorf("detail: got %q, want something with %q", got.Detail, detail)
	}
	if got.Ticket != nil || got.CSRFToken != nil {
		t.Error("problem: it has a token in it")
	}
}

func TestDeskOneRoute(t *testing.T) {
	d := newDeskFixture("/chat")
	ticket := wantTicket(t, askDesk(d.handler, "POST", "/", "", deskBearer, deskOrigin))
	wantTicketAdmitted(t, &d.tickets, presented(usher.NewSecret(ticket)))
	wantProblem(t, askDesk(newDeskFixture().handler, "POST", "/", "", deskBearer), "no tickets for this route")
}

// A ticket is no way to get another one, or a connection's access would never
// have to be proven again.
func TestDeskTakesNoTicket(t *testing.T) {
	var tickets usher.Tickets
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Ticket("", &tickets)}, Route: ticketRoute, Log: slog.New(slog.DiscardHandler)}
	ticket, _, err := tickets.Make(ticketHolder(), "http://example.com", ticketRoute)
	if err != nil {
		t.Fatalf("Make: got %v, want nil", err)
	}
	resp := askDesk(tickets.Desk(g, ticketRoute), "POST", "/?ticket="+ticket.Reveal(), "", "Origin: http://example.com", deskJSON)
	if resp.StatusCode != http.StatusForbidden {
		t.Fatalf("status: got %d, want 403", resp.StatusCode)
	}
	wantProblem(t, resp, "opens one connection")
}

// What goes wrong on our side is in the log, and not in the answer.
func TestDeskFaults(t *testing.T) {
	large := usher.Identity{Subject: "alice", Claims: usher.Claims{"x": strings.Repeat("x", usher.MaxToken)}}
	tests := []struct {
		name   string
		spoil  func(d *deskFixture)
		want   int
		detail string
		log    string
	}{
		{"bad key", func(d *deskFixture) { d.tickets.Keys = []usher.Secret{usher.NewSecret("short-key")} }, 500, "no ticket", "ticket key 1 has 9 bytes"},
		{"bad lifetime", func(d *deskFixture) { d.tickets.TTL = time.Hour }, 500, "no ticket", "ticket lifetime"},
		{"identity too large", func(d *deskFixture) { d.verifier.id = large }, 422, "too large", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDeskFixture("/chat")
			tt.spoil(d)
			resp := askDesk(d.handler, "POST", "/", "", deskBearer)
			if resp.StatusCode != tt.want {
				t.Fatalf("status: got %d, want %d", resp.StatusCode, tt.want)
			}
			wantProblem(t, resp, tt.detail)
			if log := d.log.String(); !strings.Contains(log, tt.log) || strings.Contains(log, "short-key") {
				t.Errorf("log: got %s, want %q and no key", log, tt.log)
			}
		})
	}
}

// A session that has no end of its own has the Guard's, and the ticket never
// outlives it.
func TestDeskTellsTimes(t *testing.T) {
	d := newDeskFixture("/chat")
	d.verifier.id = usher.Identity{Subject: "alice", Session: "s1", Expires: time.Now().Add(5 * time.Second)}
	var got struct {
		ExpiresIn        int `json:"expires_in"`
		SessionExpiresIn int `json:"session_expires_in"`
	}
	resp := askDesk(d.handler, "POST", "/", "", deskBearer)
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("answer: got %v, want JSON", err)
	}
	if got.ExpiresIn != 5 || got.SessionExpiresIn != 5 {
		t.Errorf("times: got %+v, want 5 s and 5 s", got)
	}
}

// An attack as browsers carry it out: a form on a foreign page, posted with the
// victim's cookie. Nothing is minted: the verdict is not even asked for.
func TestDeskCrossSiteForm(t *testing.T) {
	d := newDeskFixture("/chat")
	var spends atomic.Int32
	d.tickets.Spent = spendFunc(func(context.Context, [16]byte, time.Time) error {
		spends.Add(1)
		return errors.New("not to be reached")
	})
	srv := httptest.NewServer(d.handler)
	defer srv.Close()
	for _, origin := range []string{"https://evil.example", "null", "http://example.com.evil.example"} {
		for _, contentType := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/?route=/chat", strings.NewReader(`{"a":"=b"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", origin)
			r.Header.Set("Cookie", "__Host-session=let-me-in")
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatalf("post: got %v, want an answer", err)
			}
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("status of a form of %s: got %d, want 403", origin, resp.StatusCode)
			}
			for name := range resp.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("header: got %s, want none of CORS", name)
				}
			}
			wantProblem(t, resp, "origin")
			resp.Body.Close()
		}
	}
	if n := d.verifier.asked.Load(); n != 0 {
		t.Errorf("verifier: got asked %d times, want never", n)
	}
}
