package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// asked starts a server of the user's own and returns an Ask of it.
func asked(t testing.TB, h http.HandlerFunc) *gateway.Ask {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	a := &gateway.Ask{URL: s.URL + "/whoami?key=config", Cookie: "__Host-session"}
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.CloseIdle)
	return a
}

func token(text string) usher.Credential {
	return usher.Credential{Carrier: "bearer", Kind: usher.KindToken, Secret: usher.NewSecret(text), Route: "/chat"}
}

// The question has the credential and nothing else of the client's.
func TestAskQuestion(t *testing.T) {
	var got http.Header
	var uri string
	a := asked(t, func(w http.ResponseWriter, r *http.Request) {
		got, uri = r.Header, r.Method+" "+r.RequestURI
		fmt.Fprint(w, `{"sub":"alice"}`)
	})
	a.Send = http.Header{"X-Caller": {"usher"}}
	cookie, password := token(`{"c00kie": 1, x}==`), usher.Credential{Carrier: "basic", Kind: usher.KindPassword, Username: "al", Secret: usher.NewSecret("p:w")}
	cookie.Carrier = "cookie"
	for _, tt := range []struct {
		name       string
		credential usher.Credential
		want       http.Header
	}{
		{"token", token("t0ken"), http.Header{"Authorization": {"Bearer t0ken"}, "X-Usher-Route": {"/chat"}}},
		{"cookie", cookie, http.Header{"Cookie": {`__Host-session={"c00kie": 1, x}==`}, "X-Usher-Route": {"/chat"}}},
		{"password", password, http.Header{"Authorization": {"Basic YWw6cDp3"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := a.Verify(t.Context(), tt.credential)
			if err != nil || id.Subject != "alice" {
				t.Fatalf("got %v, %v, want alice", id, err)
			}
			for name, value := range map[string]string{"Accept": "application/json", "User-Agent": "usher", "X-Caller": "usher"} {
				tt.want.Set(name, value)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if uri != "GET /whoami?key=config" {
				t.Errorf("got %s", uri)
			}
		})
	}
}

// What could be more than one credential, or not one of its kinds, is a no
// without a question.
func TestAskCredentials(t *testing.T) {
	a := asked(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked: %v", r.Header) })
	cookie := func(text string) usher.Credential {
		c := token(text)
		c.Carrier = "cookie"
		return c
	}
	for _, tt := range []struct {
		name       string
		credential usher.Credential
		want       error // Nil: any no.
	}{
		{"ticket", usher.Credential{Kind: usher.KindTicket, Secret: usher.NewSecret("t")}, usher.ErrUnrecognized},
		{"empty", token(""), nil},
		{"new line", token("a\r\nX-Admin: 1"), nil},
		{"NUL", token("a\x00"), nil},
		{"space", token("a b"), nil},
		{"comma", token("a,Basic b"), nil},
		{"not ASCII", token("ä"), nil},
		{"a second cookie", cookie("a; role=admin"), nil},
		{"user with a colon", usher.Credential{Kind: usher.KindPassword, Username: "a:b", Secret: usher.NewSecret("c")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := a.Verify(t.Context(), tt.credential)
			if err == nil || errors.Is(err, usher.ErrUnavailable) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want a no", err)
			}
			if secret := tt.credential.Secret.Reveal(); len(secret) > 3 && err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error has the credential: %v", err)
			}
		})
	}
	a.Cookie = ""
	if _, err := a.Verify(t.Context(), cookie("c")); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("got %v for a cookie without a name, want ErrUnavailable", err)
	}
}

func TestAskVerdicts(t *testing.T) {
	no := errors.New("any no")
	tests := []struct {
		name   string
		status int
		body   string
		want   error // Nil: yes.
	}{
		{"yes", 200, `{"sub":"alice"}`, nil},
		{"created", 201, `{"sub":"alice"}`, nil},
		{"a number", 200, `{"sub":42}`, nil},
		{"401", 401, `{"sub":"alice"}`, no},
		{"403", 403, `{"sub":"alice"}`, usher.ErrForbidden},
		{"404", 404, ``, no},
		{"410", 410, ``, no},
		{"429", 429, ``, usher.ErrUnavailable},
		{"500", 500, `{"sub":"alice"}`, usher.ErrUnavailable},
		{"503", 503, ``, usher.ErrUnavailable},
		{"redirect", 302, `{"sub":"alice"}`, usher.ErrUnavailable},
		{"304", 304, ``, usher.ErrUnavailable},
		{"no body", 200, ``, usher.ErrUnavailable},
		{"204", 204, ``, usher.ErrUnavailable},
		{"a page", 200, `<html>Please log in</html>`, usher.ErrUnavailable},
		{"null", 200, `null`, usher.ErrUnavailable},
		{"a list", 200, `[{"sub":"alice"}]`, usher.ErrUnavailable},
		{"more than an object", 200, `{"sub":"alice"}{"sub":"bob"}`, usher.ErrUnavailable},
		{"cut off", 200, `{"sub":"alice"`, usher.ErrUnavailable},
		{"nobody", 200, `{"name":"alice"}`, usher.ErrUnavailable},
		{"empty subject", 200, `{"sub":""}`, usher.ErrUnavailable},
		{"subject of another kind", 200, `{"sub":{"id":1}}`, usher.ErrUnavailable},
		{"over", 200, `{"sub":"alice","exp":1000}`, usher.ErrExpired},
		{"end that is no time", 200, `{"sub":"alice","exp":"soon"}`, usher.ErrUnavailable},
		{"end beyond all time", 200, `{"sub":"alice","exp":1e300}`, usher.ErrUnavailable},
		{"64 KiB", 200, `{"sub":"alice","x":"` + strings.Repeat("x", 64<<10-22) + `"}`, nil},
		{"more than 64 KiB", 200, `{"sub":"alice","x":"` + strings.Repeat("x", 64<<10-21) + `"}`, usher.ErrUnavailable},
	}
	var followed atomic.Int64
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := asked(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/whoami" {
					followed.Add(1)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			id, err := a.Verify(t.Context(), token("canary-5e7f"))
			switch {
			case tt.want == nil:
				if err != nil || id.Subject != "alice" && id.Subject != "42" {
					t.Errorf("got %v, %v, want a yes", id, err)
				}
			case errors.Is(tt.want, no):
				if err == nil || errors.Is(err, usher.ErrUnavailable) || errors.Is(err, usher.ErrForbidden) || errors.Is(err, usher.ErrUnrecognized) {
					t.Errorf("got %v, want a plain no", err)
				}
			case !errors.Is(err, tt.want):
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "key=config")) {
				t.Errorf("the error has the credential or the URL: %v", err)
			}
		})
	}
	if n := followed.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestAskIdentity(t *testing.T) {
	a := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Team", "red")
		io.WriteString(w, `{"id":"u1","iss":"https://app.example","sid":"s9","jti":"j","iat":1700000000,"roles":["a"],"big":9007199254740993}`)
	})
	a.Subject, a.Headers = "id", map[string]string{"X-Team": "team", "X-Missing": "missing"}
	id, err := a.Verify(t.Context(), token("t"))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(id.Subject, id.Issuer, id.Session, id.Token, id.Issued.Unix(), id.Claims["team"], id.Claims["missing"], id.Claims["roles"], id.Claims["big"])
	if want := fmt.Sprint("u1", "https://app.example", "s9", "j", 1700000000, "red", nil, []any{"a"}, "9007199254740993"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	a = asked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-User", "alice")
		w.WriteHeader(http.StatusNoContent)
	})
	a.Subject, a.Headers = "user", map[string]string{"X-User": "user"}
	if id, err = a.Verify(t.Context(), token("t")); err != nil || id.Subject != "alice" || "http://"+strings.Split(a.URL, "/")[2] != id.Issuer {
		t.Errorf("got %+v, %v, want alice, of the server that said so", id, err)
	}
}

func TestAskFreshness(t *testing.T) {
	date := time.Now().UTC()
	in := func(d time.Duration) string { return date.Add(d).Format(http.TimeFormat) }
	exp := func(d time.Duration) string { return fmt.Sprintf(`{"sub":"a","exp":%d}`, time.Now().Add(d).Unix()) }
	const body = `{"sub":"a"}`
	tests := []struct {
		name, body string
		header     map[string]string
		want       time.Duration
		ends       bool // Rather than to be asked again.
	}{
		{"says nothing", body, nil, 24 * time.Hour, false},
		{"max-age", body, map[string]string{"Cache-Control": "private, max-age=90"}, 90 * time.Second, false},
		{"max-age, capitals and quotes", body, map[string]string{"Cache-Control": `Max-Age="90"`}, 90 * time.Second, false},
		{"max-age and age", body, map[string]string{"Cache-Control": "max-age=90", "Age": "30"}, time.Minute, false},
		{"max-age of a year", body, map[string]string{"Cache-Control": "max-age=31536000"}, 24 * time.Hour, false},
		{"max-age 0", body, map[string]string{"Cache-Control": "max-age=0"}, time.Minute, false},
		{"max-age malformed", body, map[string]string{"Cache-Control": "max-age=-1"}, time.Minute, false},
		{"max-age twice", body, map[string]string{"Cache-Control": "max-age=5, max-age=500000"}, time.Minute, false},
		{"no-store", body, map[string]string{"Cache-Control": "max-age=90, no-store"}, time.Minute, false},
		{"expires", body, map[string]string{"Expires": in(5 * time.Minute), "Date": in(0)}, 5 * time.Minute, false},
		{"expires, by another clock", body, map[string]string{"Expires": in(time.Hour + time.Minute*5), "Date": in(time.Hour)}, 5 * time.Minute, false},
		{"expires 0", body, map[string]string{"Expires": "0"}, time.Minute, false},
		{"expires long ago", body, map[string]string{"Expires": in(-time.Hour), "Date": in(0)}, time.Minute, false},
		{"max-age over expires", body, map[string]string{"Cache-Control": "max-age=90", "Expires": in(5 * time.Hour)}, 90 * time.Second, false},
		{"exp before", exp(30 * time.Second), map[string]string{"Cache-Control": "max-age=90"}, 30 * time.Second, true},
		{"exp after", exp(time.Hour), map[string]string{"Cache-Control": "max-age=90"}, 90 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := asked(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range tt.header {
					w.Header().Set(name, value)
				}
				io.WriteString(w, tt.body)
			})
			id, err := a.Verify(t.Context(), token("t"))
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Until(id.Expires); got > tt.want || got < tt.want-3*time.Second {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if id.Recheck == tt.ends {
				t.Errorf("got recheck %t, want %t", id.Recheck, !tt.ends)
			}
		})
	}
}

// A counter counts the requests that are on their way.
type counter struct {
	http.RoundTripper
	mu        sync.Mutex
	now, most int
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.add(1)
	defer c.add(-1)
	return c.RoundTripper.RoundTrip(r)
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

// Questions are bounded in time and number; who waits for a turn obeys its
// context.
func TestAskBounded(t *testing.T) {
	release := make(chan struct{})
	a := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		io.WriteString(w, `{"sub":"alice"}`)
	})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	count := &counter{RoundTripper: transport}
	a.MaxConcurrent, a.Timeout, a.Client = 2, 300*time.Millisecond, &http.Client{Transport: count}
	begun, errs := time.Now(), make(chan error, 8)
	for range cap(errs) {
		go func() {
			_, err := a.Verify(context.Background(), token("t"))
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("took %v, want the timeout of 0.3 s", took)
	}
	close(release)
	a.Timeout = patience
	if count.most != 2 {
		t.Errorf("got %d questions at one time, want 2", count.most)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Verify(ctx, token("t")); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("got %v for a context that is over, want ErrUnavailable", err)
	}
	if _, err := a.Verify(t.Context(), token("t")); err != nil {
		t.Errorf("got %v after all that, want a yes", err)
	}
	a = asked(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := a.Verify(t.Context(), token("t")); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("got %v from a server that hangs up, want ErrUnavailable", err)
	}
}

func TestAskValidate(t *testing.T) {
	for _, text := range []string{"", "whoami", "ftp://h/", "http:///x", "https://u:p@h/", "http://h/#f", "http://h:x/"} {
		if err := (&gateway.Ask{URL: text}).Validate(); err == nil {
			t.Errorf("%q: got no error", text)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error has the password: %v", text, err)
		}
	}
}

// A connection outlives the answer's deadline while the user's server says yes,
// and ends with 4401 by the deadline after it says no.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	const good = 6 * time.Second // It is asked again when a fifth of that is left, which a busy machine needs.
	var questions, refusals atomic.Int64
	var revoked atomic.Bool
	a := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		questions.Add(1)
		if revoked.Load() {
			refusals.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", int(good.Seconds())))
		io.WriteString(w, `{"sub":"alice"}`)
	})
	_, p, s := tunneled(t, func(_ *gateway.Route, g *usher.Guard) {
		g.Carriers = []usher.Carrier{usher.Bearer(a)}
	})
	begun := time.Now()
	for (questions.Load() < 2 || time.Since(begun) <= good) && time.Since(begun) < patience/2 {
		time.Sleep(10 * time.Millisecond)
	}
	revoked.Store(true)
	since := time.Now()
	if reason := p.closed(usher.CloseUnauthenticated); !strings.HasPrefix(reason, "unauthenticated ") {
		t.Errorf("got reason %q, want unauthenticated", reason)
	}
	if took := time.Since(since); took > patience/2 {
		t.Errorf("ended %v after the revocation, want the deadline of %v", took, good)
	}
	s.hears(0x8, goingAway)
	s.Close()
	if n, no := questions.Load(), refusals.Load(); n < 3 || no != 1 {
		t.Errorf("got %d questions, of which %d were answered with a no, want 3 at least and 1", n, no)
	}
}

// A flood at the door takes all turns, and who is inside is asked about again
// all the same.
func TestAskRecheckTurns(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	a := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer door" {
			close(arrived)
			<-release
		}
		fmt.Fprint(w, `{"sub":"alice"}`)
	})
	a.MaxConcurrent = 1
	flood := make(chan error)
	go func() {
		_, err := a.Verify(context.Background(), token("door"))
		flood <- err
	}()
	<-arrived
	inside := token("inside")
	inside.Recheck = true
	if _, err := a.Verify(t.Context(), inside); err != nil {
		t.Errorf("second question while the door's turn is taken: got %v, want nil", err)
	}
	close(release)
	if err := <-flood; err != nil {
		t.Error(err)
	}
}
