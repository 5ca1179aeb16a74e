package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// renew asks for a renewal.
func renew(t testing.TB, g *gateway, body string, headers ...string) apiAnswer {
	t.Helper()
	return call(t, g.public, "POST", "sessions/renew", body, headers...)
}

// TestRenewal: a connection that came by one carrier is renewed by another, and
// its backend learns nothing of it.
func TestRenewal(t *testing.T) {
	g := twoRoutes(t)
	soon := time.Now().Add(7 * time.Second).Unix() // All of this is before that.
	query := func(claims map[string]any) string {
		return "ws://" + g.public + "/chat?access_token=" + url.QueryEscape(token(t, secret, claims))
	}
	renewed := long(mustDial(t, query(map[string]any{"exp": soon, "sid": "login-1"}), nil))
	left := long(mustDial(t, query(map[string]any{"exp": soon, "sid": "login-2"}), nil))
	fresh := as(t, map[string]any{"sid": "login-1"}).Get("Authorization")
	mallory := as(t, map[string]any{"sid": "login-1", "sub": "mallory"}).Get("Authorization")
	for _, tt := range []struct {
		name, body string
		headers    []string
		status     int
		part       string
	}{
		{"nothing", "", nil, 401, "explain_id"},
		{"forged", "", []string{"Authorization", "Bearer " + token(t, strings.Repeat("x", 32), nil)}, 401, "explain_id"},
		{"expired", "", []string{"Authorization", as(t, map[string]any{"exp": 1}).Get("Authorization")}, 401, "explain_id"},
		{"another subject", "", []string{"Authorization", mallory}, 403, "explain_id"},
		{"another session named", `{"session":"login-2"}`, []string{"Authorization", fresh}, 403, "explain_id"},
		{"unknown member", `{"sesion":"login-1"}`, []string{"Authorization", fresh}, 400, "session"},
		{"another site", "", []string{"Authorization", fresh, "Origin", "https://evil.example"}, 403, ""},
		{"no live connection", "", []string{"Authorization", as(t, map[string]any{"sid": "login-3"}).Get("Authorization")}, 404, "no live connection"},
		{"a verifier of another route", "", []string{"Authorization", as(t, map[string]any{"iss": "strict", "sid": "login-1"}).Get("Authorization")}, 404, ""},
		{"an API key", "", bearerOf(makeKey(t, g, "keys")), 401, ""},
	} {
		if got := renew(t, g, tt.body, tt.headers...); got.status != tt.status || !strings.Contains(got.text, tt.part) {
			t.Errorf("%s: got %d %s, want %d", tt.name, got.status, got.text, tt.status)
		}
	}
	got := renew(t, g, `{"session":"login-1"}`, "Authorization", fresh, "Origin", page)
	var done struct {
		Session     string
		ExpiresIn   int `json:"expires_in"`
		Connections int
	}
	got.into(t, 200, &done)
	if done.Session != "login-1" || done.ExpiresIn < 290 || done.Connections != 1 {
		t.Errorf("got %s", got.text)
	}
	if got.header.Get("Access-Control-Allow-Origin") != page {
		t.Errorf("got %v, want the page to read the answer", got.header)
	}
	if code, reason := closeOf(left); code != 4401 || !strings.HasPrefix(reason, "expired ") {
		t.Errorf("got %d %s of the other session, want it expired", code, reason)
	}
	echo(t, renewed, "still here")
	_, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, "")
	if !strings.Contains(metrics, `usher_renewals_total{route="/chat"} 1`) {
		t.Error("the renewal is not counted")
	}
}

// A cookie renews too, with the header that no form can send; a password does not.
func TestRenewalByCookie(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	mustDial(t, "ws://"+g.public+"/cookie", cookie("known-session"))
	c := []string{"Cookie", "sid=known-session", "Origin", page}
	if got := renew(t, g, "", c...); got.status != 403 {
		t.Errorf("got %d %s for what a form can send, want 403", got.status, got.text)
	}
	if got := renew(t, g, "", append(c, "X-Requested-With", "x")...); got.status != 200 || !strings.Contains(got.text, `"connections":1`) {
		t.Errorf("got %d %s, want one connection renewed", got.status, got.text)
	}
	if got := renew(t, g, "", "Authorization", basic("alice", "correct horse").Get("Authorization")); got.status != 401 {
		t.Errorf("got %d %s for a password, want 401", got.status, got.text)
	}
}

// TestRevocation: what was issued before is out, here and from now on, and who
// logs in again gets in.
func TestRevocation(t *testing.T) {
	g := twoRoutes(t)
	before := time.Now().Add(-time.Minute).Unix()
	in := func(claims map[string]any) string {
		return "ws://" + g.public + "/chat?access_token=" + token(t, secret, claims)
	}
	old := map[string]any{"iat": before}
	bob := mustDial(t, in(map[string]any{"iat": before, "sub": "bob"}), nil)
	target := in(old)
	alice := mustDial(t, target, nil)
	ticket := buy(t, g, "?route=/chat", as(t, old))
	var done struct {
		Connections  int
		IssuedBefore time.Time `json:"issued_before"`
	}
	begun := time.Now()
	call(t, g.admin, "POST", "revocations", `{"subject":"alice","reason":"laptop stolen"}`).into(t, 200, &done)
	if done.Connections != 1 || done.IssuedBefore.Before(begun.Add(-time.Second)) || done.IssuedBefore.After(time.Now()) {
		t.Errorf("got %+v", done)
	}
	code, reason := closeOf(alice)
	if code != 4401 || !strings.HasPrefix(reason, "revoked ") || time.Since(begun) > patience/6 {
		t.Errorf("got %d %s after %v, want 4401 revoked within a second", code, reason, time.Since(begun))
	}
	until(t, "explained with the reason", func() bool { // The end is reported when both sides have seen it.
		return strings.Contains(call(t, g.admin, "GET", "explain/"+strings.TrimPrefix(reason, "revoked "), "").text, "laptop stolen")
	})
	if strings.Contains(reason, "stolen") {
		t.Error("the client was told the reason")
	}
	echo(t, bob, "still here")
	if _, err := dial(t, target, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v for a credential from before, want 401", err)
	}
	if _, err := dial(t, "ws://"+g.public+"/chat?ticket="+ticket, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v for a ticket from before, want 401", err)
	}
	if got := renew(t, g, "", "Authorization", as(t, old).Get("Authorization")); got.status != 401 {
		t.Errorf("got %d %s for a renewal with a credential from before, want 401", got.status, got.text)
	}
	again := in(map[string]any{"iat": time.Now().Add(time.Second).Unix()})
	echo(t, mustDial(t, again, nil), "logged in again")

	// A time in seconds, and one in text, spare what came after.
	for _, at := range []string{fmt.Sprint(before - 10), fmt.Sprintf("%d.5", before-10), `"` + time.Unix(before-10, 0).UTC().Format(time.RFC3339) + `"`} {
		call(t, g.admin, "POST", "revocations", `{"subject":"bob","issued_before":`+at+`}`).into(t, 200, &done)
		if done.Connections != 0 || done.IssuedBefore.Unix() != before-10 {
			t.Errorf("%s: got %+v", at, done)
		}
	}
	echo(t, bob, "still here")
	_, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, "")
	if !strings.Contains(metrics, `usher_revocations_total{by="subject"} 4`) {
		t.Error("the revocations are not counted")
	}
}

// A revocation ends what it names, and nothing else.
func TestRevocationBy(t *testing.T) {
	g := twoRoutes(t)
	before := time.Now().Add(-time.Minute).Unix()
	for i, tt := range []struct{ by, body, other string }{
		{"subject", `{"subject":"u0"}`, ""},
		{"session", `{"session":"s1"}`, ""},
		{"token", `{"token":"t2"}`, ""},
		{"subject and issuer", `{"subject":"u3","issuer":"test"}`, `{"subject":"u3","issuer":"strict"}`},
		{"issuer", `{"issuer":"test"}`, `{"issuer":"strict"}`},
	} {
		claims := func(n int) map[string]any {
			return map[string]any{"iat": before, "sub": fmt.Sprint("u", n), "sid": fmt.Sprint("s", n), "jti": fmt.Sprint("t", n)}
		}
		one := mustDial(t, "ws://"+g.public+"/chat?access_token="+token(t, secret, claims(i)), nil)
		strict := claims(i + 100)
		strict["iss"] = "strict"
		other := mustDial(t, "ws://"+g.public+"/other", as(t, strict))
		var done struct{ Connections int }
		if tt.other != "" && tt.by != "issuer" {
			call(t, g.admin, "POST", "revocations", tt.other).into(t, 200, &done)
			if echo(t, one, "still here"); done.Connections != 0 {
				t.Errorf("%s: got %d ended of another issuer, want 0", tt.by, done.Connections)
			}
		}
		call(t, g.admin, "POST", "revocations", tt.body).into(t, 200, &done)
		if code, reason := closeOf(one); code != 4401 || !strings.HasPrefix(reason, "revoked ") || done.Connections != 1 {
			t.Errorf("%s: got %d %s, and %d ended, want one revoked", tt.by, code, reason, done.Connections)
		}
		echo(t, other, "still here")
	}
}

// TestConnections: the list is paged by id, and narrowed by what is asked.
func TestConnections(t *testing.T) {
	g := twoRoutes(t)
	for i := range 25 {
		claims := map[string]any{"sub": fmt.Sprintf("user-%d", i%5), "sid": fmt.Sprintf("s-%d", i), "jti": "t"}
		if i%2 == 0 {
			claims["iss"] = "strict"
			mustDial(t, "ws://"+g.public+"/other", as(t, claims))
			continue
		}
		mustDial(t, "ws://"+g.public+"/chat?access_token="+token(t, secret, claims), http.Header{"Origin": {page}})
	}
	type page struct {
		Connections []struct {
			ID                                                              uint64
			Subject, Issuer, Session, Token, Route, Carrier, Origin, Client string
			Since, Expires                                                  time.Time
		}
		Next uint64
	}
	var seen []uint64
	pages := 0
	for after := uint64(0); ; {
		var p page
		call(t, g.admin, "GET", fmt.Sprintf("connections?limit=10&after=%d", after), "").into(t, 200, &p)
		for _, c := range p.Connections {
			seen = append(seen, c.ID)
		}
		if pages++; p.Next == 0 {
			break
		}
		after = p.Next
	}
	if len(seen) != 25 || pages != 3 {
		t.Errorf("got %d connections in %d pages, want 25 in 3", len(seen), pages)
	}
	for i := range len(seen) - 1 {
		if seen[i] >= seen[i+1] {
			t.Fatalf("got ids %v, want them rising", seen)
		}
	}
	for query, want := range map[string]int{
		"subject=user-1": 5, "subject=user-1&issuer=strict": 2, "issuer=test": 12, "route=/other": 13, "session=s-3": 1,
		"session=s-3&route=/other": 0, "subject=nobody": 0, "limit=25": 25, "limit=24": 24, "": 25,
	} {
		var p page
		call(t, g.admin, "GET", "connections?"+query, "").into(t, 200, &p)
		if len(p.Connections) != want || (p.Next != 0) != (query == "limit=24") {
			t.Errorf("%s: got %d and next %d, want %d", query, len(p.Connections), p.Next, want)
		}
	}
	var p page
	call(t, g.admin, "GET", "connections?session=s-3", "").into(t, 200, &p)
	c := p.Connections[0]
	if c.Subject != "user-3" || c.Issuer != "test" || c.Token != "t" || c.Route != "/chat" || c.Carrier != "query" ||
		c.Origin != "https://app.example.com" || c.Client != "127.0.0.1/32" || time.Since(c.Since) > time.Minute || time.Until(c.Expires) < time.Minute {
		t.Errorf("got %+v", c)
	}
}

// TestLimitsOfConnections: a route's lifetime, and who loses at its bound.
func TestLimitsOfConnections(t *testing.T) {
	b := newBackend(t)
	route := func(path, limits string) string {
		return fmt.Sprintf("  - {path: %s, upstream: %q, limits: {%s}, carriers: [query: {verify: [local]}]}\n", path, b.ws(), limits)
	}
	g := start(t, front+"routes:\n"+route("/short", "lifetime: 3s")+route("/refuse", "max_connections: 2")+
		route("/replace", "max_connections: 2, when_full: replace"))
	in := func(path, subject string) string {
		return "ws://" + g.public + path + "?access_token=" + token(t, secret, map[string]any{"sub": subject})
	}
	begun := time.Now()
	if code, reason := closeOf(mustDial(t, in("/short", "alice"), nil)); code != 4401 || !strings.HasPrefix(reason, "expired ") || time.Since(begun) < 3*time.Second {
		t.Errorf("got %d %s after %v, want it expired after 3s", code, reason, time.Since(begun))
	}
	for _, path := range []string{"/refuse", "/replace"} {
		oldest, second := mustDial(t, in(path, "alice"), nil), mustDial(t, in(path, "alice"), nil)
		mustDial(t, in(path, "bob"), nil)
		third, err := dial(t, in(path, "alice"), nil)
		if path == "/refuse" {
			if err == nil || !strings.Contains(err.Error(), "429") {
				t.Errorf("got %v, want the newest refused", err)
			}
			echo(t, oldest, "still here")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if code, reason := closeOf(oldest); code != 4403 || !strings.HasPrefix(reason, "replaced ") {
			t.Errorf("got %d %s, want the oldest replaced", code, reason)
		}
		echo(t, second, "still here")
		echo(t, third, "here now")
	}
}

// A client that answers no pings is found out, and one that answers goes on.
func TestPing(t *testing.T) {
	b := newBackend(t)
	g := start(t, front+fmt.Sprintf("routes: [{path: /chat, upstream: %q, limits: {ping: 2s}, carriers: [query: {verify: [local]}]}]\n", b.ws()))
	target := "ws://" + g.public + "/chat?access_token=" + token(t, secret, nil)
	begun := time.Now()
	alive, dead := mustDial(t, target, nil), mustDial(t, target, nil)
	pings := make(chan struct{}, 100)
	answer := alive.PingHandler()
	alive.SetPingHandler(func(text string) error {
		pings <- struct{}{}
		return answer(text)
	})
	dead.SetPingHandler(func(string) error { return nil })
	ended := make(chan int, 1)
	go func() {
		code, _ := closeOf(alive)
		ended <- code
	}()
	if code, reason := closeOf(dead); code != 1001 || !strings.HasPrefix(reason, "unresponsive ") || time.Since(begun) < 4*time.Second {
		t.Errorf("got %d %s after %v, want it unresponsive after 4s", code, reason, time.Since(begun))
	}
	for range 3 {
		select {
		case <-pings:
		case code := <-ended:
			t.Fatalf("got %d, want the one that answers to go on", code)
		case <-time.After(patience):
			t.Fatal("no ping came")
		}
	}
	until(t, "counted by its word", func() bool {
		_, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, "")
		return strings.Contains(metrics, `usher_connection_seconds_count{reason="unresponsive",route="/chat"} 1`)
	})
}
