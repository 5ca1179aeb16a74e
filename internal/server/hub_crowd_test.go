package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// crowded is a hub with few connections for each client, and for one key.
var crowded = strings.Replace(hubbed, "    chat:\n      keys:\n", "    chat:\n      limits: {client_connections: 3, key_connections: 6}\n"+
	"      keys:\n        other: {secret: {file: secret}}\n", 1)

// One client has so many connections and no more, whoever it says it is and
// however it comes by one more; those of others it does not take.
func TestHubConnectionsOfOneClient(t *testing.T) {
	g := start(t, strings.Replace(crowded, ", key_connections: 6", "", 1))
	tokenOf := func(who string) string { return keyToken(t, "chat.full", map[string]any{"x-ably-clientId": who}) }
	at := "ws://" + g.public + "/?access_token="
	var mallory []*websocket.Conn
	for range 3 {
		c := mustDial(t, at+tokenOf("mallory"), nil)
		says(t, c, connected, 0)
		mallory = append(mallory, c)
	}
	refused := mustDial(t, at+tokenOf("mallory")+"&clientId=mallory", nil)
	says(t, refused, disconnected, 42910)
	alice := mustDial(t, at+tokenOf("alice"), nil)
	says(t, alice, connected, 0)
	says(t, mustDial(t, at+token(t, secret, nil), nil), connected, 0) // By another verifier.

	// Nor by being nobody first.
	nobody := mustDial(t, at+keyToken(t, "chat.full", nil), nil)
	says(t, nobody, connected, 0)
	tell(t, nobody, fmt.Sprintf(`{"action":17,"auth":{"accessToken":%q}}`, tokenOf("mallory")))
	says(t, nobody, disconnected, 42910)

	// What it leaves behind gives way to it, and to it alone.
	_ = mallory[0].UnderlyingConn().Close()
	comesIn(t, at+tokenOf("mallory"))
	says(t, mustDial(t, at+tokenOf("mallory"), nil), disconnected, 42910)
	says(t, mustDial(t, at+tokenOf("bob"), nil), connected, 0)
	says(t, mustDial(t, "ws://"+g.public+"/?key=chat.full:"+secret, nil), connected, 0)
	tell(t, alice, `{"action":10,"channel":"a"}`)
	says(t, alice, attached, 0)
}

// A key has so many with its tokens, and others have theirs. Those that have gone
// give way.
func TestHubConnectionsOfOneKey(t *testing.T) {
	g := start(t, crowded)
	at := "ws://" + g.public + "/?key=chat.full:" + secret
	var list []*websocket.Conn
	for i := range 5 {
		c := mustDial(t, fmt.Sprint(at, "&clientId=", i), nil)
		says(t, c, connected, 0)
		list = append(list, c)
	}
	signed := "ws://" + g.public + "/?access_token=" + keyToken(t, "chat.full", nil)
	says(t, mustDial(t, signed, nil), connected, 0)
	says(t, mustDial(t, signed, nil), disconnected, 42910)
	says(t, mustDial(t, at, nil), disconnected, 42910)
	says(t, mustDial(t, "ws://"+g.public+"/?key=chat.other:"+secret, nil), connected, 0)
	tell(t, list[1], `{"action":10,"channel":"a"}`)
	says(t, list[1], attached, 0)
	_ = list[0].UnderlyingConn().Close()
	comesIn(t, at)
}

// comesIn connects to where somebody has just gone: the server hears of it a moment
// later.
func comesIn(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		if w := next(t, mustDial(t, url, nil)); w.Action == connected {
			return
		} else if time.Now().After(end) {
			t.Fatalf("got %+v, want that who has gone gives way", w)
		}
	}
}
