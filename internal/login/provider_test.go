package login_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

// patience bounds every wait for something that should come at once.
const patience = 20 * time.Second

// A world is a site behind a login at a real provider, with a browser.
type world struct {
	t        *testing.T
	site     string
	provider string
	login    *login.Login
	store    *store
	live     *usher.Sessions
	logs     *logbook
	client   *http.Client
}

// newWorld starts them. Settings are those of the provider: see provider.mjs.
func newWorld(t *testing.T, settings map[string]any, change func(*login.Options)) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	t.Parallel()
	w := &world{t: t, store: newStore(), live: &usher.Sessions{}, logs: &logbook{}}
	var site atomic.Pointer[http.ServeMux]
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { site.Load().ServeHTTP(rw, r) }))
	t.Cleanup(s.Close)
	// Another site than the provider's, to a browser.
	w.site = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	settings = over(map[string]any{"site": w.site}, settings)
	w.provider = "http://127.0.0.1:" + startProvider(t, settings)
	o := login.Options{
		Issuer: w.provider, ClientID: clientID, ClientSecret: usher.NewSecret(clientSecret), URL: w.site,
		Scopes: []string{"profile", "email"}, Sessions: w.store, Live: w.live, Secret: secretOfAll,
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if w.login, err = login.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.login.Close() })
	guard := &usher.Guard{
		Carriers: []usher.Carrier{usher.Cookie(w.login.Cookie(), w.login)}, Sessions: w.live, Log: slog.New(slog.DiscardHandler),
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", w.login)
	mux.Handle("/ws", guard.Handler(http.HandlerFunc(echo)))
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "page "+r.URL.Path) })
	site.Store(mux)
	w.forget()
	return w
}

func startProvider(t *testing.T, settings map[string]any) (port string) {
	t.Helper()
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "provider.mjs", string(text))
	cmd.Dir = "../../test/provider"
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &logbook{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
		kill.Stop()
	})
	port, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not say its port: %v\n%s", err, said)
	}
	return strings.TrimSpace(port)
}

// echo sends back what comes, until the connection ends.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// forget gives the browser no cookies.
func (w *world) forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	w.client = &http.Client{Jar: jar, Transport: transport, Timeout: patience}
}

var (
	action = regexp.MustCompile(`<form[^>]*action="([^"]+)"`)
	hidden = regexp.MustCompile(`<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"`)
)

// visit goes to a page and fills in the forms of the provider, as a person under
// this name would, until it is somewhere else. It returns where and what is there.
func (w *world) visit(page, name string) (at, text string) {
	w.t.Helper()
	res, err := w.client.Get(page)
	for range 10 {
		if err != nil {
			w.t.Fatalf("visit: %v\n%s", err, w.logs)
		}
		text = w.read(res)
		goesOn, form := onward.FindStringSubmatch(text), action.FindStringSubmatch(text)
		switch {
		case goesOn != nil:
			res, err = w.client.Get(w.from(res, goesOn[1]))
		case form != nil:
			values := url.Values{"login": {name}, "password": {"any"}, "logout": {"yes"}}
			for _, m := range hidden.FindAllStringSubmatch(text, -1) {
				values.Set(m[1], m[2])
			}
			res, err = w.client.PostForm(w.from(res, form[1]), values)
		default:
			return res.Request.URL.String(), text
		}
	}
	w.t.Fatal("visit: there is no end to the forms")
	return "", ""
}

func (w *world) read(res *http.Response) string {
	w.t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

// from is where a link on a page leads.
func (w *world) from(res *http.Response, link string) string {
	w.t.Helper()
	u, err := res.Request.URL.Parse(html.UnescapeString(link))
	if err != nil {
		w.t.Fatal(err)
	}
	return u.String()
}

// logIn logs somebody in.
func (w *world) logIn(name string) {
	w.t.Helper()
	at, text := w.visit(w.site+"/auth/login?return=/chat%3Froom=7", name)
	if at != w.site+"/chat?room=7" || text != "page /chat" {
		w.t.Fatalf("got to %s: %s\n%s", at, text, w.logs)
	}
}

// post sends a form of a page of the site, and does not go where that leads.
func (w *world) post(path string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.site+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Origin", w.site)
	stays := *w.client
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := stays.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	return res
}

// dial opens a WebSocket by the browser's cookie.
func (w *world) dial() (*websocket.Conn, error) {
	c, _, err := websocket.Dial(w.t.Context(), w.site+"/ws", &websocket.DialOptions{
		HTTPClient: w.client, HTTPHeader: http.Header{"Origin": {w.site}},
	})
	if err == nil {
		w.t.Cleanup(func() { c.CloseNow() })
	}
	return c, err
}

func (w *world) mustDial() *websocket.Conn {
	w.t.Helper()
	c, err := w.dial()
	if err != nil {
		w.t.Fatalf("dial: %v\n%s", err, w.logs)
	}
	w.ping(c)
	return c
}

// ping fails the test unless a message comes back.
func (w *world) ping(c *websocket.Conn) {
	w.t.Helper()
	if err := c.Write(w.t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		w.t.Fatalf("write: %v", err)
	}
	if _, text, err := c.Read(w.t.Context()); err != nil || string(text) != "hello" {
		w.t.Fatalf("got %q, %v, want hello", text, err)
	}
}

// closed waits for the end of a connection, which must say this.
func (w *world) closed(c *websocket.Conn, code int, words string) time.Time {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	_, _, err := c.Read(ctx)
	why, ok := errors.AsType[websocket.CloseError](err)
	if !ok || int(why.Code) != code || !strings.HasPrefix(why.Reason, words) {
		w.t.Fatalf("got %v, want %d %s\n%s", err, code, words, w.logs)
	}
	return time.Now()
}

// mustBeOut fails the test if the browser gets in.
func (w *world) mustBeOut() {
	w.t.Helper()
	c, err := w.dial()
	if err != nil {
		return
	}
	w.closed(c, 4401, "")
}
