package usher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

const jwksURL = "https://login.example.com/keys.json?secret=hidden"

// A keyHost is a server of keys in memory, so that synctest can run its time.
type keyHost struct {
	mu sync.Mutex
	// Guarded by mu.
	document string
	header   http.Header
	status   int
	err      error
	slow     time.Duration
	asked    []time.Time
}

func (h *keyHost) set(change func(*keyHost)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func (h *keyHost) times() []time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

func (h *keyHost) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.asked = append(h.asked, time.Now())
	slow, err := h.slow, h.err
	resp := &http.Response{
		StatusCode: h.status, Header: h.header.Clone(), Request: r,
		Body: io.NopCloser(strings.NewReader(h.document)),
	}
	h.mu.Unlock()
	if resp.StatusCode == 0 {
		resp.StatusCode = http.StatusOK
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// newKeyHost returns a host of the P-256 key under the name k1, and a key set
// that fetches from it.
func newKeyHost(t testing.TB) (*keyHost, *usher.JWKS) {
	t.Helper()
	h := &keyHost{document: jwksOf(t, "k1", &jwtKeys().p256.PublicKey)}
	keys := &usher.JWKS{URL: jwksURL, Client: &http.Client{Transport: h}, Log: quiet()}
	t.Cleanup(func() { keys.Close() })
	return h, keys
}

func start(t testing.TB, keys *usher.JWKS) {
	t.Helper()
	if err := keys.Start(t.Context()); err != nil {
		t.Fatalf("Start: got %v, want nil", err)
	}
}

// wantKeys checks how many keys there are for a kid, or that it cannot be told.
func wantKeys(t testing.TB, keys usher.KeySet, kid string, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	got, err := keys.Keys(ctx, kid)
	if want < 0 {
		if !errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("Keys of %q: got %d keys and %v, want ErrUnavailable", kid, len(got), err)
			return
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("Keys of %q: the error has the query in it: %v", kid, err)
		}
		return
	}
	if err != nil || len(got) != want {
		t.Errorf("Keys of %q: got %d keys and %v, want %d", kid, len(got), err, want)
	}
}

// cannotTell is what wantKeys takes for ErrUnavailable.
const cannotTell = -1

func wantAsked(t testing.TB, h *keyHost, want int) {
	t.Helper()
	if got := len(h.times()); got != want {
		t.Fatalf("got %d fetches, want %d", got, want)
	}
}

func TestJWKSFetchedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		start(t, keys)
		synctest.Wait()
		wantAsked(t, h, 1)
		h.set(func(h *keyHost) { h.slow = time.Hour })
		before := time.Now()
		wantKeys(t, keys, "k1", 1)
		if waited := time.Since(before); waited != 0 {
			t.Errorf("Keys waited for %v, want no wait", waited)
		}
		wantAsked(t, h, 1)
	})
}

// Whoever needs the first keys shares one fetch.
func TestJWKSSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		h.slow = time.Second
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { wantKeys(t, keys, "k1", 1) })
		}
		all.Wait()
		wantAsked(t, h, 1)
	})
}

// A caller that gives up neither waits longer nor takes the fetch from others.
func TestJWKSCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		h.slow = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := time.Now()
		_, err := keys.Keys(ctx, "k1")
		if !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Keys: got %v, want ErrUnavailable and the context's error", err)
		}
		if waited := time.Since(before); waited != time.Second {
			t.Errorf("Keys waited for %v, want 1s", waited)
		}
		wantKeys(t, keys, "k1", 1)
		wantAsked(t, h, 1)
	})
}

func TestJWKSRefreshes(t *testing.T) {
	tests := []struct {
		name     string
		control  []string
		from, to time.Duration
	}{
		{"unsaid", nil, 13 * time.Minute, 15 * time.Minute},
		{"10 minutes", []string{"public, max-age=600"}, 9 * time.Minute, 10 * time.Minute},
		{"quoted and in upper case", []string{`Max-Age="600"`}, 9 * time.Minute, 10 * time.Minute},
		{"two headers", []string{"public", "max-age=600"}, 9 * time.Minute, 10 * time.Minute},
		{"a second", []string{"max-age=1"}, 54 * time.Second, time.Minute},
		{"none", []string{"no-store"}, 54 * time.Second, time.Minute},
		{"a year", []string{"max-age=31536000"}, 54 * time.Minute, time.Hour},
		{"nonsense", []string{"max-age=-5, max-age, max-age=99999999999999999999"}, 13 * time.Minute, 15 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, keys := newKeyHost(t)
				h.header = http.Header{"Cache-Control": tt.control}
				start(t, keys)
				time.Sleep(3 * tt.to)
				times := h.times()
				if len(times) < 3 {
					t.Fatalf("got %d fetches in %v, want at least 3", len(times), 3*tt.to)
				}
				for i := 1; i < len(times); i++ {
					if gap := times[i].Sub(times[i-1]); gap < tt.from || gap > tt.to {
						t.Errorf("fetched again after %v, want %v to %v", gap, tt.from, tt.to)
					}
				}
				wantKeys(t, keys, "k1", 1)
			})
		})
	}
}

// 10,000 made-up names cause one fetch in each window, and no token with a
// known name ever waits for it.
func TestJWKSFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		start(t, keys)
		synctest.Wait()
		h.set(func(h *keyHost) { h.slow = time.Second })
		time.Sleep(30 * time.Second)
		began := time.Now()
		var all sync.WaitGroup
		for i := range 10_000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 6 * time.Millisecond) // For one minute: two windows.
				wantKeys(t, keys, fmt.Sprint("random-", i), 0)
			})
			if i%100 == 0 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * 6 * time.Millisecond)
					before := time.Now()
					wantKeys(t, keys, "k1", 1)
					if waited := time.Since(before); waited != 0 {
						t.Errorf("a good token waited for %v", waited)
					}
				})
			}
		}
		all.Wait()
		if lasted := time.Since(began); lasted < 59*time.Second || lasted > 62*time.Second {
			t.Fatalf("the flood lasted %v, want a minute", lasted)
		}
		wantAsked(t, h, 1+2)
		times := h.times()
		if gap := times[2].Sub(times[1]); gap < 30*time.Second {
			t.Errorf("fetched again after %v, want 30s at least", gap)
		}
	})
}

// A new key is found when the first token signed with it comes, also in the
// middle of a flood, and a key that was withdrawn is gone.
func TestJWKSRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := jwtKeys()
		h, keys := newKeyHost(t)
		start(t, keys)
		v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}
		old := compact(`{"alg":"ES256","kid":"k1"}`, claims(nil), signECDSA(k.p256))
		fresh := compact(`{"alg":"EdDSA","kid":"k2"}`, claims(nil), signEd25519(k.ed))
		admits(t, v, old)
		time.Sleep(time.Minute)
		wantKeys(t, keys, "made-up", 0) // The window begins.
		h.set(func(h *keyHost) { h.document = jwksOf(t, "k2", k.ed.Public()) })
		refuses(t, v, fresh, sayNo)
		admits(t, v, old)
		time.Sleep(30 * time.Second)
		admits(t, v, fresh)
		refuses(t, v, old, sayNo)
		wantAsked(t, h, 3)
	})
}

func TestJWKSRotationInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		start(t, keys)
		synctest.Wait()
		h.set(func(h *keyHost) { h.document = jwksOf(t, "k2", jwtKeys().ed.Public()) })
		time.Sleep(15 * time.Minute)
		wantKeys(t, keys, "k2", 1)
		wantAsked(t, h, 2)
		wantKeys(t, keys, "k1", 0)
	})
}

// While the URL is down the keys at hand are used for a day, and then it
// cannot be told; it is asked again at a bounded rate, and recovers.
func TestJWKSStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		start(t, keys)
		synctest.Wait()
		fetched := time.Now()
		h.set(func(h *keyHost) { h.err = errors.New("down") })
		time.Sleep(24*time.Hour - time.Nanosecond)
		wantKeys(t, keys, "k1", 1)
		wantKeys(t, keys, "k2", cannotTell)
		time.Sleep(time.Until(fetched.Add(24 * time.Hour)))
		wantKeys(t, keys, "k1", cannotTell)
		times := h.times()
		if n := len(times); n < 24*50 || n > 24*70 {
			t.Errorf("got %d fetches in a day of failures, want about one a minute", n)
		}
		h.set(func(h *keyHost) { h.err = nil })
		time.Sleep(time.Minute)
		wantKeys(t, keys, "k1", 1)
	})
}

func TestJWKSMaxStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		keys.MaxStale = time.Hour
		start(t, keys)
		synctest.Wait()
		h.set(func(h *keyHost) { h.status = http.StatusInternalServerError })
		time.Sleep(59 * time.Minute)
		wantKeys(t, keys, "k1", 1)
		time.Sleep(time.Minute)
		wantKeys(t, keys, "k1", cannotTell)
	})
}

// When the first fetches fail, tokens are ErrUnavailable at once while no
// fetch may be made, and good as soon as one succeeds.
func TestJWKSFirstFetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		h.err = errors.New("down")
		wantKeys(t, keys, "k1", cannotTell)
		for range 1000 {
			wantKeys(t, keys, "k1", cannotTell)
		}
		wantAsked(t, h, 1)
		time.Sleep(time.Second)
		wantKeys(t, keys, "k1", cannotTell)
		wantAsked(t, h, 2)
		h.set(func(h *keyHost) { h.err = nil })
		wantKeys(t, keys, "k1", cannotTell) // Two seconds from the second failure.
		time.Sleep(2 * time.Second)
		wantKeys(t, keys, "k1", 1)
		wantAsked(t, h, 3)
	})
}

// Without Start a due document is fetched when a token comes, which does not
// wait for it.
func TestJWKSLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		wantKeys(t, keys, "k1", 1)
		time.Sleep(16 * time.Minute)
		wantAsked(t, h, 1)
		h.set(func(h *keyHost) { h.slow, h.document = time.Second, jwksOf(t, "k2", jwtKeys().ed.Public()) })
		before := time.Now()
		wantKeys(t, keys, "k1", 1)
		if waited := time.Since(before); waited != 0 {
			t.Errorf("Keys waited for %v, want no wait", waited)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		wantKeys(t, keys, "k1", 0)
		wantKeys(t, keys, "k2", 1)
		wantAsked(t, h, 2)
	})
}

func TestJWKSKeepsKeysAtBrokenDocument(t *testing.T) {
	k := jwtKeys()
	tests := []struct {
		name   string
		change func(*keyHost)
	}{
		{"empty", func(h *keyHost) { h.document = "" }},
		{"html", func(h *keyHost) { h.document = "<html>sorry</html>" }},
		{"cut off", func(h *keyHost) { h.document = h.document[:len(h.document)-2] }},
		{"no keys", func(h *keyHost) { h.document = `{"keys":[]}` }},
		{"without keys", func(h *keyHost) { h.document = `{}` }},
		{"101 keys", func(h *keyHost) { h.document = `{"keys":[` + strings.Repeat("{},", 100) + `{}]}` }},
		{"1 MiB and more", func(h *keyHost) {
			h.document = jwksOf(t, "k2", &k.p256.PublicKey) + strings.Repeat(" ", 1<<20)
		}},
		{"secret only", func(h *keyHost) { h.document = jwksOf(t, "k1", []byte(jwtSecret)) }},
		{"private only", func(h *keyHost) { h.document = jwksOf(t, "k1", k.p256) }},
		{"weak only", func(h *keyHost) { h.document = jwksOf(t, "k1", &k.weak.PublicKey) }},
		{"status 500", func(h *keyHost) { h.status = http.StatusInternalServerError }},
		{"status 204", func(h *keyHost) { h.status = http.StatusNoContent }},
		{"status 302", func(h *keyHost) {
			h.status, h.header = http.StatusFound, http.Header{"Location": {"https://elsewhere.example.com/"}}
		}},
		{"never answers", func(h *keyHost) { h.slow = 1000 * time.Hour }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, keys := newKeyHost(t)
				start(t, keys)
				synctest.Wait()
				h.set(tt.change)
				time.Sleep(16 * time.Minute)
				if len(h.times()) < 2 {
					t.Fatal("the document was not fetched again")
				}
				wantKeys(t, keys, "k1", 1)
				wantKeys(t, keys, "", 1)
			})
		})
	}
}

// A document may hold what must not be used beside what may.
func TestJWKSTakesPublicKeysOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := jwtKeys()
		h, keys := newKeyHost(t)
		h.document = jwksOf(t, "oct", []byte(jwtSecret), "private", k.p256, "weak", &k.weak.PublicKey,
			"p256", &k.p256.PublicKey, "rsa", &k.rsa.PublicKey)
		wantKeys(t, keys, "", 2)
		wantKeys(t, keys, "p256", 1)
		for _, kid := range []string{"oct", "private", "weak"} {
			wantKeys(t, keys, kid, 0)
		}
		v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}
		refuses(t, v, good(nil), sayNo)
		admits(t, v, compact(`{"alg":"RS256"}`, claims(nil), signRS256(k.rsa)))
	})
}

func TestJWKSValidate(t *testing.T) {
	tests := []struct{ url, want string }{
		{"https://login.example.com/keys.json", ""},
		{"https://login.example.com:8443", ""},
		{"http://127.0.0.1:8080/keys", ""},
		{"http://127.8.9.10/keys", ""},
		{"http://[::1]:80/keys", ""},
		{"http://localhost/keys", ""},
		{"", "no url"},
		{"http://login.example.com/keys", "plain http"},
		{"http://127.0.0.1.example.com/keys", "plain http"},
		{"http://localhost.example.com/keys", "plain http"},
		{"http://0.0.0.0/keys", "plain http"},
		{"http://10.0.0.1/keys", "plain http"},
		{"file:///etc/passwd", "malformed"},
		{"file://localhost/etc/passwd", "not https"},
		{"ftp://127.0.0.1/keys", "not https"},
		{"keys.json", "malformed"},
		{"/keys.json", "malformed"},
		{"https:", "malformed"},
		{"https:login.example.com", "malformed"},
		{"https://", "malformed"},
		{"https://%zz", "malformed"},
		{"https://user:hidden@login.example.com/", "password"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			keys := &usher.JWKS{URL: tt.url, Log: quiet()}
			err := keys.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate: got %v, want %q", err, tt.want)
			}
			if tt.want == "" {
				return
			}
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("Validate: the error has the password in it: %v", err)
			}
			if err := keys.Start(t.Context()); err == nil {
				t.Error("Start: got nil, want an error")
			}
			keys.Client = &http.Client{Transport: noNetwork{t}}
			wantKeys(t, keys, "k1", cannotTell)
			keys.Close()
		})
	}
}

// A negative time is a mistake, not another way to write the default.
func TestJWKSNegative(t *testing.T) {
	for name, keys := range map[string]*usher.JWKS{
		"MaxStale": {MaxStale: -time.Second}, "Cooldown": {Cooldown: -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			keys.URL, keys.Log, keys.Client = "https://login.example.com/", quiet(), &http.Client{Transport: noNetwork{t}}
			if err := keys.Start(t.Context()); err == nil {
				t.Error("Start: got nil, want an error")
			}
			wantKeys(t, keys, "k1", cannotTell)
			keys.Close()
		})
	}
}

func TestJWKSLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		h.slow = time.Hour
		start(t, keys)
		if err := keys.Start(t.Context()); err == nil {
			t.Error("Start for the second time: got nil, want an error")
		}
		synctest.Wait()
		before := time.Now()
		keys.Close() // In the middle of a fetch: waits for it, but not for the server.
		keys.Close()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("Close waited for %v, want no wait", waited)
		}
		if err := keys.Start(t.Context()); err == nil {
			t.Error("Start after Close: got nil, want an error")
		}
		wantKeys(t, keys, "k1", cannotTell)
		wantAsked(t, h, 1)
	})
}

// The context of Start ends what it began, as Close does; keys at hand stay.
func TestJWKSContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		ctx, cancel := context.WithCancel(t.Context())
		if err := keys.Start(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		time.Sleep(23 * time.Hour)
		wantKeys(t, keys, "k1", 1)
		time.Sleep(time.Hour)
		wantKeys(t, keys, "k1", cannotTell)
		wantAsked(t, h, 1)
	})
}

// The log says that and why a fetch failed, and not the URL's query.
func TestJWKSLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, keys := newKeyHost(t)
		book := &logbook{}
		keys.Log = book.logger()
		h.err = errors.New("name does not resolve")
		wantKeys(t, keys, "k1", cannotTell)
		synctest.Wait()
		text := book.String()
		for _, want := range []string{"level=WARN", "keys not fetched", "host=login.example.com", "name does not resolve"} {
			if !strings.Contains(text, want) {
				t.Errorf("log: got %q, want it to have %q", text, want)
			}
		}
		if strings.Contains(text, "hidden") {
			t.Errorf("log: got the query in %q", text)
		}
	})
}

// The default client, against a real server: one connection a fetch, no
// redirect followed, not even to itself.
func TestJWKSDefaultClient(t *testing.T) {
	document := jwksOf(t, "k1", &jwtKeys().p256.PublicKey)
	mux := http.NewServeMux()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, document) })
	mux.Handle("/moved", http.RedirectHandler("/keys", http.StatusMovedPermanently))
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]int{"/keys": 1, "/moved": cannotTell, "/absent": cannotTell} {
		keys := &usher.JWKS{URL: server.URL + path, Log: quiet()}
		wantKeys(t, keys, "k1", want)
		keys.Close()
	}

	secure := httptest.NewUnstartedServer(mux)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for path, want := range map[string]int{"/keys": 1, "/moved": cannotTell} {
		keys := &usher.JWKS{URL: secure.URL + path, Client: secure.Client(), Log: quiet()}
		wantKeys(t, keys, "k1", want)
		keys.Close()
	}
	stranger := &usher.JWKS{URL: secure.URL + "/keys", Log: quiet()}
	defer stranger.Close()
	wantKeys(t, stranger, "k1", cannotTell) // Its certificate is nobody's.
}
