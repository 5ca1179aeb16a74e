package smuggling_test

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher/test/smuggling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func backend(t *testing.T) *smuggling.Backend {
	t.Helper()
	b, err := smuggling.NewBackend()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Our gateway lets nothing through, and says why.
func TestGateway(t *testing.T) {
	b := backend(t)
	front := serve(t, smuggling.Gateway(b.Addr(), slog.New(slog.DiscardHandler)))
	want := map[string]smuggling.Outcome{
		"A":  {Status: http.StatusUpgradeRequired},
		"B":  {Status: http.StatusBadGateway, Reached: true},
		"B2": {Status: http.StatusBadGateway, Reached: true},
		"C":  {Status: http.StatusMethodNotAllowed},
		"D":  {Status: http.StatusNotImplemented},
	}
	for _, u := range smuggling.Upgrades {
		t.Run(u.Name, func(t *testing.T) {
			got, err := u.Try(front, b)
			if err != nil {
				t.Fatal(err)
			}
			if got != want[u.Name] {
				t.Errorf("%s: got %+v, want %+v", u.Title, got, want[u.Name])
			}
		})
	}
	t.Run("E", func(t *testing.T) {
		reached, deleted, err := smuggling.TryAliases(front, b)
		if err != nil || len(reached) > 0 || deleted {
			t.Errorf("got %q, deleted %t, %v, want none to reach the backend", reached, deleted, err)
		}
	})
}

// The probes find what is wrong with a plain reverse proxy, so that they can
// find something.
func TestProbesFindFaults(t *testing.T) {
	b := backend(t)
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(&url.URL{Scheme: "http", Host: b.Addr()})
			pr.Out.Header.Set("X-User-Id", smuggling.User)
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/chat", proxy)
	front := serve(t, mux)
	for _, u := range smuggling.Upgrades {
		got, err := u.Try(front, b)
		if err != nil {
			t.Fatal(err)
		}
		if want := u.Name != "A"; got.Smuggled != want || !got.Reached {
			t.Errorf("%s, %s: got %+v, want smuggled %t", u.Name, u.Title, got, want)
		}
	}
	reached, _, err := smuggling.TryAliases(front, b)
	if err != nil || !slices.Contains(reached, "X_user_id") || !slices.Contains(reached, "X.user.id") {
		t.Errorf("got %q, %v, want the aliases", reached, err)
	}
}
