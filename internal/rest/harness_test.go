package rest_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef"

// A world is a server in front of a hub with one app, as the program puts it
// together.
type world struct {
	t        testing.TB
	hub      *hub.Hub
	registry *apps.Registry
	handler  http.Handler
}

// keys of the app, by their ids.
var capabilities = map[string]string{
	"full": `{"*":["*"]}`, "some": `{"can:*":["publish"],"see":["subscribe","presence"],"read":["history"]}`, "group": `{"*":["*"]}`,
}

// setApp makes the app.
func (w *world) setApp() {
	w.t.Helper()
	app := &apps.App{ID: "app"}
	for id, capability := range capabilities {
		p, err := usher.NewPermissions("", capability)
		if err != nil {
			w.t.Fatal(err)
		}
		app.Keys = append(app.Keys, &apps.Key{ID: id, Secret: usher.NewSecret(secret), Permissions: p, Revocable: id == "group"})
	}
	if err := w.registry.Set(app); err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t testing.TB, change func(*rest.Options)) *world {
	t.Helper()
	w := &world{t: t, hub: hub.New(new(hub.MemoryLog), hub.Options{})}
	w.registry = apps.NewRegistry(w.hub)
	w.setApp()
	sessions := new(usher.Sessions)
	authority := apps.NewAuthority(w.registry, new(usher.MemorySpender), sessions)
	o := rest.Options{Registry: w.registry, Authority: authority, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	s := rest.New(o)
	g := &usher.Guard{
		Carriers: apps.Carriers(authority), InsecureAnyOrigin: true, Sessions: sessions, Log: slog.New(slog.DiscardHandler),
		Deny: func(w http.ResponseWriter, r *http.Request, err error) { s.Refuse(w, r, apps.Explain(err)) },
	}
	inner := apps.Deliberate(g.Handler(s))
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !s.Open(rw, r) {
			inner.ServeHTTP(rw, r)
		}
	})
	t.Cleanup(func() {
		s.Close()
		w.hub.Close()
	})
	return w
}

// A reply is an answer, its body as JSON whatever its format was.
type reply struct {
	status int
	header http.Header
	body   string
}

// An ask is a request.
type ask struct {
	key, method, path, body string
	pack                    bool // In msgpack.
	header                  map[string]string
}

// ask sends a request in JSON, or in msgpack.
func (w *world) ask(a ask) reply {
	w.t.Helper()
	format, body := ably.JSON, a.body
	if a.pack {
		format = ably.Msgpack
		if body != "" {
			raw := ably.Raw(body)
			body = string(ably.Append(nil, format, &raw))
		}
	}
	r := httptest.NewRequest(a.method, a.path, strings.NewReader(body))
	r.Header.Set("Accept", format.ContentType())
	if body != "" {
		r.Header.Set("Content-Type", format.ContentType())
	}
	if a.key != "" {
		r.SetBasicAuth("app."+a.key, secret)
	}
	for name, v := range a.header {
		r.Header.Set(name, v)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	got := reply{rec.Code, rec.Header(), rec.Body.String()}
	if got.body == "" {
		return got
	}
	if ct := got.header.Get("Content-Type"); ct != format.ContentType() {
		w.t.Errorf("%s %s: got Content-Type %q, want %q", a.method, a.path, ct, format.ContentType())
	}
	var raw ably.Raw
	if err := ably.Decode(format, rec.Body.Bytes(), &raw); err != nil {
		w.t.Fatalf("%s %s: %v in %q", a.method, a.path, err, got.body)
	}
	got.body = string(raw)
	return got
}

// want holds an answer against a status and a pattern of its body.
func (w *world) want(a ask, status int, body string) reply {
	w.t.Helper()
	got := w.ask(a)
	if got.status != status || !regexp.MustCompile("^"+body+"$").MatchString(got.body) {
		w.t.Errorf("%s %s: got %d %s, want %d %s", a.method, a.path, got.status, got.body, status, body)
	}
	return got
}

// refused holds an answer against a code, which shows in three places.
func (w *world) refused(a ask, code ably.Code) reply {
	w.t.Helper()
	got := w.ask(a)
	f := new(ably.Failure)
	if err := ably.Decode(ably.JSON, []byte(got.body), f); err != nil {
		w.t.Fatalf("%s %s: %v in %q", a.method, a.path, err, got.body)
	}
	if f.Code != code || f.ErrorInfo.Status != got.status || got.header.Get("X-Ably-Errorcode") == "" || got.header.Get("X-Ably-Errormessage") == "" {
		w.t.Errorf("%s %s: got %d %s %v, want %d", a.method, a.path, got.status, got.body, got.header, code)
	}
	return got
}

// link follows one of the links of an answer, as the SDKs do: of the last segment
// of the path they take nothing but the query.
func (r reply) link(rel string) url.Values {
	for _, line := range r.header["Link"] {
		m := regexp.MustCompile(`^<\./\w+\?([^,>]+)>; rel="(\w+)"$`).FindStringSubmatch(line)
		if len(m) == 3 && m[2] == rel {
			q, err := url.ParseQuery(m[1])
			if err == nil {
				return q
			}
		}
	}
	return nil
}

func clientID(id string) map[string]string {
	return map[string]string{"X-Ably-ClientId": base64.StdEncoding.EncodeToString([]byte(id))}
}

func printf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// between returns what stands after the first prefix, up to a quote.
func between(s, prefix string) string {
	_, rest, _ := strings.Cut(s, prefix)
	before, _, _ := strings.Cut(rest, `"`)
	return before
}

func basicAuth(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}
