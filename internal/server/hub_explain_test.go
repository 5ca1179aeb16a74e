package server_test

import (
	"net/http"
	"strings"
	"testing"
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
	c := mustDial(t, at+secret, nil)
	says(t, c, connected, 0)
	do(t, http.MethodPost, "http://"+g.admin+"/usher/v1/revocations", http.Header{"Content-Type": {"application/json"}}, `{"issuer":"ably:chat.full","reason":"stolen"}`)
	explained(next(t, c).Error.Message, "stolen")
}
