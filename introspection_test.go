package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
)

const introspectionURL = "https://login.example.com/introspect?secret=hidden"

// An authority is an authorization server in memory, so that synctest can run
// its time. It knows tokens by what it says of them.
type authority struct {
	mu sync.Mutex
	// Guarded by mu.
	answers map[string]string
	status  int
	slow    time.Duration
	asked   []string
	busy    int
	most    int // Questions at one time.
	last    *http.Request
	form    url.Values
}

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	token := form.Get("token")
	a.asked = append(a.asked, token)
	a.last, a.form = r, form
	a.busy++
	a.most = max(a.most, a.busy)
	slow := a.slow
	a.mu.Unlock()
	defer a.set(func(a *authority) { a.busy-- })
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok := a.answers[token]
	if !ok {
		text = `{"active":false}`
	}
	return &http.Response{
		StatusCode: max(a.status, http.StatusOK), Header: http.Header{"Location": {"https://elsewhere.example.com/"}},
		Body: io.NopCloser(strings.NewReader(text)), Request: r,
	}, nil
}

func (a *authority) set(change func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

func (a *authority) questions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

// active is an answer about a good token, with changes: see claims.
func active(changes map[string]any) string {
	all := map[string]any{"active": true}
	for name, v := range changes {
		all[name] = v
	}
	return claims(all)
}

// newAuthority returns a server that knows the token "opaque", and what asks it.
func newAuthority() (*authority, *usher.Introspection) {
	a := &authority{answers: map[string]string{"opaque": active(map[string]any{"exp": nil})}}
	return a, &usher.Introspection{
		URL: introspectionURL, Issuer: jwtIssuer, Audience: jwtAudience,
		ClientID: "a client:1", ClientSecret: usher.NewSecret("s3cret/+%&"),
		Client: &http.Client{Transport: a},
	}
}

func TestIntrospectionQuestion(t *testing.T) {
	a, v := newAuthority()
	admits(t, v, "opaque")
	if diff := cmp.Diff(url.Values{"token": {"opaque"}, "token_type_hint": {"access_token"}}, a.form); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	id, secret, _ := a.last.BasicAuth()
	if id != "a+client%3A1" || secret != "s3cret%2F%2B%25%26" {
		t.Errorf("got the caller %q, %q, want both encoded", id, secret)
	}
	if a.last.Method != http.MethodPost || a.last.URL.String() != introspectionURL || a.last.Header.Get("Accept") != "application/json" {
		t.Errorf("got %s %s %v", a.last.Method, a.last.URL, a.last.Header)
	}
}

func TestIntrospectionAnswers(t *testing.T) {
	tests := []struct {
		name, answer, want string
	}{
		{"active", active(nil), "yes"},
		{"without iss", active(map[string]any{"iss": nil}), "yes"},
		{"without exp", active(map[string]any{"exp": nil}), "yes"},
		{"several audiences", active(map[string]any{"aud": []string{"other", jwtAudience}}), "yes"},
		{"bearer", active(map[string]any{"token_type": "bearer"}), "yes"},
		{"inactive", `{"active":false}`, sayNo},
		{"inactive with all else", active(map[string]any{"active": false}), sayNo},
		{"another issuer", active(map[string]any{"iss": "https://evil.example"}), sayNo},
		{"issuer is null", active(map[string]any{"iss": json.RawMessage("null")}), sayNo},
		{"another audience", active(map[string]any{"aud": "other"}), sayNo},
		{"no audience", active(map[string]any{"aud": nil}), sayNo},
		{"no subject", active(map[string]any{"sub": nil}), sayNo},
		{"empty subject", active(map[string]any{"sub": ""}), sayNo},
		{"subject is a number", active(map[string]any{"sub": 7}), sayNo},
		{"sid is a number", active(map[string]any{"sid": 7}), sayNo},
		{"expired", active(map[string]any{"exp": 1}), sayExpired},
		{"exp is a text", active(map[string]any{"exp": "soon"}), sayNo},
		{"not yet", active(map[string]any{"nbf": time.Now().Unix() + 3600}), sayNo},
		{"of tomorrow", active(map[string]any{"iat": time.Now().Unix() + 3600}), sayNo},
		{"refresh token", active(map[string]any{"token_type": "refresh_token"}), sayNo},
		{"bound to a key", active(map[string]any{"token_type": "DPoP"}), sayNo},
		{"bound to a certificate", active(map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}), sayNo},
		{"active is a text", active(map[string]any{"active": "true"}), sayUnavailable},
		{"active is missing", claims(nil), sayUnavailable},
		{"active twice", `{"active":false,"active":true,"sub":"alice","aud":"chat"}`, sayUnavailable},
		{"Active", `{"Active":true,"sub":"alice","aud":"chat"}`, sayUnavailable},
		{"null", `null`, sayUnavailable},
		{"a list", `[{"active":true}]`, sayUnavailable},
		{"two", active(nil) + active(nil), sayUnavailable},
		{"html", `<html>`, sayUnavailable},
		{"empty", ``, sayUnavailable},
		{"too deep", `{"active":true,"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, sayUnavailable},
		{"too long", active(nil) + strings.Repeat(" ", 64<<10), sayUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, v := newAuthority()
			a.answers["opaque"] = tt.answer
			id, err := v.Verify(t.Context(), bearer("opaque"))
			if got := meaning(err); got != tt.want {
				t.Fatalf("got %q (%v), want %q", got, err, tt.want)
			}
			if err == nil && (id.Subject != "alice" || id.Issuer != jwtIssuer) {
				t.Errorf("got %+v", id)
			}
			if err != nil && (strings.Contains(err.Error(), "opaque") || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("the error has a secret in it: %v", err)
			}
		})
	}
}

// Whatever is not a plain answer cannot be told, and nothing is followed.
func TestIntrospectionStatus(t *testing.T) {
	for _, status := range []int{201, 204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 503} {
		a, v := newAuthority()
		a.status = status
		refuses(t, v, "opaque", sayUnavailable)
		if n := a.questions(); n != 1 {
			t.Errorf("status %d: got %d questions, want 1", status, n)
		}
	}
	a, v := newAuthority()
	synctest.Test(t, func(t *testing.T) {
		a.slow = time.Hour
		before := time.Now()
		refuses(t, v, "opaque", sayUnavailable)
		if waited := time.Since(before); waited != 2*time.Second {
			t.Errorf("waited %v, want 2s", waited)
		}
	})
}

// What another verifier judges, or what is no token, is sent nowhere.
func TestIntrospectionKeepsOthersSecrets(t *testing.T) {
	a, v := newAuthority()
	foreign := compact(`{"alg":"HS256"}`, claims(map[string]any{"iss": "https://other.example"}), signHS256(jwtSecret))
	refuses(t, v, foreign, sayUnrecognized)
	refuses(t, v, compact(`{"alg":"HS256"}`, `{"iss":7}`, signHS256(jwtSecret)), sayUnrecognized)
	for _, kind := range []usher.Kind{usher.KindTicket, usher.KindPassword, ""} {
		if _, err := v.Verify(t.Context(), usher.Credential{Kind: kind, Secret: usher.NewSecret("opaque")}); !errors.Is(err, usher.ErrUnrecognized) {
			t.Errorf("kind %q: got %v, want ErrUnrecognized", kind, err)
		}
	}
	refuses(t, v, "", sayNo)
	refuses(t, v, strings.Repeat("x", usher.MaxToken+1), sayNo)
	keys, err := usher.HS256(usher.NewSecret(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	both := usher.AnyOf(&usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}, v)
	admits(t, both, good(nil))
	refuses(t, both, good(map[string]any{"aud": "other"}), sayNo)
	if n := a.questions(); n != 0 {
		t.Errorf("got %d questions, want none: %q", n, a.asked)
	}
	admits(t, both, "opaque")
	refuses(t, both, "unknown", sayNo)
	// A JWT of its own, and one that does not say whose it is, are asked about.
	own := compact(`{"alg":"HS256"}`, claims(nil), signHS256("another secret"))
	refuses(t, v, own, sayNo)
	refuses(t, v, compact(`{"alg":"HS256"}`, `{}`, unsigned), sayNo)
	if n := a.questions(); n != 4 {
		t.Errorf("got %d questions, want 4", n)
	}
}

func TestIntrospectionRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, v := newAuthority()
		first := admits(t, v, "opaque")
		if got := time.Until(first.Expires); got != time.Minute || !first.Recheck {
			t.Errorf("got %v and recheck %t, want a minute, and to be asked again", got, first.Recheck)
		}
		first.Claims["sub"] = "changed by whoever got it"
		time.Sleep(time.Minute - time.Nanosecond)
		if again := admits(t, v, "opaque"); !again.Expires.Equal(first.Expires) || again.Claims.String("sub") != "alice" {
			t.Errorf("got %+v, want the answer at hand, until %v", again, first.Expires)
		}
		if n := a.questions(); n != 1 {
			t.Errorf("got %d questions, want 1", n)
		}
		time.Sleep(time.Nanosecond)
		admits(t, v, "opaque")
		if n := a.questions(); n != 2 {
			t.Errorf("got %d questions, want 2", n)
		}
		// Never longer than the token lives.
		a.set(func(a *authority) { a.answers["short"] = active(map[string]any{"exp": time.Now().Unix() + 10}) })
		if id := admits(t, v, "short"); id.Recheck || time.Until(id.Expires) > 10*time.Second {
			t.Errorf("got %+v, want the end of the token", id)
		}
		time.Sleep(10 * time.Second)
		refuses(t, v, "short", sayExpired)
		// What is inactive is asked about each time, and what has become so is
		// forgotten at once.
		refuses(t, v, "unknown", sayNo)
		a.set(func(a *authority) { a.answers["unknown"] = active(nil) })
		admits(t, v, "unknown")
		a.set(func(a *authority) { delete(a.answers, "unknown") })
		time.Sleep(20 * time.Second)
		again := bearer("unknown")
		again.Recheck = true
		if _, err := v.Verify(t.Context(), again); meaning(err) != sayNo {
			t.Errorf("recheck: got %v, want a no", err)
		}
		refuses(t, v, "unknown", sayNo)
	})
}

// A thousand connections with one token are one question.
func TestIntrospectionSharesQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, v := newAuthority()
		a.slow = time.Second
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { admits(t, v, "opaque") })
		}
		all.Wait()
		if n := a.questions(); n != 1 {
			t.Errorf("got %d questions, want 1", n)
		}
	})
}

// Who gives up does not take the answer from others, and each waits no longer
// than it wants.
func TestIntrospectionAskerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, v := newAuthority()
		a.slow = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := v.Verify(ctx, bearer("opaque")); meaning(err) != sayUnavailable {
				t.Errorf("the asker: got %v, want ErrUnavailable", err)
			}
		})
		synctest.Wait()
		for range 10 {
			all.Go(func() { admits(t, v, "opaque") })
		}
		all.Go(func() {
			if _, err := v.Verify(ctx, bearer("opaque")); meaning(err) != sayUnavailable {
				t.Errorf("one who waits: got %v, want ErrUnavailable", err)
			}
		})
		all.Wait()
		if n := a.questions(); n != 2 {
			t.Errorf("got %d questions, want 2", n)
		}
	})
}

// A flood of made-up tokens has its turns, and those inside have their own.
func TestIntrospectionTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, v := newAuthority()
		v.MaxConcurrent, a.slow = 4, time.Second
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				_, err := v.Verify(t.Context(), bearer(fmt.Sprint("made-up-", i)))
				if got := meaning(err); got != sayNo && got != sayUnavailable {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		inside := bearer("opaque")
		inside.Recheck = true
		if _, err := v.Verify(t.Context(), inside); err != nil {
			t.Errorf("recheck behind a flood: got %v, want nil", err)
		}
		all.Wait()
		if a.most > 8 {
			t.Errorf("got %d questions at one time, want 4 and 4", a.most)
		}
	})
}

func TestIntrospectionValidate(t *testing.T) {
	for name, change := range map[string]func(*usher.Introspection){
		"no url":        func(i *usher.Introspection) { i.URL = "" },
		"plain":         func(i *usher.Introspection) { i.URL = "http://login.example.com/" },
		"no issuer":     func(i *usher.Introspection) { i.Issuer = "" },
		"no audience":   func(i *usher.Introspection) { i.Audience = "" },
		"both":          func(i *usher.Introspection) { i.InsecureAnyAudience = true },
		"no client":     func(i *usher.Introspection) { i.ClientID = "" },
		"no secret":     func(i *usher.Introspection) { i.ClientSecret = usher.Secret{} },
		"negative age":  func(i *usher.Introspection) { i.MaxAge = -1 },
		"negative time": func(i *usher.Introspection) { i.Timeout = -1 },
		"negative":      func(i *usher.Introspection) { i.MaxConcurrent = -1 },
	} {
		a, v := newAuthority()
		change(v)
		if err := v.Validate(); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
		refuses(t, v, "opaque", sayUnavailable)
		if n := a.questions(); n != 0 {
			t.Errorf("%s: got %d questions, want none", name, n)
		}
	}
	a, v := newAuthority()
	v.Audience, v.InsecureAnyAudience = "", true
	a.answers["opaque"] = active(map[string]any{"aud": nil})
	admits(t, v, "opaque")
}
