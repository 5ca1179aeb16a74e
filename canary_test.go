package usher_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// A wiretap is everything that the process under test writes or forwards.
type wiretap struct {
	logs    logbook // Of the Guard, of slog, of log and of net/http.
	answers logbook // Every byte that clients got.
	handler logbook // All that the handler, and Deny, could see.
	backend logbook // Every byte that the backend got.
}

func (w *wiretap) all() map[string]string {
	return map[string]string{
		"a log": w.logs.String(), "an answer": w.answers.String(), "the handler": w.handler.String(),
		"the backend": w.backend.String(),
	}
}

// formsOf is how secret may look where it leaks: as it is, in percent, in hex,
// quoted, and in both alphabets of base64 at each of the three alignments.
func formsOf(secret string) []string {
	// The front of a token is the same in all; what must not be seen is the rest.
	secret = secret[max(0, len(secret)-24):]
	percent := ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02x", secret[i])
	}
	forms := []string{secret, percent, strings.ToUpper(percent), url.QueryEscape(secret), hex.EncodeToString([]byte(secret))}
	for shift := range 3 {
		text := secret[shift:]
		text = text[:len(text)/3*3]
		forms = append(forms, base64.RawURLEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)))
	}
	return forms
}

// look is a handler, or a Deny, that writes down all that it is given.
func (w *wiretap) look(r *http.Request) {
	dump, err := httputil.DumpRequest(r, true)
	id, _ := usher.FromContext(r.Context())
	fmt.Fprintf(&w.handler, "%s %v\n%#v %s %v %v %v %v\n%+v %#v\n", dump, err,
		r.URL, r.RequestURI, r.Form, r.PostForm, r.Trailer, r.Header, id, id)
}

// A tappedListener writes down what comes in on its connections.
type tappedListener struct {
	net.Listener
	book *logbook
}

func (l tappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tappedConn{c, l.book}, err
}

type tappedConn struct {
	net.Conn
	book *logbook
}

func (c tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.book.Write(p[:n])
	return n, err
}

// proxyToBackend is a handler that shows all to the wiretap, parses the form,
// and forwards to a backend on the other side of a ReverseProxy.
func (w *wiretap) proxyToBackend(t *testing.T) http.Handler {
	back := newServer(t, &witness{})
	back.Listener = tappedListener{back.Listener, &w.backend}
	back.Start()
	target, err := url.Parse(back.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Transport: transport, ErrorLog: log.New(&w.logs, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			if id, err := usher.FromContext(p.In.Context()); err == nil {
				p.Out.Header.Set("X-User", id.Subject)
			}
		},
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.look(r)
		_ = r.ParseForm()
		w.look(r)
		proxy.ServeHTTP(rw, r)
	})
}

// tapLogs sends the process's own logs to the wiretap until the test ends.
func (w *wiretap) tapLogs(t *testing.T) {
	oldLog, oldFlags, oldWriter := slog.Default(), log.Flags(), log.Writer()
	slog.SetDefault(w.logs.logger())
	t.Cleanup(func() {
		slog.SetDefault(oldLog)
		log.SetFlags(oldFlags)
		log.SetOutput(oldWriter)
	})
}

// A carried secret is a request's target, header lines and first message.
type carried struct {
	name, target string
	lines        []string
	message      string
	foreign      bool // Not ours on a Guard that has no carrier for it.
}

// carry brings a secret by every carrier, in every form.
func carry(secret, ticket, csrf string) []carried {
	percent := ""
	for i := range len(secret) {
		percent += fmt.Sprintf("%%%02X", secret[i])
	}
	b64 := base64.RawURLEncoding.EncodeToString([]byte(secret))
	offer := func(entry string) []string { return []string{"Sec-WebSocket-Protocol: chat, " + entry} }
	cookie := "Cookie: a=1; sid=" + secret + "; b=2"
	return []carried{
		{name: "query", target: "/chat?x=1&access_token=" + secret + "&y=2"},
		{name: "query in percent", target: "/chat?%61ccess_token=" + percent},
		{name: "ticket", target: "/chat?ticket=" + ticket},
		{name: "ticket that is a token", target: "/chat?ticket=" + secret},
		{name: "ticket subprotocol", target: "/chat", lines: offer("usher.ticket." + ticket)},
		{name: "subprotocol", target: "/chat", lines: offer("usher.bearer." + b64)},
		{name: "subprotocol alone", target: "/chat", lines: []string{"Sec-WebSocket-Protocol: usher.bearer." + b64}},
		{name: "subprotocol in the clear", target: "/chat", lines: offer("usher.bearer." + secret)},
		{name: "broken subprotocol list", target: "/chat", lines: offer("usher.bearer." + b64 + ", a/b")},
		{name: "Kubernetes", target: "/chat", lines: offer("base64url.bearer.authorization.k8s.io." + b64), foreign: true},
		{name: "Phoenix", target: "/chat", lines: offer("base64url.bearer.phx." + b64), foreign: true},
		{name: "bearer", target: "/chat", lines: []string{"Authorization: Bearer " + secret}},
		{name: "two bearers", target: "/chat", lines: []string{"Authorization: Bearer " + secret, "Authorization: Bearer x" + secret}},
		{name: "basic", target: "/chat", lines: []string{basicLine("alice", secret)}},
		{name: "no scheme", target: "/chat", lines: []string{"Authorization: " + secret}},
		{name: "cookie", target: "/chat", lines: []string{cookie}},
		{name: "cookie with csrf", target: "/chat?csrf_token=" + csrf, lines: []string{cookie}, foreign: true},
		{name: "csrf header", target: "/chat", lines: []string{cookie, "X-CSRF-Token: " + csrf}, foreign: true},
		{name: "csrf subprotocol", target: "/chat", lines: append(offer("usher.csrf."+csrf), cookie)},
		{name: "two ways", target: "/chat?access_token=" + secret, lines: []string{"Authorization: Bearer x" + secret}},
		{name: "user in the target", target: "http://u:" + secret + "@self.test/chat"},
		{name: "first message", target: "/chat", message: `{"type":"auth","token":"` + secret + `","ack":true}`},
		{name: "first message with a ticket", target: "/chat", message: `{"type":"auth","ticket":"` + ticket + `"}`},
		{name: "broken first message", target: "/chat", message: `{"type":"auth","token":"` + secret + `",}`},
		{name: "late message", target: "/chat?csrf_token=" + csrf, lines: []string{cookie}, message: `{"type":"auth","token":"` + secret + `"}`, foreign: true},
	}
}

// run sends what a carrier brings, in every kind of request, and reads the
// answer to its end.
func (w *wiretap) run(t *testing.T, addr string, c carried) {
	t.Helper()
	origin := "Origin: " + ownOrigin
	closing := "Connection: close"
	handshake := upgrade("self.test", c.target, append(c.lines, origin)...)
	for _, text := range []string{
		handshake,
		upgrade("self.test", c.target, c.lines...),
		upgrade("self.test", c.target, append(c.lines, "Origin: https://evil.example")...),
		upgrade("evil.example", c.target, append(c.lines, origin)...),
		strings.Replace(handshake, "Version: 13", "Version: 12", 1),
		strings.Replace(handshake, "GET ", "CONNECT ", 1),
		request("GET", "self.test", c.target, append(c.lines, closing)...),
		request("POST", "self.test", c.target, append(c.lines, origin, closing, "Content-Length: 0")...),
	} {
		if strings.HasPrefix(text, "CONNECT http") {
			continue // What follows the method is a path to net/http: no carrier.
		}
		p := dial(t, addr, "")
		p.rd = bufio.NewReader(io.TeeReader(p.Conn, &w.answers))
		p.say(text)
		res, _ := p.answer()
		if res.StatusCode != http.StatusSwitchingProtocols {
			p.Close()
			continue
		}
		for _, message := range []string{c.message, "hello"} {
			if message != "" { // In the clear, so that it is found in a tunnel too.
				_ = ws.WriteFrame(p, ws.MaskFrameWith(ws.NewTextFrame([]byte(message)), [4]byte{}))
			}
		}
		_ = ws.WriteFrame(p, ws.MaskFrameWith(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")), [4]byte{}))
		_, _ = io.Copy(io.Discard, p.rd)
		p.Close()
	}
}

// TestCanary: no credential, good or bad, by whatever carrier, is in anything
// that the process writes or that anything behind the Guard gets to see.
func TestCanary(t *testing.T) {
	w := &wiretap{}
	w.tapLogs(t)
	next := w.proxyToBackend(t)
	tickets, csrf := &usher.Tickets{}, &usher.CSRF{}
	v := usher.AnyOf(hs256(t), words{"cAnArY-opaque-and-good-0001": "alice"})
	token := []usher.Carrier{
		usher.Ticket("", tickets), usher.Subprotocol(v), usher.Query("", v), usher.Bearer(v),
		usher.CookieCSRF("sid", csrf, v),
	}
	deny := func(rw http.ResponseWriter, r *http.Request, err error) {
		w.look(r)
		fmt.Fprintf(&w.logs, "%v %+v %#v\n", err, err, err)
		http.Error(rw, err.Error(), http.StatusTeapot)
	}
	observe := func(_ context.Context, e usher.Event) { fmt.Fprintf(&w.logs, "%+v %#v %+v\n", e, e, e.Refusal) }
	many := usher.Limits{PendingPerAddress: 1000}
	servers := map[string]*server{}
	for name, g := range map[string]*usher.Guard{
		"all":   {Carriers: append(token[:5:5], usher.FirstMessage(v)), Subprotocols: []string{chat}},
		"basic": {Carriers: append(token[:5:5], usher.Basic(v)), Deny: deny},
		"few":   {Carriers: []usher.Carrier{usher.Cookie("sid", v)}},
	} {
		g.Observe, g.Limits = observe, many
		if name != "all" { // That one logs where slog does by default.
			g.Log = w.logs.logger()
		}
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		s := newServer(t, g.Handler(next))
		s.Config.ErrorLog = log.New(&w.logs, "", 0)
		s.Start()
		s.addr = s.Listener.Addr().String()
		servers[name] = s
	}
	proof := csrf.Token(&usher.Identity{Subject: "alice", Issuer: jwtIssuer})
	forged := good(nil)
	forged = forged[:len(forged)-24] + strings.Repeat("cAnArY", 4)
	secrets := map[string]string{
		"good": good(nil), "forged": forged, "opaque": "cAnArY-opaque-and-good-0001", "unknown": "cAnArY-opaque-and-wrong-001",
		"expired": good(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		"long":    strings.Repeat("cAnArY-long-", usher.MaxToken/12+1),
	}
	var forms []string
	for _, secret := range secrets {
		for name, s := range servers {
			ticket := makeTicket(t, tickets, "alice", ownOrigin)
			forms = append(forms, formsOf(ticket)...)
			for _, c := range carry(secret, ticket, proof) {
				// Without such a carrier a first message is the application's.
				if name == "all" || (c.message == "" && (name != "few" || !c.foreign)) {
					w.run(t, s.addr, c)
				}
			}
		}
		forms = append(forms, formsOf(secret)...)
	}
	forms = append(forms, formsOf(proof)...)
	for _, s := range servers {
		s.Close()
	}
	for where, text := range w.all() {
		for _, form := range forms {
			if i := strings.Index(text, form); i >= 0 {
				t.Fatalf("%s holds a credential, as %q: %q", where, form, text[max(0, i-300):min(len(text), i+100)])
			}
		}
	}
	w.isAlive(t)
}

// isAlive fails the test if the wiretap has not recorded what it should.
func (w *wiretap) isAlive(t *testing.T) {
	t.Helper()
	for _, want := range []struct{ name, text, part string }{
		{"log", w.logs.String(), "explain_id="},
		{"log", w.logs.String(), "subject=alice"},
		{"answers", w.answers.String(), "HTTP/1.1 101"},
		{"answers", w.answers.String(), "HTTP/1.1 401"},
		{"answers", w.answers.String(), `{"type":"auth_ok"`},
		{"answers", w.answers.String(), "forbidden "},
		{"handler", w.handler.String(), "/chat?x=1&y=2"},
		{"backend", w.backend.String(), "X-User: alice"},
		{"backend", w.backend.String(), "hello"},
		{"backend", w.backend.String(), "a=1; b=2"},
	} {
		if !strings.Contains(want.text, want.part) {
			t.Errorf("the %s of %d bytes has no %q", want.name, len(want.text), want.part)
		}
	}
	for _, form := range formsOf("x-cAnArY-opaque-and-good-0001") {
		if !strings.Contains(strings.Join(formsOf("cAnArY-opaque-and-good-0001"), " "), form) {
			t.Errorf("the search for %q depends on what stands in front", form)
		}
	}
}
