package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

// Somebody logs in at a real provider, opens a WebSocket with the cookie, and
// logs out here, and so there.
func TestProviderLogout(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.mustBeOut()
	w.logIn("alice")
	c := w.mustDial()
	for live := range w.live.All() {
		id := live.Identity
		if id.Subject != "alice" || id.Issuer != w.provider || id.Claims.String("email") != "alice@example.com" || id.Session != id.Claims.String("sid") {
			t.Errorf("got %+v", id)
		}
	}
	res := w.post(login.LogoutPath)
	w.closed(c, 4401, "revoked")
	w.mustBeOut()
	away := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(away, w.provider+"/session/end?") {
		t.Fatalf("got status %d to %q", res.StatusCode, away)
	}
	if at, text := w.visit(away, ""); at != w.site+"/" || text != "page /" {
		t.Errorf("got to %s: %s", at, text)
	}
	// At the provider, too, one has to give a name again.
	w.logIn("bob")
	w.mustDial()
	for live := range w.live.All() {
		if live.Identity.Subject == "alice" {
			t.Error("alice is here still")
		}
	}
}

// Somebody logs out at the provider, which tells us: the connections of that
// session end, and no others.
func TestProviderBackChannel(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.logIn("alice")
	elsewhere := w.client
	other := w.mustDial()
	w.forget()
	w.logIn("alice") // On another device.
	c := w.mustDial()
	begun := time.Now()
	if _, text := w.visit(w.provider+"/session/end", ""); !strings.Contains(text, "Sign-out Success") {
		t.Fatalf("got %s", text)
	}
	t.Logf("closed after %v", w.closed(c, 4401, "revoked").Sub(begun))
	w.mustBeOut()
	w.ping(other)
	w.client = elsewhere
	w.ping(w.mustDial())
	w.forget()
	w.logIn("alice")
	w.mustDial()
}

// With offline_access the provider is asked again and again whether somebody may
// stay, without a byte of interruption, and says no in the end.
func TestProviderRefresh(t *testing.T) {
	w := newWorld(t, map[string]any{"access": 5}, func(o *login.Options) { o.Scopes = append(o.Scopes, "offline_access") })
	w.logIn("alice")
	c, begun := w.mustDial(), time.Now()
	for time.Since(begun) < 11*time.Second { // For longer than two access tokens.
		w.ping(c)
		time.Sleep(50 * time.Millisecond)
	}
	res, err := http.Post(w.provider+"/control/block?sub=alice", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	w.closed(c, 4401, "")
	w.mustBeOut()
	if w.store.sessions() != 0 {
		t.Error("the session is in the store still")
	}
}

// Ways to prove oneself to the provider.
func TestProviderClients(t *testing.T) {
	for _, auth := range []string{"client_secret_post", "none"} {
		t.Run(auth, func(t *testing.T) {
			w := newWorld(t, map[string]any{"auth": auth}, func(o *login.Options) {
				if auth == "none" {
					o.ClientSecret = usher.Secret{}
				}
			})
			w.logIn("alice")
			w.mustDial()
		})
	}
}

// What the provider says no to.
func TestProviderRefuses(t *testing.T) {
	w := newWorld(t, nil, nil)
	// A code that was used, by somebody who has all that the browser had.
	var callback string
	watching := *w.client
	watching.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), w.site+login.CallbackPath) && callback == "" {
			callback = r.URL.String()
		}
		return nil
	}
	w.client = &watching
	w.logIn("alice")
	if _, text := w.visit(callback, ""); !strings.Contains(text, "did not begin in this browser") {
		t.Errorf("the callback again: got %s", text)
	}
	w.mustDial() // Which harms nobody.
	// Another site that sends its own code here.
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	w.forget()
	if _, text := w.visit(u.String(), ""); !strings.Contains(text, "did not begin in this browser") {
		t.Errorf("in another browser: got %s", text)
	}
	w.mustBeOut()
}
