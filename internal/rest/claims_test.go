package rest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

// tokenOf is a JWT of the key full with claims, for an hour.
func tokenOf(claims map[string]any) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	text := part(map[string]string{"alg": "HS256", "kid": "app.full"}) + "." + part(claims)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// What a token says of its holder stands in what it publishes, and what the
// holder says of itself does not. A token's limit holds for all tokens of the
// client, whoever that says it is, and in a batch.
func TestTokenClaims(t *testing.T) {
	w := newWorld(t, nil)
	limited := func(id string) string {
		return "?access_token=" + tokenOf(map[string]any{
			"jti": id, "x-ably-clientId": "*", "ably.channel.c": "guest", "ably.limits.publish.perAttachment.maxRate.c": 0.001,
		})
	}
	w.want(ask{"", "POST", "/channels/c/messages" + limited("1"), `{"data":"1","extras":{"userClaim":"admin","a":1}}`, false, nil}, 201, `.*`)
	for i, path := range []string{"/channels/c/messages", "/channels/c/messages", "/messages"} {
		body := `{"data":"2"}`
		if path == "/messages" {
			body = `{"channels":["c"],"messages":[{"data":"3"}]}`
		}
		got := w.ask(ask{"", "POST", path + limited(fmt.Sprint(i)), body, i == 1, clientID(fmt.Sprint("me", i))})
		if !strings.Contains(got.body, `"code":42911`) {
			t.Errorf("%s: got %d %s, want 42911", path, got.status, got.body)
		}
	}
	other := tokenOf(map[string]any{"x-ably-clientId": "other", "ably.limits.publish.perAttachment.maxRate.c": 0.001})
	w.want(ask{"", "POST", "/channels/c/messages?access_token=" + other, `{"data":"other's"}`, false, nil}, 201, `.*`)
	w.want(ask{"", "POST", "/channels/other/messages" + limited("1"), `[{"data":"1"},{"data":"2"}]`, false, nil}, 201, `.*`)
	w.want(ask{"full", "POST", "/channels/c/messages", `{"data":"2","extras":{"userClaim":"admin"}}`, false, nil}, 201, `.*`)
	got := w.ask(ask{"full", "GET", "/channels/c/messages?direction=forwards", "", false, nil})
	if strings.Count(got.body, `"data"`) != 3 || !strings.Contains(got.body, `"extras":{"a":1,"userClaim":"guest"}`) || strings.Contains(got.body, "admin") {
		t.Errorf("got %s, want three messages, the first with what the token says", got.body)
	}
	w.refused(ask{"", "GET", "/channels/c/messages?access_token=" + tokenOf(map[string]any{"ably.limits.publish.perAttachment.maxRate.c": "x"}), "", false, nil}, ably.BadRequest)
}
