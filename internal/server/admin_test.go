package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refuse is refused with an explain id, and returns it.
func refuse(t testing.TB, g *gateway, path string, h http.Header) string {
	t.Helper()
	res, body := do(t, http.MethodGet, "http://"+g.public+path, h, "")
	var problem struct {
		ID string `json:"explain_id"`
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.ID == "" {
		t.Fatalf("got %d %s, want a refusal with an explain id", res.StatusCode, body)
	}
	return problem.ID
}

func TestExplain(t *testing.T) {
	b := newBackend(t)
	g := start(t, front+fmt.Sprintf(`  other: {jwt: {issuer: elsewhere, audience: chat, hs256_secret_file: secret}}
routes: [{path: /chat, upstream: "%s", carriers: [bearer: {verify: [other, local]}]}]
`, b.ws()))
	explain := func(id string) (int, map[string]any) {
		res, body := do(t, http.MethodGet, "http://"+g.admin+"/usher/v1/explain/"+id, nil, "")
		answer := make(map[string]any)
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatalf("got %d %s", res.StatusCode, body)
		}
		return res.StatusCode, answer
	}
	strange := token(t, secret, map[string]any{"iss": "nobody"})
	id := refuse(t, g, "/chat", http.Header{"Authorization": {"Bearer " + strange}})
	status, got := explain(id)
	if status != 200 || got["route"] != "/chat" || got["carrier"] != "bearer" || got["verdict"] != "refused" ||
		got["status"] != 401.0 || got["close_code"] != 4401.0 || got["client"] != "127.0.0.1/32" || got["word"] != "unauthenticated" {
		t.Errorf("got %d %v", status, got)
	}
	for _, want := range []string{"verifier other: ", "verifier local: ", "another issuer"} {
		if reason, _ := got["reason"].(string); !strings.Contains(reason, want) {
			t.Errorf("got reason %q, want %q in it", reason, want)
		}
	}
	// A browser gets its id in the close reason, and so does one that is ended.
	short := token(t, secret, map[string]any{"exp": time.Now().Add(5 * time.Second).Unix()})
	c := mustDial(t, "ws://"+g.public+"/chat", http.Header{"Authorization": {"Bearer " + short}})
	_, reason := closeOf(c)
	word, id, _ := strings.Cut(reason, " ")
	if status, got := explain(id); status != 200 || got["verdict"] != "ended" || got["word"] != word || got["subject"] != "alice" {
		t.Errorf("got %d %v for the end of alice's connection", status, got)
	}
	if status, got := explain("AAAAAAAAAAAA"); status != 404 || !strings.Contains(fmt.Sprint(got["detail"]), "nothing is remembered") {
		t.Errorf("got %d %v for an id of nobody, want 404", status, got)
	}
}

func TestMetrics(t *testing.T) {
	b := newBackend(t)
	g := allCarriers(t, b)
	c := mustDial(t, "ws://"+g.public+"/chat", bearer(t))
	echo(t, c, "hello")
	refuse(t, g, "/chat", nil)
	refuse(t, g, "/chat?access_token="+token(t, strings.Repeat("x", 32), nil), nil)
	refuse(t, g, "/devices?made-up", http.Header{"Host": {g.public}, "Authorization": {"Bearer x"}})
	for i := range 5 {
		do(t, http.MethodGet, fmt.Sprintf("http://%s/made-up-%d", g.public, i), bearer(t), "")
	}
	metrics := func() string {
		_, body := do(t, http.MethodGet, "http://"+g.admin+"/metrics", nil, "")
		return body
	}
	want := []string{
		`usher_connections{route="/chat"} 1`,
		`usher_verdicts_total{carrier="bearer",reason="",route="/chat",verdict="admitted"} 1`,
		`usher_verdicts_total{carrier="none",reason="unauthenticated",route="/chat",verdict="refused"} 1`,
		`usher_verdicts_total{carrier="query",reason="unauthenticated",route="/chat",verdict="refused"} 1`,
		`usher_verdict_seconds_count{route="/chat",verdict="refused"} 2`,
		`usher_pending{route="/chat"} 0`,
		"go_goroutines ", "process_open_fds ",
	}
	for _, line := range want {
		if body := metrics(); !strings.Contains(body, line) {
			t.Errorf("got no %s in:\n%s", line, body)
		}
	}
	c.Close()
	// The end is counted when both sides have seen it.
	ended := `usher_connection_seconds_count{reason="closed",route="/chat"} 1`
	for until := time.Now().Add(patience); !strings.Contains(metrics(), ended) || !strings.Contains(metrics(), "usher_bytes_total"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("got no %s in:\n%s", ended, metrics())
		}
	}
	body := metrics()
	if strings.Contains(body, "made-up") {
		t.Error("what a client sends became a label")
	}
	carried := regexp.MustCompile(`usher_bytes_total\{direction="(in|out)",route="/chat"\} (\d+)`).FindAllStringSubmatch(body, -1)
	if len(carried) != 2 || carried[0][2] == "0" || carried[1][2] == "0" {
		t.Errorf("got bytes %v, want both directions", carried)
	}
	if !strings.Contains(body, `usher_connections{route="/chat"} 0`) {
		t.Error("the connection is still counted")
	}
}

func TestReady(t *testing.T) {
	b := newBackend(t)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	}))
	t.Cleanup(keys.Close)
	route := func(path, upstream string) string {
		return fmt.Sprintf("  - {path: %s, upstream: %q, carriers: [bearer: {verify: [login]}]}\n", path, upstream)
	}
	text := func(jwks, routes string) string {
		return front + "  login: {jwt: {issuer: login, audience: chat, jwks: " + jwks + "}}\nroutes:\n" + routes
	}
	dead := "ws://127.0.0.1:1/"
	tests := []struct {
		name, text string
		want       int
		parts      []string
	}{
		{"all well", text(keys.URL, route("/a", b.ws())), 200, []string{`"name": "keys of login",
      "ok": true`}},
		{"no keys", text("http://127.0.0.1:1/keys", route("/a", b.ws())), 503, []string{`"name": "keys of login",
      "ok": false`}},
		{"one upstream is down", text(keys.URL, route("/a", b.ws())+route("/b", dead)), 200, []string{"upstream of /b: " + dead, "refused"}},
		{"all upstreams are down", text(keys.URL, route("/b", dead)), 503, []string{"refused"}},
		{"no routes", front, 200, []string{`"ready"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := start(t, tt.text)
			res, body := do(t, http.MethodGet, "http://"+g.admin+"/readyz", nil, "")
			if res.StatusCode != tt.want {
				t.Errorf("got %d %s, want %d", res.StatusCode, body, tt.want)
			}
			for _, part := range tt.parts {
				if !strings.Contains(body, part) {
					t.Errorf("got no %q in %s", part, body)
				}
			}
			if res, _ := do(t, http.MethodGet, "http://"+g.admin+"/healthz", nil, ""); res.StatusCode != http.StatusOK {
				t.Errorf("got %d from healthz, want 200", res.StatusCode)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	mustDial(t, "ws://"+g.public+"/chat", bearer(t))
	id := refuse(t, g, "/devices", nil)
	var got struct {
		Connections int
		Routes      []struct {
			Route                          string
			Carriers                       []string
			Connections, Admitted, Refused int
			Upstreams                      []struct{ URL string }
		}
		Recent []struct {
			ID string `json:"explain_id"`
		}
	}
	_, body := do(t, http.MethodGet, "http://"+g.admin+"/usher/v1/status", nil, "")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Routes) != 4 || got.Connections != 1 || len(got.Recent) != 1 || got.Recent[0].ID != id {
		t.Fatalf("got %s", body)
	}
	if chat := got.Routes[0]; chat.Route != "/chat" || len(chat.Carriers) != 5 || chat.Connections != 1 || chat.Admitted != 1 || len(chat.Upstreams) != 1 {
		t.Errorf("got %+v", chat)
	}
	if devices := got.Routes[3]; devices.Refused != 1 || devices.Admitted != 0 {
		t.Errorf("got %+v", devices)
	}
}
