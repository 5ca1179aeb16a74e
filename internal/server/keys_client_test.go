package server_test

import (
	"strings"
	"testing"
	"time"
)

// A clientKey is an API key that is an OAuth client, as the API shows it.
type clientKey struct {
	ID         string              `json:"id"`
	Scope      string              `json:"scope"`
	Capability map[string][]string `json:"capability"`
	Audiences  []string            `json:"audiences"`
	OldUntil   time.Time           `json:"old_until"`
	Text       string              `json:"key"`
}

// A key cannot make one whose tokens could have more than its own.
func TestClientKeysGiveNoMore(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	var keeper, child clientKey
	call(t, g.admin, "POST", "keys",
		`{"may":["keys","tokens"],"scope":"read write","capability":{"room:*":["*"]},"audiences":["chat","api"]}`).into(t, 201, &keeper)
	if keeper.Scope != "read write" || len(keeper.Capability["room:*"]) != 1 || len(keeper.Audiences) != 2 {
		t.Errorf("got %+v, want what was asked for", keeper)
	}
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"less":               {`{"may":["tokens"],"scope":"read","capability":{"room:1":["subscribe"]},"audiences":["chat"]}`, 201},
		"nothing":            {`{"may":["tokens"],"audiences":["api"]}`, 201},
		"another scope":      {`{"may":["tokens"],"scope":"read admin","audiences":["chat"]}`, 403},
		"another resource":   {`{"may":["tokens"],"capability":{"*":["subscribe"]},"audiences":["chat"]}`, 403},
		"another audience":   {`{"may":["tokens"],"audiences":["chat","other"]}`, 403},
		"the site's own":     {`{"may":["tokens"]}`, 403},
		"another permission": {`{"may":["exchange"],"audiences":["chat"]}`, 403},
		"no tokens at all":   {`{"may":["keys"]}`, 201},
	} {
		got := call(t, g.public, "POST", "keys", tt.body, "Authorization", "Bearer "+keeper.Text)
		if got.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.text, tt.status)
		}
		if name == "less" {
			got.into(t, 201, &child)
		}
	}
	if strings.Contains(g.logs.String(), child.Text) {
		t.Error("the log has a key")
	}
}

func TestRotateKey(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	first := makeKey(t, g, "connections")
	may := func(text string) bool {
		t.Helper()
		return call(t, g.public, "GET", "connections", "", "Authorization", "Bearer "+text).status == 200
	}
	var second, third clientKey
	call(t, g.admin, "POST", "keys/"+first.ID+"/rotate", `{}`).into(t, 200, &second)
	if left := time.Until(second.OldUntil); left < 23*time.Hour || left > 24*time.Hour || second.ID != first.ID {
		t.Errorf("got the old one good for %v more, want a day", left)
	}
	if !may(first.Text) || !may(second.Text) {
		t.Error("want both good")
	}
	call(t, g.admin, "POST", "keys/"+first.ID+"/rotate", `{"overlap":0}`).into(t, 200, &third)
	if may(first.Text) || may(second.Text) || !may(third.Text) || !third.OldUntil.IsZero() {
		t.Error("want the newest good alone")
	}
	// Who rotates has the key: it must be allowed all that the key is.
	keeper := makeKey(t, g, "keys")
	if got := call(t, g.public, "POST", "keys/"+first.ID+"/rotate", `{}`, bearerOf(keeper)...); got.status != 403 {
		t.Errorf("by a key that may less: got %d, want 403", got.status)
	}
	for _, text := range []string{first.Text, second.Text, third.Text} {
		if strings.Contains(g.logs.String(), text) {
			t.Error("the log has a key")
		}
	}
}
