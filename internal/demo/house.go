package demo

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// A user of the demo. The passwords are printed on the page, and their hashes
// are in users.htpasswd: not those of who is banned.
type user struct {
	name   string
	banned bool
}

var users = map[string]user{
	"alice":   {name: "Alice"},
	"bob":     {name: "Bob"},
	"mallory": {name: "Mallory", banned: true},
}

const (
	sessionCookie = "session"
	themeCookie   = "theme" // A cookie that is no credential: it passes the gateway.
	sessionTTL    = time.Hour
)

// A house is who logs people in and vouches for them: the part that an
// application has already.
type house struct {
	// Immutable after newHouse.
	key, wrongKey []byte
	logins        *logins
}

func newHouse(secret usher.Secret) (*house, error) {
	h := &house{
		key:      []byte(secret.Reveal()),
		wrongKey: []byte(rand.Text() + rand.Text()),
		logins:   newLogins(),
	}
	if secret.Empty() {
		h.key = []byte(rand.Text() + rand.Text())
	}
	if _, err := usher.HS256(usher.NewSecret(string(h.key))); err != nil {
		return nil, fmt.Errorf("use the demo's secret: %w", err)
	}
	return h, nil
}

// current returns the login that the request's cookie stands for; its subject is
// empty where there is none.
func (h *house) current(r *http.Request) login {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return login{}
	}
	found, _ := h.logins.find(c.Value)
	return found
}

// login logs in whoever asks: the demo has no passwords here.
func (h *house) login(w http.ResponseWriter, r *http.Request) {
	var ask struct{ User string }
	if !readJSON(w, r, &ask) {
		return
	}
	if _, ok := users[ask.User]; !ok {
		http.Error(w, "no such user", http.StatusBadRequest)
		return
	}
	h.forget(r)
	value := h.logins.start(login{subject: ask.User, session: rand.Text(), expires: time.Now().Add(sessionTTL)})
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/",
		MaxAge: int(sessionTTL / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	writeJSON(w, map[string]any{"user": ask.User})
}

// logout ends the login, if there is one.
func (h *house) logout(w http.ResponseWriter, r *http.Request) {
	h.forget(r)
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	writeJSON(w, map[string]any{"user": ""})
}

func (h *house) forget(r *http.Request) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		h.logins.end(c.Value)
	}
}

// giveToken gives a token to who is logged in.
func (h *house) giveToken(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Kind, User string }
	if !readJSON(w, r, &ask) {
		return
	}
	who := h.current(r)
	if who.subject == "" {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	// To show what two credentials do, the page may have another user's token.
	if _, ok := users[ask.User]; ok {
		who.subject = ask.User
	}
	token, err := h.token(who, ask.Kind)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, map[string]any{"token": token})
}

// whoamiPath is where the gateway asks about cookies and opaque tokens.
const whoamiPath = "/demo/whoami"

// whoami says whose login the one credential of the request is. The gateway may
// believe it for a minute, and asks again while the socket lives: so who logs
// out is out.
func (h *house) whoami(w http.ResponseWriter, r *http.Request) {
	value, isToken := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if c, err := r.Cookie(sessionCookie); err == nil && !isToken {
		value = c.Value
	}
	found, ok := h.logins.find(value)
	u := users[found.subject]
	switch {
	case !ok:
		http.Error(w, "nobody's login", http.StatusUnauthorized)
	case found.outage:
		http.Error(w, "simulated outage", http.StatusServiceUnavailable)
	case u.banned:
		http.Error(w, "banned", http.StatusForbidden)
	default:
		writeJSON(w, map[string]any{"sub": found.subject, "name": u.name, "exp": found.expires.Unix()})
	}
}
