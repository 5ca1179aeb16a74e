package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/crypto/bcrypt"
)

// whoami is a user's own server: it knows one cookie.
func whoami(t testing.TB) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("sid")
		if err != nil || c.Value != "known-session" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"sub":"alice"}`))
	}))
	t.Cleanup(s.Close)
	return s
}

// allCarriers is a gateway with a route for each way in.
func allCarriers(t testing.TB, b *backend) *gateway {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "users", "alice:"+string(hash)+"\n")
	text := front + fmt.Sprintf(`  users: {htpasswd: users}
  app: {ask: {url: %[2]s/whoami}}
routes:
  - path: /chat
    upstream: %[1]s
    origins: [https://app.example.com]
    subprotocols: [chat]
    carriers:
      - ticket: {cookie: sid, verify: [local, app]}
      - subprotocol: {verify: [local]}
      - query: {verify: [local]}
      - bearer: {verify: [local]}
      - first_message: {verify: [local]}
    identity: {headers: {X-User: sub}, jwt: X-Identity}
  - {path: /cookie, upstream: "%[1]s", origins: ["https://app.example.com"], carriers: [cookie: {name: sid, verify: [app]}]}
  - {path: /csrf, upstream: "%[1]s", origins: ["https://app.example.com"], carriers: [cookie: {name: sid, verify: [app], csrf: true}]}
  - {path: /devices, upstream: "%[1]s", carriers: [basic: {verify: [users]}]}
`, b.ws(), whoami(t).URL)
	return startIn(t, dir, text)
}

const page = "https://app.example.com"

func basic(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

func cookie(value string) http.Header {
	return http.Header{"Cookie": {"sid=" + value}, "Origin": {page}}
}

func TestCarriers(t *testing.T) {
	b := newBackend(t)
	g := allCarriers(t, b)
	good, bad := token(t, secret, nil), token(t, strings.Repeat("x", 32), nil)
	offer := func(token string) []string {
		return []string{"usher.bearer." + base64.RawURLEncoding.EncodeToString([]byte(token)), "chat"}
	}
	tests := []struct {
		name, path   string
		header       http.Header
		subprotocols []string
		message      string
		want         string // Of the error; "" is in.
	}{
		{name: "bearer", path: "/chat", header: http.Header{"Authorization": {"Bearer " + good}}},
		{name: "bearer, forged", path: "/chat", header: http.Header{"Authorization": {"Bearer " + bad}}, want: "status 401"},
		{name: "query", path: "/chat?access_token=" + good},
		{name: "query, forged", path: "/chat?access_token=" + bad, want: "status 401"},
		{name: "subprotocol", path: "/chat", subprotocols: offer(good)},
		{name: "subprotocol, forged", path: "/chat", subprotocols: offer(bad), want: "status 401"},
		{name: "first message", path: "/chat", message: `{"type":"auth","token":"` + good + `"}`},
		{name: "first message, forged", path: "/chat", message: `{"type":"auth","token":"` + bad + `"}`, want: "4401"},
		{name: "cookie", path: "/cookie", header: cookie("known-session")},
		{name: "cookie, unknown", path: "/cookie", header: http.Header{"Cookie": {"sid=made-up"}, "Origin": {page}}, want: "4401"},
		{name: "cookie of another site", path: "/cookie", header: http.Header{"Cookie": {"sid=known-session"}, "Origin": {"https://evil.example"}}, want: "status 403"},
		{name: "cookie without its proof", path: "/csrf", header: cookie("known-session"), want: "4403"},
		{name: "basic", path: "/devices", header: basic("alice", "correct horse")},
		{name: "basic, wrong password", path: "/devices", header: basic("alice", "wrong"), want: "status 401"},
		{name: "nothing", path: "/devices", want: "status 401"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := b.requests()
			c, err := dial(t, "ws://"+g.public+tt.path, tt.header, tt.subprotocols...)
			if err == nil && tt.message != "" {
				err = c.WriteMessage(websocket.TextMessage, []byte(tt.message))
			}
			if err == nil && strings.HasPrefix(tt.want, "4") {
				code, reason := closeOf(c)
				err = fmt.Errorf("%d %s", code, reason)
			}
			switch {
			case tt.want == "" && err != nil:
				t.Fatalf("got %v, want to get in", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("got %v, want %q", err, tt.want)
			case tt.want != "" && b.requests() != before:
				t.Error("a refused client reached the backend")
			case tt.want == "":
				echo(t, c, "hello "+tt.name)
			}
		})
	}
}

// buy gets a ticket at the desk.
func buy(t testing.TB, g *gateway, query string, h http.Header) string {
	t.Helper()
	res, body := do(t, http.MethodPost, "http://"+g.public+"/usher/v1/tickets"+query, h, "")
	var answer struct{ Ticket string }
	if err := json.Unmarshal([]byte(body), &answer); res.StatusCode != http.StatusOK || err != nil || answer.Ticket == "" {
		t.Fatalf("got %d %s, want a ticket", res.StatusCode, body)
	}
	return answer.Ticket
}

func TestTickets(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	ticket := buy(t, g, "?route=/chat", bearer(t))
	echo(t, mustDial(t, "ws://"+g.public+"/chat?ticket="+ticket, nil), "with a ticket")
	if _, err := dial(t, "ws://"+g.public+"/chat?ticket="+ticket, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v for a ticket used twice, want 401", err)
	}
	h := cookie("known-session")
	h["Content-Type"] = []string{"application/json"}
	ticket = buy(t, g, "", h) // There is one desk.
	echo(t, mustDial(t, "ws://"+g.public+"/chat?ticket="+ticket, http.Header{"Origin": {page}}), "with the page's")

	for _, tt := range []struct {
		name, query string
		header      http.Header
		want        int
	}{
		{"another route", "?route=/devices", bearer(t), 404},
		{"two routes", "?route=/chat&route=/chat", bearer(t), 400},
		{"no credential", "?route=/chat", nil, 401},
		{"malformed query", "?route=%zz", bearer(t), 400},
		{"cookie of another site", "", http.Header{"Cookie": h["Cookie"], "Origin": {"https://evil.example"}}, 403},
	} {
		res, body := do(t, http.MethodPost, "http://"+g.public+"/usher/v1/tickets"+tt.query, tt.header, "")
		if res.StatusCode != tt.want || strings.Contains(body, `"ticket"`) {
			t.Errorf("%s: got %d %s, want %d", tt.name, res.StatusCode, body, tt.want)
		}
	}
}

// A server that is asked for a ticket, or a second proof, learns for which
// route.
func TestRouteOfEndpoints(t *testing.T) {
	var book logbook
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(&book, r.Header.Get("X-Usher-Route"))
		w.Write([]byte(`{"sub":"alice"}`))
	}))
	t.Cleanup(app.Close)
	g := start(t, front+fmt.Sprintf(`  app: {ask: {url: %s}}
routes:
  - {path: /chat, upstream: "ws://127.0.0.1:9", carriers: [ticket: {cookie: sid, verify: [app]}, bearer: {verify: [app]}]}
  - {path: /csrf, upstream: "ws://127.0.0.1:9", carriers: [cookie: {name: sid, verify: [app], csrf: true}]}
`, app.URL))
	h := http.Header{"Cookie": {"sid=known-session"}, "Content-Type": {"application/json"}, "Origin": {"http://" + g.public}}
	buy(t, g, "?route=/chat", h)
	buy(t, g, "?route=/chat", http.Header{"Authorization": {"Bearer word"}})
	if res, body := do(t, http.MethodGet, "http://"+g.public+"/usher/v1/csrf?route=/csrf", h, ""); res.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s, want a token", res.StatusCode, body)
	}
	if got, want := book.String(), "/chat\n/chat\n/csrf\n"; got != want {
		t.Errorf("got questions about %q, want %q", got, want)
	}
}

// A ticket that was bought before a reload is good after it, once.
func TestTicketOverReload(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	first, second := buy(t, g, "?route=/chat", bearer(t)), buy(t, g, "?route=/chat", bearer(t))
	mustDial(t, "ws://"+g.public+"/chat?ticket="+first, nil)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, "ws://"+g.public+"/chat?ticket="+first, nil); err == nil {
		t.Error("a ticket that was used before the reload got in after it")
	}
	echo(t, mustDial(t, "ws://"+g.public+"/chat?ticket="+second, nil), "kept")
}

func TestCSRF(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	res, body := do(t, http.MethodGet, "http://"+g.public+"/usher/v1/csrf?route=/csrf", cookie("known-session"), "")
	var answer struct {
		Token string `json:"csrf_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); res.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("got %d %s, want a token", res.StatusCode, body)
	}
	echo(t, mustDial(t, "ws://"+g.public+"/csrf?csrf_token="+answer.Token, cookie("known-session")), "with both proofs")
	if res, _ := do(t, http.MethodGet, "http://"+g.public+"/usher/v1/csrf", cookie("made-up"), ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d for an unknown cookie, want 401", res.StatusCode)
	}
}

// The backend learns who is there, and can check it.
func TestIdentity(t *testing.T) {
	b := newBackend(t)
	g := allCarriers(t, b)
	h := bearer(t)
	h["X_User"], h["X-User"] = []string{"root"}, []string{"root"}
	mustDial(t, "ws://"+g.public+"/chat", h)
	b.mu.Lock()
	got := b.headers[0]
	b.mu.Unlock()
	if users := slices.Concat(got["X-User"], map[string][]string(got)["X_User"]); len(users) != 1 || users[0] != "alice" {
		t.Errorf("got %q for the user, want alice", users)
	}
	if jwt := got.Get("X-Identity"); strings.Count(jwt, ".") != 2 {
		t.Errorf("got %q, want a JWT", jwt)
	}
	for _, addr := range []string{g.public, g.admin} {
		res, body := do(t, http.MethodGet, "http://"+addr+"/.well-known/jwks.json", nil, "")
		if res.StatusCode != http.StatusOK || !strings.Contains(body, `"OKP"`) || strings.Contains(body, `"d"`) {
			t.Errorf("got %d %s, want the public key", res.StatusCode, body)
		}
	}
	plain := start(t, front+"routes: [{path: /chat, upstream: "+`"`+b.ws()+`"`+", carriers: [bearer: {verify: [local]}]}]\n")
	if res, _ := do(t, http.MethodGet, "http://"+plain.public+"/.well-known/jwks.json", nil, ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("got %d where no route signs, want 404", res.StatusCode)
	}
}

// A token that ends while the connection is open ends it.
func TestExpiry(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	h := http.Header{"Authorization": {"Bearer " + token(t, secret, map[string]any{"exp": time.Now().Add(5 * time.Second).Unix()})}}
	c := mustDial(t, "ws://"+g.public+"/chat", h)
	echo(t, c, "before")
	if code, reason := closeOf(c); code != 4401 || !strings.HasPrefix(reason, "expired ") {
		t.Errorf("got %d %q, want 4401 expired", code, reason)
	}
}
