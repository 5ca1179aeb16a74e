package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Who refreshes a token of the site's own renews what it has opened at the hub, and
// a page does by the desk; with less capability it may do less at once.
func TestHubRenewal(t *testing.T) {
	g := start(t, issuing+"hub: {verify: [own]}\n")
	backend := makeClient(t, g, backendKey)
	ofPage := http.Header{"Origin": {page}}
	short := ask(t, g, backend, 200, "grant_type", exchanging, "subject_token", "ann", "subject_token_type", "urn:usher:token-type:subject",
		"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "expires_in", "60", "capability", `{"*":["*"]}`)
	c := mustDial(t, "ws://"+g.public+"/?access_token="+short.Access, nil)
	says(t, c, connected, 0)
	expires := func() time.Time {
		t.Helper()
		var list struct{ Connections []struct{ Expires time.Time } }
		call(t, g.admin, "GET", "connections?subject=ann", "").into(t, 200, &list)
		if len(list.Connections) != 1 {
			t.Fatalf("got %d connections, want 1", len(list.Connections))
		}
		return list.Connections[0].Expires
	}
	refresh := func(token string, params ...string) (got grant) {
		t.Helper()
		time.Sleep(1100 * time.Millisecond) // Tokens have whole seconds.
		params = append([]string{"grant_type", "refresh_token", "refresh_token", token, "client_id", backend[:12]}, params...)
		form(t, g, "/oauth/token", "", ofPage, params...).into(t, 200, &got)
		return got
	}
	before := expires()
	next := refresh(short.Refresh)
	if after := expires(); !after.After(before) {
		t.Errorf("the connection ends at %v after a refresh, want later than %v", after, before)
	}
	tell(t, c, `{"action":10,"channel":"a"}`)
	says(t, c, attached, 0)
	less := refresh(next.Refresh, "capability", `{"b":["*"]}`)
	if got := renew(t, g, "", "Authorization", "Bearer "+less.Access, "Origin", page); got.status != 200 || !strings.Contains(got.text, `"connections":1`) {
		t.Fatalf("got %d %s, want one connection renewed by the desk", got.status, got.text)
	}
	says(t, c, failed, 40160) // Of the channel.
	tell(t, c, `{"action":10,"channel":"b"}`)
	says(t, c, attached, 0)
}

// A key that allows less since a reload does so on the connections that it has
// opened, and so do its tokens; one that allows the same, or more, is not felt.
func TestHubKeyNarrowed(t *testing.T) {
	dir := t.TempDir()
	text := front + `
hub:
  apps:
    chat:
      keys:
        full: {secret: {file: secret}}
        more: {secret: {file: secret}, capability: {"a": [subscribe]}}
`
	g := startIn(t, dir, text)
	at := "ws://" + g.public + "/?"
	key := mustDial(t, at+"key=chat.full:"+secret, nil)
	token := mustDial(t, at+"access_token="+keyToken(t, "chat.full", nil), nil)
	more := mustDial(t, at+"key=chat.more:"+secret, nil)
	says(t, key, connected, 0)
	says(t, token, connected, 0)
	says(t, more, connected, 0)
	tell(t, key, `{"action":10,"channel":"a"}`)
	says(t, key, attached, 0)
	tell(t, token, `{"action":10,"channel":"b"}`)
	says(t, token, attached, 0)
	for _, c := range []*websocket.Conn{token, more} {
		tell(t, c, `{"action":10,"channel":"a"}`)
		says(t, c, attached, 0)
	}
	text = strings.Replace(text, "full: {secret: {file: secret}}", `full: {secret: {file: secret}, capability: {"b": ["*"]}}`, 1)
	text = strings.Replace(text, `{"a": [subscribe]}`, `{"a": [subscribe, publish]}`, 1)
	write(t, dir, "usher.yaml", text)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	says(t, key, failed, 40160) // Of the channel.
	says(t, token, failed, 40160)
	says(t, more, attached, 0) // With one mode more.
	tell(t, key, `{"action":15,"channel":"a","msgSerial":0,"messages":[{"data":"x"}]}`)
	says(t, key, 2, 40160)
	tell(t, token, `{"action":15,"channel":"a","msgSerial":0,"messages":[{"data":"x"}]}`)
	says(t, token, 2, 40160)
	tell(t, token, `{"action":15,"channel":"b","msgSerial":1,"messages":[{"data":"x"}]}`)
	if got := []int{next(t, token).Action, next(t, token).Action}; got[0]+got[1] != 1+15 {
		t.Errorf("got actions %v, want an answer and the message", got)
	}
	tell(t, more, `{"action":15,"channel":"a","msgSerial":0,"messages":[{"data":"x"}]}`)
	if got := []int{next(t, more).Action, next(t, more).Action}; got[0]+got[1] != 1+15 {
		t.Errorf("got actions %v, want an answer and the message", got)
	}
}
