package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a client of the hub is told at the door, by REST, and when the Guard ends
// its connection, ends in an id that the operator can look up.
func TestHubExplains(t *testing.T) {
	g := start(t, hubbed)
	at := "ws://" + g.public + "/?key=chat.full:"
	explained := func(text, want string) {
		t.Helper()
		_, id, _ := strings.Cut(text, "; explain id ")
		id, _, _ = strings.Cut(id, `"`)
		_, body := do(t, http.MethodGet, "http://"+g.admin+"/usher/v1/explain/"+id, nil, "")
		if id == "" || !strings.Contains(body, `"route": "/"`) || !strings.Contains(body, want) {
			t.Errorf("got %s for %s, want %s", body, text, want)
		}
	}
	explained(next(t, mustDial(t, at+"wrong-secret-of-a-key", nil)).Error.Message, "invalid credentials")
	_, body := do(t, http.MethodGet, "http://"+g.public+"/channels/a/messages", nil, "")
	explained(body, "no credential")
	for token, want := range map[string]string{
		keyToken(t, "chat.full", map[string]any{"exp": time.Now().Add(-time.Second).Unix()}):                                      "expired",
		strings.TrimRight(keyToken(t, "chat.full", nil), "=") + "A":                                                               "wrong signature",
		keyToken(t, "chat.see", map[string]any{"x-ably-clientId": "bob"}):                                                         "another clientId",
		token(t, "another secret that nobody here has", map[string]any{"capability": `{"a":["subscribe"]}`}):                      "signature",
		token(t, secret, map[string]any{"sub": "carol", "capability": `{"a":["subscribe"]}`, "ably.channel.a": json.Number("1")}): "it is a text",
	} {
		c := mustDial(t, "ws://"+g.public+"/?access_token="+keyToken(t, "chat.full", map[string]any{"x-ably-clientId": "alice"}), nil)
		says(t, c, connected, 0)
		tell(t, c, fmt.Sprintf(`{"action":17,"auth":{"accessToken":%q}}`, token))
		w := next(t, c)
		if w.Action != failed {
			t.Errorf("got %+v, want it refused", w)
		}
		explained(w.Error.Message, want)
		_, id, _ := strings.Cut(w.Error.Message, "; explain id ")
		g.logs.await(t, "msg=refused route=/ carrier=\"\" client=127.0.0.1/32 origin=\"\" explain_id="+id)
	}
	c := mustDial(t, at+secret, nil)
	says(t, c, connected, 0)
	do(t, http.MethodPost, "http://"+g.admin+"/usher/v1/revocations", http.Header{"Content-Type": {"application/json"}}, `{"issuer":"ably:chat.full","reason":"stolen"}`)
	explained(next(t, c).Error.Message, "stolen")
}
