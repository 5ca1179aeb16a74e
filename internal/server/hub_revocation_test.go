package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// keyToken is a JWT of a key of the hub, with claims.
func keyToken(t testing.TB, key string, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()}
	for name, v := range claims {
		all[name] = v
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(map[string]string{"alg": "HS256", "kid": key}) + "." + part(all)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// What is taken back ends where it lives and opens nothing more: by client id, by
// revocation key and by channel, and nothing else is.
func TestHubRevocation(t *testing.T) {
	g := start(t, front+`
hub:
  apps:
    chat:
      keys:
        pages: {secret: {file: secret}, revocable: true}
        full: {secret: {file: secret}}
`)
	at := "ws://" + g.public + "/?access_token="
	for _, tt := range []struct {
		target        string
		ended, spared map[string]any
	}{
		{"clientId:me", map[string]any{"x-ably-clientId": "me"}, map[string]any{"x-ably-clientId": "you"}},
		{"revocationKey:team", map[string]any{"x-ably-revocation-key": "team"}, map[string]any{"x-ably-revocation-key": "teams"}},
		{"channel:room:1", map[string]any{"x-ably-capability": `{"room:1":["*"],"x":["*"]}`}, map[string]any{"x-ably-capability": `{"room:*":["*"]}`}},
	} {
		first, second := keyToken(t, "chat.pages", tt.ended), keyToken(t, "chat.pages", tt.spared)
		ended, spared := mustDial(t, at+first, nil), mustDial(t, at+second, nil)
		other := mustDial(t, at+keyToken(t, "chat.full", tt.ended), nil)
		for _, c := range []*websocket.Conn{ended, spared, other} {
			says(t, c, connected, 0)
		}
		h := basic("chat.pages", secret)
		h.Set("Content-Type", "application/json")
		res, body := do(t, http.MethodPost, "http://"+g.public+"/keys/chat.pages/revokeTokens", h, `{"targets":["`+tt.target+`"]}`)
		if res.StatusCode != http.StatusCreated || !strings.Contains(body, `"successCount":1`) {
			t.Fatalf("%s: got %d %s", tt.target, res.StatusCode, body)
		}
		says(t, ended, disconnected, 40141)
		if code, _ := closeOf(ended); code != 4401 {
			t.Errorf("%s: got %d, want 4401", tt.target, code)
		}
		says(t, mustDial(t, at+first, nil), failed, 40141)
		if res, body := do(t, http.MethodGet, "http://"+g.public+"/channels/room:1/messages?access_token="+first, nil, ""); res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "40141") {
			t.Errorf("%s: got %d %s by REST, want 40141", tt.target, res.StatusCode, body)
		}
		for name, c := range map[string]*websocket.Conn{"another's": spared, "another key's": other} {
			tell(t, c, `{"action":10,"channel":"room:1"}`)
			if w := next(t, c); w.Action != attached {
				t.Errorf("%s: got %+v of %s token, want it to go on", tt.target, w, name)
			}
		}
		says(t, mustDial(t, at+second, nil), connected, 0)
	}
}
