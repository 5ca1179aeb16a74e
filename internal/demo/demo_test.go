package demo_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher/internal/demo"
)

func TestPage(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	v := visit(t, s)
	status, head, page := v.do(http.MethodGet, "/", "", nil)
	if status != http.StatusOK || !strings.Contains(page, "<title>Usher") {
		t.Fatalf("page: got %d %.60s, want the page", status, page)
	}
	policy := head.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "connect-src 'self' ws://localhost:", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy: got %q, want %q in it", policy, want)
		}
	}
	if inline := regexp.MustCompile(`<script>|<style| style=| on[a-z]+="`).FindString(page); inline != "" {
		t.Errorf("page: got %q, which its policy forbids", inline)
	}
	if foreign := regexp.MustCompile(`(src|href)="https?:[^"]*"`).FindString(page); foreign != "" {
		t.Errorf("page: got %q, want nothing from elsewhere", foreign)
	}
	for _, asset := range regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		if status, head, _ := v.do(http.MethodGet, asset[1], "", nil); status != http.StatusOK || head.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d, want 200 and nosniff", asset[1], status)
		}
	}
}

func TestPageIsNotForOthers(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	for _, c := range []struct {
		name, method, path, host, origin string
		want                             int
	}{
		{"rebound name", http.MethodGet, "/", "evil.test", "", http.StatusMisdirectedRequest},
		{"rebound name on a guarded route", http.MethodGet, "/chat/query", "evil.test", "", http.StatusMisdirectedRequest},
		{"login by a foreign page", http.MethodPost, "/demo/login", "", "http://evil.test", http.StatusForbidden},
		{"ticket by a foreign page", http.MethodPost, "/usher/v1/tickets?route=/chat/ticket", "", "http://evil.test", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := visit(t, s)
			v.login("alice")
			r, err := http.NewRequestWithContext(v.ctx, c.method, v.origin+c.path, strings.NewReader(`{"user":"bob"}`))
			if err != nil {
				t.Fatal(err)
			}
			if c.host != "" {
				r.Host = c.host
			}
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			answer, err := v.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != c.want {
				t.Errorf("status: got %d, want %d", answer.StatusCode, c.want)
			}
		})
	}
}

func TestVisitorByNumberIsSentToTheName(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	v := visit(t, s)
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	home := s.URL()
	v.origin = strings.Replace(v.origin, "localhost", "127.0.0.1", 1)
	if status, head, _ := v.do(http.MethodGet, "/", "", nil); status != http.StatusFound || head.Get("Location") != home {
		t.Errorf("page by number: got %d to %q, want 302 to %q", status, head.Get("Location"), home)
	}
}

func TestOtherSiteServesItsPage(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	v := visit(t, s)
	home := v.origin
	v.origin = strings.TrimSuffix(s.OtherURL(), "/")
	status, head, _ := v.do(http.MethodGet, "/", "", nil)
	if policy := head.Get("Content-Security-Policy"); status != http.StatusOK || !strings.Contains(policy, "frame-ancestors "+home) {
		t.Errorf("other site: got %d %q, want 200 and a frame of %s only", status, policy, home)
	}
	if status, _, text := v.do(http.MethodGet, "/target", "", nil); status != http.StatusOK || !strings.Contains(text, home) {
		t.Errorf("target: got %d %s, want %s", status, text, home)
	}
}

// The canary: whatever a client sends by whatever way, its secret is in none of
// the events.
func TestEventsShowNoCredential(t *testing.T) {
	t.Parallel()
	v := visit(t, start(t, ""))
	v.login("alice")
	secrets := []string{v.cookie()}
	for _, c := range admissions {
		attempt, credential := c.make(v)
		secrets = append(secrets, credential)
		if i := strings.IndexByte(strings.Join(attempt.offer, ""), '.'); i >= 0 {
			secrets = append(secrets, attempt.offer[0][strings.LastIndexByte(attempt.offer[0], '.')+1:])
		}
		if conn, _ := v.open("canary", attempt); conn != nil {
			if _, _, err := conn.Read(v.ctx); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			conn.CloseNow()
		}
	}
	const canary = "canarycanary"
	secrets = append(secrets, canary, basic("x", canary).Get("Authorization")[6:])
	for _, odd := range []try{
		{path: "/chat/query?ACCESS_TOKEN=" + canary + "&" + canary + "&a%20b=" + canary + ";ticket=" + canary},
		{path: "/chat/subprotocol", offer: []string{"usher.bearer." + canary, canary, "usher." + canary}},
		{path: "/chat/bearer", head: http.Header{"Authorization": {"Digest " + canary}, "X-Csrf-Token": {canary}, "X-Api-Key": {canary}, "X-Requested-With": {canary}}},
		{path: "/chat/cookie", head: http.Header{"Cookie": {"session=" + canary + "; other=" + canary + "; theme=" + canary + "; " + canary}}},
		{path: "/devices/chat", head: basic("x", canary)},
		{path: "/chat/first-message", first: `{"type":"` + canary + `","token":"` + canary + `","` + canary + `":["` + canary + `"]}`},
		{path: "/chat/first-message", first: canary},
	} {
		if conn, _ := v.open("odd", odd); conn != nil {
			_, _, _ = conn.Read(v.ctx)
			conn.CloseNow()
		}
	}
	text, all := v.until()
	if n := count(all, "canary", "backend"); n < len(admissions) {
		t.Errorf("backend was told: got %d times, want %d", n, len(admissions))
	}
	for _, secret := range secrets {
		if i := strings.Index(text, secret); secret == "" || i >= 0 {
			t.Errorf("events: got a credential in them: %s", text[max(0, i-200):i])
		}
	}
}

func TestTokenEndsTheChat(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	v := visit(t, start(t, secret))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	signed, err := signer.Sign(aliceClaims(now, now+5))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	conn, status := v.open("brief", try{path: "/chat/query?access_token=" + token})
	if conn == nil {
		t.Fatalf("handshake: got %d, want 101", status)
	}
	if _, _, err := conn.Read(v.ctx); err != nil {
		t.Fatal(err)
	}
	wantClose(t, v, conn, 4401, "expired")
	if late := time.Since(time.Unix(now+5, 0)); late > patience/2 {
		t.Errorf("close: got it %v after the token's end, want it at once", late)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	s, err := demo.Listen(demo.Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	v := visit(t, s)
	v.login("alice")
	conn, _ := v.open("stays", try{path: "/chat/query?access_token=" + v.token("good")})
	if conn == nil {
		t.Fatal("handshake: got a refusal, want a socket")
	}
	if _, _, err := conn.Read(v.ctx); err != nil {
		t.Fatal(err)
	}
	silent, _ := v.open("silent", try{path: "/chat/first-message"})
	if silent == nil {
		t.Fatal("handshake without a credential: got a refusal, want a wait")
	}
	r, err := http.NewRequestWithContext(v.ctx, http.MethodGet, v.origin+"/demo/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := v.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	stop()
	_, _, err = conn.Read(v.ctx)
	if closed, ok := errors.AsType[websocket.CloseError](err); !ok || closed.Code != websocket.StatusGoingAway {
		t.Errorf("close: got %v, want 1001", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	case <-v.ctx.Done():
		t.Fatal("serve: got no end, want one within seconds")
	}
}

func TestRunPrintsItsPage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := demo.Run(ctx, &out, demo.Options{Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^demo page: http://localhost:\d+/\n`).MatchString(out.String()) {
		t.Errorf("output: got %q, want the page's address first", out.String())
	}
}

func TestBusyAddress(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	address := strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://localhost"), "/")
	_, err := demo.Listen(demo.Options{Listen: "127.0.0.1" + address})
	if err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("busy address: got %v, want advice to use --listen", err)
	}
}

func TestCheckListen(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:0": true, "[::1]:0": true,
		":8080": false, "0.0.0.0:8080": false, "192.0.2.1:80": false, "localhost": false, "": false,
		"127.0.0.1:99999": false, "127.0.0.1:": false, "127.0.0.1:http": false,
	} {
		if err := demo.CheckListen(address); (err == nil) != ok {
			t.Errorf("%q: got %v, want allowed=%t", address, err, ok)
		}
	}
}
