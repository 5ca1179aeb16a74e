package apps_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
)

// What the SDKs send is admitted from any origin, and goes no further than the
// Guard.
func TestCarriers(t *testing.T) {
	w := newWorld(t)
	var denied error
	g := &usher.Guard{
		Carriers: apps.Carriers(w), InsecureAnyOrigin: true, Sessions: w.sessions,
		Deny: func(w http.ResponseWriter, _ *http.Request, err error) {
			denied = err
			w.WriteHeader(http.StatusUnauthorized)
		},
	}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	h := apps.Deliberate(g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if id, err := usher.FromContext(r.Context()); err != nil || id.Issuer != "ably:"+full {
			t.Errorf("got %+v, %v", id, err)
		}
		if s := r.URL.String() + r.RequestURI + r.Header.Get("Authorization"); strings.Contains(s, secret) || strings.Contains(s, "ey") {
			t.Errorf("got a credential in %q", s)
		}
	})))
	token := of(full, nil)
	for name, set := range map[string]func(*http.Request){
		"Basic":        func(r *http.Request) { r.SetBasicAuth(full, secret) },
		"Bearer":       func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
		"key":          func(r *http.Request) { r.URL.RawQuery = "v=2&key=" + full + ":" + secret },
		"access_token": func(r *http.Request) { r.URL.RawQuery = "access_token=" + token },
		"accessToken":  func(r *http.Request) { r.URL.RawQuery = "accessToken=" + token },
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/channels/x/messages", nil)
			r.Header.Set("Origin", "https://elsewhere.example")
			set(r)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				t.Errorf("got %d: %v", rec.Code, denied)
			}
		})
	}
	for name, set := range map[string]func(*http.Request){
		"nothing":            func(*http.Request) {},
		"a wrong key":        func(r *http.Request) { r.SetBasicAuth(full, secret+"x") },
		"no key":             func(r *http.Request) { r.SetBasicAuth("alice", "password") },
		"Basic that is none": func(r *http.Request) { r.Header.Set("Authorization", "Basic *") },
		"two": func(r *http.Request) {
			r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			set(r)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != http.StatusUnauthorized || apps.Explain(denied).Code != ably.BadCredential {
				t.Errorf("got %d: %v", rec.Code, denied)
			}
			if rec.Header().Get("WWW-Authenticate") != "" {
				t.Error("got a challenge, after which browsers send a password by themselves")
			}
		})
	}
}

// No token makes the verifier panic, and none is good but what a key has signed.
func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	f.Add(of("none.none", nil))
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.AA")
	f.Add("eyJ4LWFibHktdG9rZW4iOiJlMzAuZTMwLkFBIn0.a.b.c.d")
	f.Add(full + ":")
	f.Fuzz(func(t *testing.T, token string) {
		for _, carrier := range []string{"query", "bearer"} {
			id, err := w.verify(t, carrier, token)
			if err == nil {
				t.Errorf("got %+v for %q", id, token)
			} else if apps.Explain(err).Code == 0 {
				t.Errorf("got %v without a code", err)
			}
		}
	})
}
