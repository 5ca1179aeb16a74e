package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

func TestTime(t *testing.T) {
	w := newWorld(t, nil)
	for _, pack := range []bool{false, true} {
		w.want(ask{"", "GET", "/time", "", pack, nil}, 200, `\[\d{13}\]`)
	}
	w.want(ask{"full", "GET", "/time?format=json", "", false, map[string]string{"Accept": "*/*"}}, 200, `\[\d{13}\]`)
}

func signed() string {
	r := &ably.TokenRequest{KeyName: "app.full", ClientID: "me", Capability: `{"c":["publish"]}`, Timestamp: time.Now().UnixMilli(), Nonce: fmt.Sprintf("%016d", time.Now().UnixNano())}
	r.Sign(secret)
	return string(ably.Append(nil, ably.JSON, r))
}

// A token is asked for, and opens what it allows.
func TestRequestToken(t *testing.T) {
	w := newWorld(t, nil)
	for _, pack := range []bool{false, true} {
		got := w.want(ask{"", "POST", "/keys/app.full/requestToken", signed(), pack, nil}, 201,
			`\{"token":"[\w.-]+","keyName":"app.full","issued":\d+,"expires":\d+,"capability":"\{\\"c\\":\[\\"publish\\"\]\}","clientId":"me"\}`)
		var d struct{ Token string }
		if err := json.Unmarshal([]byte(got.body), &d); err != nil {
			t.Fatal(err)
		}
		bearer := map[string]string{"Authorization": "Bearer " + base64.StdEncoding.EncodeToString([]byte(d.Token))}
		w.want(ask{"", "POST", "/channels/c/messages", `{}`, pack, bearer}, 201, `.*`)
		w.refused(ask{"", "POST", "/channels/other/messages", `{}`, pack, bearer}, ably.NotPermitted)
		w.want(ask{"", "POST", "/channels/c/messages?access_token=" + d.Token, `{}`, pack, nil}, 201, `.*`)
		w.refused(ask{"", "POST", "/channels/c/messages?access_token=" + d.Token + "x", `{}`, pack, nil}, ably.BadJWT)
	}
	w.refused(ask{"", "POST", "/keys/app.full/requestToken", `{"keyName":"app.full"}`, false, nil}, ably.BadCredential)
	w.want(ask{"full", "POST", "/keys/app.full/requestToken", `{}`, false, nil}, 201, `.*`)
	w.refused(ask{"", "POST", "/keys/app.full/requestToken", `[]`, false, nil}, ably.BadRequest)
	w.refused(ask{"full", "GET", "/keys/app.full/requestToken", "", false, nil}, ably.NotFound)
	once := signed()
	w.want(ask{"", "POST", "/keys/app.full/requestToken", once, false, nil}, 201, `.*`)
	w.refused(ask{"", "POST", "/keys/app.full/requestToken", once, false, nil}, ably.NonceReplayed)
}

func TestRevokeTokens(t *testing.T) {
	w := newWorld(t, nil)
	w.want(ask{"group", "POST", "/keys/app.group/revokeTokens", `{"targets":["clientId:x","invalidType:y"]}`, true, nil}, 201,
		`\{"successCount":1,"failureCount":1,"results":\[\{"target":"clientId:x","issuedBefore":\d+,"appliesAt":\d+\},\{"target":"invalidType:y","error":\{.*400\}\}\]\}`)
	w.refused(ask{"full", "POST", "/keys/app.group/revokeTokens", `{"targets":["clientId:x"]}`, false, nil}, ably.WrongKey)
	w.refused(ask{"full", "POST", "/keys/app.full/revokeTokens", `{"targets":["clientId:x"]}`, false, nil}, ably.RevocationDisabled)
	w.refused(ask{"group", "POST", "/keys/app.group/revokeTokens", `{`, false, nil}, ably.BadRequest)
}

func TestNotFound(t *testing.T) {
	w := newWorld(t, nil)
	for _, a := range []ask{
		{"full", "GET", "/nothing", "", false, nil},
		{"full", "GET", "/", "", true, nil},
		{"full", "DELETE", "/channels/c/messages", "", false, nil},
		{"full", "POST", "/push/publish", `{}`, true, nil},
		{"full", "GET", "/sse", "", false, nil},
		{"full", "POST", "/apps", `{}`, false, nil},
		{"full", "DELETE", "/apps/app", "", false, nil},
		{"full", "POST", "/stats", `[]`, false, nil},
		{"full", "GET", "/channels/c/object", "", false, nil},
	} {
		w.refused(a, ably.NotFound)
	}
	if got := w.ask(ask{"", "GET", "/comet/connect?key=x", "", false, nil}); got.status != http.StatusNotImplemented || got.body != "" || got.header.Get("X-Ably-Errorcode") != "" {
		t.Errorf("got %d %s %v, want what makes SDKs give up on comet", got.status, got.body, got.header)
	}
	if got := w.ask(ask{"full", "HEAD", "/channels/c/messages", "", false, nil}); got.status != 200 || got.body != "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
