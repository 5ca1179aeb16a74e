package login

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/usher-ws/usher"
)

const (
	// attemptTime is how long a login may take.
	attemptTime = 10 * time.Minute
	// maxAttempts is how many a browser may have under way, in several tabs: more
	// cookies would make its requests too large.
	maxAttempts = 5

	attemptPurpose = "usher login: an attempt"
	// stateLetters is how much of the state is in the name of the attempt's cookie.
	stateLetters = 8
	// textLetters are those of rand.Text.
	textLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// An attempt is a login under way. The browser keeps it, sealed: whoever comes
// back with a code without it did not begin the login here (OAuth's "state", RFC
// 6749 §10.12), so that nobody is logged in as somebody else.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // Of PKCE (RFC 7636 §4.1).
	Place    string `json:"place"`    // Where to go afterwards.
	Began    int64  `json:"began"`    // In seconds since 1970.
}

func newAttempt(place string, now time.Time) *attempt {
	return &attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Place: place, Began: now.Unix(),
	}
}

// attemptPrefix is how the names of the attempts' cookies begin. Each tab has one
// of its own.
func (l *Login) attemptPrefix() string {
	if l.secure {
		return hostPrefix + "login-"
	}
	return "login-"
}

// keep gives an attempt to the browser, and takes the oldest ones from it where
// it has too many.
func (l *Login) keep(w http.ResponseWriter, r *http.Request, a *attempt) error {
	plain, err := json.Marshal(a)
	if err != nil {
		return err
	}
	name := l.attemptPrefix() + a.State[:stateLetters]
	sealed, err := seal(l.options.Secret(), attemptPurpose, name, plain)
	if err != nil {
		return err
	}
	others := 0
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, l.attemptPrefix()) {
			if others++; others >= maxAttempts {
				l.drop(w, c.Name)
			}
		}
	}
	http.SetCookie(w, l.cookie(name, text64.EncodeToString(sealed), attemptTime))
	return nil
}

var errAttempt = &refusal{
	status: http.StatusBadRequest,
	detail: "this login did not begin in this browser, is over, or took longer than 10 minutes; begin again",
}

// take returns the attempt that a state belongs to, and takes it from the
// browser: it is good for one answer.
func (l *Login) take(w http.ResponseWriter, r *http.Request, state string) (*attempt, error) {
	if len(state) < stateLetters || strings.Trim(state, textLetters) != "" {
		return nil, errAttempt
	}
	name := l.attemptPrefix() + state[:stateLetters]
	found := r.CookiesNamed(name)
	if len(found) != 1 { // Two: one of them was planted.
		return nil, errAttempt
	}
	l.drop(w, name)
	sealed, err := text64.DecodeString(found[0].Value)
	if err != nil {
		return nil, errAttempt
	}
	plain, err := unseal(l.options.Secret(), attemptPurpose, name, sealed)
	if errors.Is(err, usher.ErrUnavailable) {
		return nil, err
	}
	var a attempt
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return nil, errAttempt
	}
	age := time.Since(time.Unix(a.Began, 0))
	if !same(a.State, state) || age > attemptTime || age < -time.Minute {
		return nil, errAttempt
	}
	return &a, nil
}

// same compares texts of which one is secret.
func same(a, b string) bool { return usher.NewSecret(a).Equal(usher.NewSecret(b)) }

// cookie makes a cookie that no script and no other site sees. Lax lets it
// through when the provider sends the browser back.
func (l *Login) cookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the site is at https: see Options.Cookie.
		Name: name, Value: value, Path: "/", MaxAge: int(age / time.Second),
		Secure: l.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// drop takes a cookie from the browser.
func (l *Login) drop(w http.ResponseWriter, name string) {
	http.SetCookie(w, l.cookie(name, "", -time.Second))
}
