package server_test

import (
	"net/http"
	"net/url"
	"testing"
)

// A page knows the path of its WebSocket, and need not know what the route is
// called.
func TestTicketByPath(t *testing.T) {
	b := newBackend(t)
	g := start(t, front+`routes:
  - {path: "/rooms/{id}", upstream: "`+b.ws()+`", carriers: [ticket: {}, bearer: {verify: [local]}]}
  - {path: /all/, upstream: "`+b.ws()+`", carriers: [ticket: {}, bearer: {verify: [local]}]}
  - {path: /plain, upstream: "`+b.ws()+`", carriers: [bearer: {verify: [local]}]}
`)
	for _, path := range []string{"/rooms/7", "/all/", "/all/of/them"} {
		ticket := buy(t, g, "?"+url.Values{"route": {path}}.Encode(), bearer(t))
		echo(t, mustDial(t, "ws://"+g.public+path+"?ticket="+ticket, nil), "with a ticket for "+path)
	}
	for _, path := range []string{"/rooms", "/rooms/", "/rooms/7/8", "/all", "/plain", "/nowhere", "/all/../plain", "//all/", "rooms/7", ""} {
		res, body := do(t, http.MethodPost, "http://"+g.public+"/usher/v1/tickets?"+url.Values{"route": {path}}.Encode(), bearer(t), "")
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%q: got %d %s, want 404", path, res.StatusCode, body)
		}
	}
}
