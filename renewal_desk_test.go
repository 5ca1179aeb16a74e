package usher_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

const (
	renewPath  = "/usher/v1/sessions/renew"
	chatOrigin = "https://chat.example"
	newsOrigin = "https://news.example"
)

// A renewDesk is a desk for two routes: /chat takes tokens and cookies from
// pages of chatOrigin, and /news tokens alone, from others too, of other pages.
type renewDesk struct {
	sessions usher.Sessions
	tickets  usher.Tickets
	bus      *node
	log      logbook
	mu       sync.Mutex
	ids      map[string]usher.Identity // What each credential is worth at /chat.
	news     map[string]usher.Identity
	handler  http.Handler
	doors    map[string]*usher.Guard
}

func (d *renewDesk) verifier(of *map[string]usher.Identity) usher.Verifier {
	return usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		id, ok := (*of)[c.Secret.Reveal()]
		switch {
		case !ok:
			return nil, usher.ErrUnrecognized
		case id.Subject == "unavailable":
			return nil, usher.ErrUnavailable
		}
		return &id, nil
	})
}

func newRenewDesk(t *testing.T) *renewDesk {
	t.Helper()
	d := &renewDesk{bus: newHub().node()}
	joinBus(t, &d.sessions, d.bus)
	fresh := loggedIn("alice", "s1")
	fresh.Issued, fresh.Expires = fresh.Issued.Add(time.Minute), fresh.Issued.Add(2*time.Hour)
	with := func(change func(id *usher.Identity)) usher.Identity {
		id := fresh
		change(&id)
		return id
	}
	d.ids = map[string]usher.Identity{
		"fresh-secret": fresh, "cookie-secret": fresh,
		"mallory-secret": with(func(id *usher.Identity) { id.Subject = "mallory" }),
		"aside-secret":   with(func(id *usher.Identity) { id.Session = "s2" }),
		"over-secret":    with(func(id *usher.Identity) { id.Expires = time.Now() }),
		"down-secret":    with(func(id *usher.Identity) { id.Subject = "unavailable" }),
		"half-secret":    fresh,
	}
	d.news = map[string]usher.Identity{"both-secret": fresh, "half-secret": {Subject: "unavailable"}}
	d.ids["both-secret"] = fresh
	log := d.log.logger()
	at := func(route string) *usher.Guard {
		chat := d.verifier(&d.ids)
		g := &usher.Guard{Sessions: &d.sessions, Route: route, Log: log, Origins: []string{chatOrigin}}
		g.Carriers = []usher.Carrier{usher.Ticket("", &d.tickets), usher.Bearer(chat), usher.Cookie("__Host-session", chat)}
		if route == "/news" {
			g.Carriers = []usher.Carrier{usher.Bearer(d.verifier(&d.news))}
			g.Origins = []string{newsOrigin, chatOrigin}
		}
		return g
	}
	d.handler = d.sessions.Desk(map[string]*usher.Guard{"/chat": at("/chat"), "/news": at("/news")})
	d.doors = map[string]*usher.Guard{"/chat": byMint(&d.sessions, "/chat"), "/news": byMint(&d.sessions, "/news")}
	return d
}

func (d *renewDesk) expiries(t *testing.T) map[string]time.Duration {
	got := make(map[string]time.Duration)
	for c := range d.sessions.All() {
		got[c.Route] = time.Until(c.Identity.Expires)
	}
	return got
}

func TestRenewalDesk(t *testing.T) {
	const (
		fresh  = "Authorization: Bearer fresh-secret"
		cookie = "Cookie: __Host-session=cookie-secret"
		chat   = "Origin: " + chatOrigin
		news   = "Origin: " + newsOrigin
	)
	both, one := map[string]time.Duration{"/chat": 2 * time.Hour, "/news": 2 * time.Hour}, map[string]time.Duration{"/chat": 2 * time.Hour, "/news": time.Hour}
	tests := []struct {
		name    string
		method  string // POST if empty.
		target  string // renewPath if empty.
		body    string
		headers []string
		want    int
		detail  string
		renewed map[string]time.Duration // Nil: nothing is.
		count   int
	}{
		{name: "bearer", headers: []string{fresh, chat}, want: 200, renewed: one, count: 1},
		{name: "bearer of both routes", headers: []string{"Authorization: Bearer both-secret", chat}, want: 200, renewed: both, count: 2},
		{name: "no browser", headers: []string{fresh}, want: 200, renewed: one, count: 1},
		{name: "page of our own", headers: []string{fresh, ownPage}, want: 200, renewed: one, count: 1},
		{name: "cookie, header of a script", headers: []string{cookie, chat, deskAjax}, want: 200, renewed: one, count: 1},
		{name: "cookie, JSON", body: "{}", headers: []string{cookie, chat, deskJSON}, want: 200, renewed: one, count: 1},
		{name: "empty object", body: " {} ", headers: []string{fresh, chat, deskJSON}, want: 200, renewed: one, count: 1},
		{name: "session named", body: `{"session":"s1"}`, headers: []string{fresh, chat, deskJSON}, want: 200, renewed: one, count: 1},
		{name: "bearer beside a cookie of the same", headers: []string{fresh, cookie, chat}, want: 200, renewed: one, count: 1},
		{name: "one route cannot tell", headers: []string{"Authorization: Bearer half-secret", chat}, want: 200, renewed: one, count: 1},

		{name: "cookie, nothing else", headers: []string{cookie, chat}, want: 403, detail: "X-Requested-With"},
		{name: "cookie, no origin", headers: []string{cookie, deskAjax}, want: 403},
		{name: "cookie, form of a page", body: "a=b", headers: []string{cookie, chat, "Content-Type: application/x-www-form-urlencoded"}, want: 415, detail: "application/json"},
		{name: "cookie, empty form of a page", headers: []string{cookie, chat, "Content-Type: text/plain"}, want: 403, detail: "X-Requested-With"},
		{name: "cookie of a route that takes none, from its page", headers: []string{cookie, news, deskAjax}, want: 401},
		{name: "token of a route with other pages", headers: []string{fresh, news}, want: 401},
		{name: "foreign page", headers: []string{fresh, deskEvil}, want: 403, detail: "origin"},
		{name: "page of nowhere", headers: []string{fresh, "Origin: null"}, want: 403, detail: "origin"},
		{name: "two origins", headers: []string{fresh, chat, chat}, want: 403, detail: "origin"},
		{name: "no credential", headers: []string{chat}, want: 401},
		{name: "wrong credential", headers: []string{"Authorization: Bearer no-secret", chat}, want: 401},
		{name: "two credentials", target: renewPath + "?ticket=a-secret", headers: []string{fresh, chat}, want: 400, detail: "forbidden"},
		{name: "credential twice", headers: []string{fresh, "Authorization: Bearer both-secret", chat}, want: 401},
		{name: "bearer beside a cookie of another", headers: []string{"Authorization: Bearer mallory-secret", cookie, chat, deskAjax}, want: 400},
		{name: "another subject", headers: []string{"Authorization: Bearer mallory-secret", chat}, want: 403, detail: "forbidden"},
		{name: "another session", headers: []string{"Authorization: Bearer aside-secret", chat}, want: 404, detail: "no live connection"},
		{name: "another session is named", body: `{"session":"s2"}`, headers: []string{fresh, chat, deskJSON}, want: 403, detail: "forbidden"},
		{name: "no session is named", body: `{"session":""}`, headers: []string{fresh, chat, deskJSON}, want: 403, detail: "forbidden"},
		{name: "expired", headers: []string{"Authorization: Bearer over-secret", chat}, want: 401, detail: "expired"},
		{name: "verifier unavailable", headers: []string{"Authorization: Bearer down-secret", chat}, want: 503, detail: "unavailable"},

		{name: "unknown member", body: `{"session":"s1","subject":"bob"}`, headers: []string{fresh, chat, deskJSON}, want: 400, detail: "unknown member"},
		{name: "member twice", body: `{"session":"s1","session":"s1"}`, headers: []string{fresh, chat, deskJSON}, want: 400, detail: "twice"},
		{name: "member in another case", body: `{"Session":"s1"}`, headers: []string{fresh, chat, deskJSON}, want: 400, detail: "unknown member"},
		{name: "session is no text", body: `{"session":1}`, headers: []string{fresh, chat, deskJSON}, want: 400, detail: "no text"},
		{name: "no object", body: `"s1"`, headers: []string{fresh, chat, deskJSON}, want: 400, detail: "not an object"},
		{name: "cut off", body: `{"session":"s1`, headers: []string{fresh, chat, deskJSON}, want: 400, detail: "malformed"},
		{name: "not said to be JSON", body: `{"session":"s1"}`, headers: []string{fresh, chat}, want: 415, detail: "application/json"},
		{name: "too long", body: "{}" + strings.Repeat(" ", 4095), headers: []string{fresh, chat, deskJSON}, want: 413, detail: "4096"},
		{name: "GET", method: "GET", headers: []string{fresh, chat}, want: 405, detail: "POST"},
		{name: "DELETE", method: "DELETE", headers: []string{fresh, chat}, want: 405, detail: "POST"},
		{name: "handshake", method: "GET", headers: []string{fresh, chat, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testKey}, want: 405, detail: "POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newRenewDesk(t)
				old := loggedIn("alice", "s1")
				p1, p2 := join(t, d.doors["/chat"], &witness{}, old), join(t, d.doors["/news"], &witness{}, old)
				resp := askDesk(d.handler, orElse(tt.method, "POST"), orElse(tt.target, renewPath), tt.body, tt.headers...)
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != tt.want {
					t.Errorf("got status %d %s, %v, want %d", resp.StatusCode, body, err, tt.want)
				}
				resp.Body = io.NopCloser(strings.NewReader(string(body)))
				if tt.want != http.StatusOK {
					wantProblem(t, resp, tt.detail)
				} else {
					wantRenewed(t, resp, tt.count)
				}
				wantReadable(t, resp, tt.headers)
				want := tt.renewed
				if want == nil {
					want = map[string]time.Duration{"/chat": time.Hour, "/news": time.Hour}
				}
				if diff := cmp.Diff(want, d.expiries(t)); diff != "" {
					t.Errorf("expiries (-want +got):\n%s", diff)
				}
				p1.echo("no byte of interruption")
				p2.echo("no byte of interruption")
				for _, text := range append(d.bus.published(), string(body), d.log.String()) {
					if strings.Contains(text, "-secret") {
						t.Errorf("a credential got out: %s", text)
					}
				}
				leaveAll(p1, p2)
			})
		})
	}
}

func wantRenewed(t *testing.T, resp *http.Response, count int) {
	t.Helper()
	var got map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"session": "s1", "expires_in": 7200.0, "connections": float64(count)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if ct, cc := resp.Header.Get("Content-Type"), resp.Header.Get("Cache-Control"); ct != "application/json" || cc != "no-store" {
		t.Errorf("got Content-Type %q, Cache-Control %q", ct, cc)
	}
}

// wantReadable checks that the page which asked can read the answer, if any of
// the routes lets it in, and with credentials only where one takes cookies.
func wantReadable(t *testing.T, resp *http.Response, headers []string) {
	t.Helper()
	var origins []string
	for _, h := range headers {
		if o, ok := strings.CutPrefix(h, "Origin: "); ok {
			origins = append(origins, o)
		}
	}
	allow, credentials := "", ""
	if len(origins) == 1 {
		switch origins[0] {
		case chatOrigin, "http://example.com":
			allow, credentials = origins[0], "true"
		case newsOrigin:
			allow = origins[0]
		}
	}
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != allow {
		t.Errorf("got Access-Control-Allow-Origin %q, want %q", got, allow)
	}
	if got := resp.Header.Get("Access-Control-Allow-Credentials"); got != credentials {
		t.Errorf("got Access-Control-Allow-Credentials %q, want %q", got, credentials)
	}
}

func TestRenewalDeskPreflight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRenewDesk(t)
		for origin, want := range map[string]int{chatOrigin: 204, newsOrigin: 204, "https://evil.example": 403} {
			resp := askDesk(d.handler, "OPTIONS", renewPath, "", "Origin: "+origin,
				"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type")
			if resp.StatusCode != want {
				t.Errorf("%s: got status %d, want %d", origin, resp.StatusCode, want)
			}
			wantReadable(t, resp, []string{"Origin: " + origin})
			if got := resp.Header.Get("Access-Control-Allow-Headers"); (want == 204) != strings.Contains(got, "authorization") {
				t.Errorf("%s: got Access-Control-Allow-Headers %q", origin, got)
			}
		}
	})
}

// TestRenewalDeskTakesNoTicket: a ticket opens one connection, and keeps none
// open.
func TestRenewalDeskTakesNoTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRenewDesk(t)
		p := join(t, d.doors["/chat"], &witness{}, loggedIn("alice", "s1"))
		id := d.ids["fresh-secret"]
		ticket, _, err := d.tickets.Make(&id, chatOrigin, "/chat")
		if err != nil {
			t.Fatal(err)
		}
		resp := askDesk(d.handler, "POST", renewPath+"?ticket="+ticket.Reveal(), "", "Origin: "+chatOrigin, deskAjax)
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("got status %d, want 403", resp.StatusCode)
		}
		if got := d.expiries(t)["/chat"]; got != time.Hour {
			t.Errorf("got %v left, want 1h", got)
		}
		leaveAll(p)
	})
}

// TestRenewalDeskElsewhere renews what another node has, and says so where it
// cannot be asked.
func TestRenewalDeskElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newRenewDesk(t)
		var other usher.Sessions
		joinBus(t, &other, d.bus.hub.node())
		p := join(t, byMint(&other, "/chat"), &witness{}, loggedIn("alice", "s1"))
		ask := func() int {
			return askDesk(d.handler, "POST", renewPath, "", "Authorization: Bearer fresh-secret").StatusCode
		}
		if got := ask(); got != http.StatusOK {
			t.Errorf("got status %d, want 200", got)
		}
		for c := range other.All() {
			if got := time.Until(c.Identity.Expires); got != 2*time.Hour {
				t.Errorf("got %v left, want 2h", got)
			}
		}
		d.bus.fail(errCut)
		if got := ask(); got != http.StatusServiceUnavailable {
			t.Errorf("got status %d with the bus down, want 503", got)
		}
		leaveAll(p)
	})
}

// TestRenewalDeskOfNothing has no routes.
func TestRenewalDeskOfNothing(t *testing.T) {
	var s usher.Sessions
	if resp := askDesk(s.Desk(nil), "POST", renewPath, ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("got status %d, want 404", resp.StatusCode)
	}
}

// TestRenewalDeskRecheck: a cookie that renews is the one that is asked about
// from then on, and the one before no more.
func TestRenewalDeskRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		asked := make(map[string]int)
		v := usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
			asked[c.Secret.Reveal()]++
			if asked[c.Secret.Reveal()] > 3 {
				return nil, usher.ErrExpired
			}
			return &usher.Identity{Subject: "alice", Issuer: login, Recheck: true, Expires: time.Now().Add(time.Hour)}, nil
		})
		cookies := func() *usher.Guard {
			return &usher.Guard{
				Carriers: []usher.Carrier{usher.Cookie("session", v)}, Sessions: &s, Route: "/chat",
				Log: slog.New(slog.DiscardHandler),
			}
		}
		p, done := overPipe(t, cookies(), idle, "Cookie: session=first", ownPage)
		begun := time.Now()
		p.status(http.StatusSwitchingProtocols)
		time.Sleep(30 * time.Minute)
		desk := s.Desk(map[string]*usher.Guard{"/chat": cookies()})
		resp := askDesk(desk, "POST", renewPath, "", "Cookie: session=second", ownPage, deskAjax)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("got status %d, want 200", resp.StatusCode)
		}
		p.closed(usher.CloseUnauthenticated, "expired")
		<-done
		// Asked at the desk, then twice with a yes, then with a no.
		if got, want := time.Since(begun), 30*time.Minute+3*(time.Hour-10*time.Second); got != want {
			t.Errorf("got the end after %v, want %v", got, want)
		}
		if asked["first"] != 1 || asked["second"] != 4 {
			t.Errorf("got asked %v, want once about the first and 4 times about the second", asked)
		}
	})
}
