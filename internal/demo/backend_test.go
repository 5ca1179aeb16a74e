package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/demo"
)

// The backend is told who it is by the gateway and by nobody else, and not how
// that was shown.
func TestBackendIsTold(t *testing.T) {
	t.Parallel()
	backendIsTold(t, start(t, ""), "Go", "")
}

func TestNodeBackendIsTold(t *testing.T) {
	t.Parallel()
	backendIsTold(t, startWithNode(t), "Node", "/node")
}

func backendIsTold(t *testing.T, s *demo.Server, name, prefix string) {
	t.Helper()
	for i, c := range admissions {
		t.Run(c.name, func(t *testing.T) {
			mark := fmt.Sprintf("told%d", i)
			v := visit(t, s)
			v.prefix = prefix
			v.login("alice")
			attempt, _ := c.make(v)
			if attempt.head == nil {
				attempt.head = http.Header{}
			}
			for _, forged := range []string{"X-User", "x_user", "X-Usher-Identity"} {
				attempt.head[forged] = []string{"mallory"}
			}
			conn, status := v.open(mark, attempt)
			if conn == nil {
				t.Fatalf("handshake: got %d, want 101", status)
			}
			_, all := v.events(func(e seen) bool { return e.Kind == "backend" && e.Try == mark })
			checkTold(t, all[len(all)-1], name, mark, strings.HasPrefix(attempt.path, "/chat/cookie"))
			conn.CloseNow()
			v.events(func(e seen) bool { return e.Kind == "log" && e.Try == mark && e.Line == "ended" })
		})
	}
}

func checkTold(t *testing.T, e seen, name, mark string, cookieJudged bool) {
	t.Helper()
	if e.Backend != name || e.Line != "GET /?try="+mark+" HTTP/1.1" {
		t.Errorf("request: got %q by %s, want nothing but the mark, by %s", e.Line, e.Backend, name)
	}
	got := make(map[string][]string)
	for _, f := range e.Fields {
		key := http.CanonicalHeaderKey(strings.ReplaceAll(f.Name, "_", "-"))
		got[key] = append(got[key], f.Value)
	}
	if !slices.Equal(got["X-User"], []string{"alice"}) || len(got["X-Usher-Identity"]) != 1 {
		t.Errorf("identity: got %q and %q, want one each, of alice", got["X-User"], got["X-Usher-Identity"])
	}
	if got["Authorization"] != nil || !slices.Equal(got["Sec-Websocket-Protocol"], []string{"chat.v1"}) {
		t.Errorf("credential: got %q %q, want none and chat.v1", got["Authorization"], got["Sec-Websocket-Protocol"])
	}
	if cookie := strings.Join(got["Cookie"], ""); cookieJudged && strings.Contains(cookie, "session") {
		t.Errorf("cookie: got %q, want it without the one that was judged", cookie)
	}
	if got["Sec-Websocket-Key"] == nil || got["Host"] == nil {
		t.Errorf("request: got %q, want it whole", e.Fields)
	}
	for _, want := range []struct {
		of          []struct{ Name, Value string }
		name, value string
	}{
		{e.JWTHeader, "typ", "usher-identity+jwt"},
		{e.Claims, "sub", "alice"},
		{e.Claims, "iss", "usher"},
	} {
		if !slices.Contains(want.of, struct{ Name, Value string }{want.name, want.value}) {
			t.Errorf("identity's %s: got %q, want %s", want.name, want.of, want.value)
		}
	}
}

// A plain request on a connection that had others before it.
func TestBackendIsToldOfEachRequest(t *testing.T) {
	t.Parallel()
	v := visit(t, start(t, ""))
	v.login("alice")
	for _, mark := range []string{"one", "two", "three"} {
		status, _, text := v.do(http.MethodGet, "/chat/bearer?try="+mark, "", bearer(v.token("opaque")))
		if status != http.StatusOK || !strings.Contains(text, `"you":"alice"`) {
			t.Errorf("answer: got %d %s, want 200 and alice", status, text)
		}
		_, all := v.events(func(e seen) bool { return e.Kind == "backend" && e.Try == mark })
		if got := all[len(all)-1].Line; got != "GET /?try="+mark+" HTTP/1.1" {
			t.Errorf("request: got %q, want that of %s", got, mark)
		}
	}
}

// What the page asks about the gateway.
func TestOperatorsView(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	v := visit(t, startWith(t, demo.Options{Explain: func(ctx context.Context, out io.Writer, admin, id string) error {
		asked <- admin
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/usher/v1/explain/"+id, nil)
		if err != nil {
			return err
		}
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.Copy(out, answer.Body)
		return err
	}}))
	v.login("alice")
	conn, _ := v.open("in", try{path: "/chat/query?access_token=" + v.token("good")})
	if conn == nil {
		t.Fatal("handshake: got a refusal, want 101")
	}
	v.open("out", try{path: "/chat/query?access_token=" + v.token("expired")})
	_, all := v.events(func(e seen) bool { return e.Try == "out" && e.Line == "refused" })
	id := ""
	for _, f := range all[len(all)-1].Fields {
		if f.Name == "explain_id" {
			id = f.Value
		}
	}
	status, _, text := v.do(http.MethodGet, "/demo/explain/"+id, "", nil)
	if status != http.StatusOK || !strings.Contains(text, "credential expired") {
		t.Errorf("explanation: got %d %s, want that the credential expired", status, text)
	}
	_, _, text = v.do(http.MethodGet, "/demo/figures", "", nil)
	var now struct {
		Admin       string
		Connections int
		Verdicts    []struct {
			Verdict, Reason string
			Count           int
		}
	}
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]int)
	for _, c := range now.Verdicts {
		counted[c.Verdict+" "+c.Reason] = c.Count
	}
	if now.Connections != 1 || counted["admitted "] != 1 || counted["refused expired"] != 1 {
		t.Errorf("figures: got %s, want one connection, one admission and one expired", text)
	}
	if admin := <-asked; admin != now.Admin {
		t.Errorf("admin listener: got %q, want %q", now.Admin, admin)
	}
}

// The page shows the gateway's configuration, and why there is no Node.
func TestAbout(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	v := visit(t, start(t, secret))
	_, _, text := v.do(http.MethodGet, "/demo/about", "", nil)
	var about struct {
		Config  string
		WhyNode string `json:"why_no_node"`
	}
	if err := json.Unmarshal([]byte(text), &about); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hs256_secret_file: ./secret", "  - path: /chat/ticket\n", "X-User: sub"} {
		if !strings.Contains(about.Config, want) {
			t.Errorf("configuration: got %s, want %q in it", about.Config, want)
		}
	}
	if strings.Contains(text, secret) || strings.Contains(about.Config, "/node/") {
		t.Errorf("configuration: got %s, want no secret and no Node", about.Config)
	}
	if !strings.Contains(about.WhyNode, "make demo") {
		t.Errorf("why no Node: got %q, want how to have it", about.WhyNode)
	}
	if status, _, _ := v.do(http.MethodGet, "/demo/explain/X", "", nil); status != http.StatusNotFound {
		t.Errorf("explanation by nobody: got %d, want 404", status)
	}
}

// Who logs out is nobody to the gateway from then on.
func TestWhoAmI(t *testing.T) {
	t.Parallel()
	v := visit(t, start(t, ""))
	for _, c := range []struct {
		user, kind string
		want       int
	}{
		{"alice", "opaque", http.StatusOK},
		{"alice", "outage", http.StatusServiceUnavailable},
		{"mallory", "good", http.StatusForbidden},
		{"alice", "good", http.StatusUnauthorized}, // A JWT is not the application's business.
	} {
		v.login(c.user)
		token := v.token(c.kind)
		if status, _, _ := v.do(http.MethodGet, "/demo/whoami", "", bearer(token)); status != c.want {
			t.Errorf("%s of %s: got %d, want %d", c.kind, c.user, status, c.want)
		}
	}
	v.login("alice")
	session := http.Header{"Cookie": {"session=" + v.cookie()}}
	v.do(http.MethodPost, "/demo/logout", "{}", nil)
	if status, _, _ := v.do(http.MethodGet, "/demo/whoami", "", session); status != http.StatusUnauthorized {
		t.Errorf("after the logout: got %d, want 401", status)
	}
}
