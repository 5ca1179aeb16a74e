package rest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// pages follows the links from a path on, and returns what all pages have, each
// message's data or each member's client id.
func (w *world) pages(path string, of func(body string) []string) (all []string) {
	w.t.Helper()
	next := path
	for range 20 {
		got := w.want(ask{"full", "GET", next, "", false, nil}, 200, `\[.*\]`)
		all = append(all, of(got.body)...)
		for _, rel := range []string{"first", "current"} {
			if got.link(rel) == nil {
				w.t.Errorf("%s: got no link to the %s page in %v", next, rel, got.header)
			}
		}
		q := got.link("next")
		if q == nil {
			return all
		}
		next = strings.SplitN(path, "?", 2)[0] + "?" + q.Encode()
	}
	w.t.Fatal("got pages without end")
	return nil
}

func datas(body string) (list []string) {
	for _, part := range strings.Split(body, `"data":"`)[1:] {
		list = append(list, part[:strings.IndexByte(part, '"')])
	}
	return list
}

func TestHistoryPages(t *testing.T) {
	w := newWorld(t, nil)
	w.want(ask{"full", "POST", "/channels/c/messages", `[{"data":"0"},{"data":"1"},{"data":"2"}]`, false, nil}, 201, `.*`)
	for i := 3; i < 7; i++ {
		w.want(ask{"full", "POST", "/channels/c/messages", fmt.Sprintf(`{"data":"%d"}`, i), true, nil}, 201, `.*`)
	}
	for query, want := range map[string]string{
		"?limit=1": "6543210", "?limit=2": "6543210", "?limit=3&direction=forwards": "0123456", "": "6543210", "?limit=7": "6543210",
		"?start=1&end=9999999999999&limit=4": "6543210", "?end=1": "", "?start=9999999999999": "",
	} {
		if got := strings.Join(w.pages("/channels/c/messages"+query, datas), ""); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	// The first page that is asked for again is the same.
	for _, direction := range []string{"forwards", "backwards"} {
		got := w.ask(ask{"full", "GET", "/channels/c/messages?direction=" + direction, "", false, nil})
		if q := got.link("first"); q.Get("end") == "" || q.Get("limit") != "100" || q.Get("direction") != direction {
			t.Errorf("got %v, want all that the page depends on", q)
		}
	}
	// What came after an attach is left out, whatever the SDK calls it.
	one := w.ask(ask{"full", "GET", "/channels/c/messages?limit=1&direction=forwards", "", false, nil})
	at := strings.Split(strings.Split(one.body, `"serial":"`)[1], ":")[0]
	for _, name := range []string{"from_serial", "fromSerial"} {
		if got := strings.Join(w.pages("/channels/c/history?"+name+"="+strings.ReplaceAll(at, "@", "%40"), datas), ""); got != "210" {
			t.Errorf("%s: got %s, want 210", name, got)
		}
	}
	for query, code := range map[string]ably.Code{
		"limit=1001": ably.BadParameter, "limit=0": ably.BadParameter, "limit=x": ably.BadParameter, "direction=up": ably.BadParameter, "start=2&end=1": ably.BadParameter,
		"start=x": ably.BadParameter, "end=-1": ably.BadParameter, "from_serial=x": ably.BadParameter, "cursor=x": ably.StaleCursor, "cursor=1.2x": ably.StaleCursor,
	} {
		w.refused(ask{"full", "GET", "/channels/c/messages?" + query, "", false, nil}, code)
	}
	w.refused(ask{"some", "GET", "/channels/c/messages", "", false, nil}, ably.NotPermitted)
	w.want(ask{"some", "GET", "/channels/read/messages", "", false, nil}, 200, `\[\]`)
}

func TestOneMessage(t *testing.T) {
	w := newWorld(t, nil)
	w.want(ask{"full", "POST", "/channels/c/messages", `[{"data":"0"},{"data":"1"}]`, false, nil}, 201, `.*`)
	w.want(ask{"full", "POST", "/channels/c/messages", `{"data":"2"}`, false, nil}, 201, `.*`)
	history := w.ask(ask{"full", "GET", "/channels/c/messages?direction=forwards", "", false, nil})
	for i, part := range strings.Split(history.body, `,"serial":"`)[1:] {
		path := "/channels/c/messages/" + strings.NewReplacer("@", "%40", ":", "%3A").Replace(part[:strings.IndexByte(part, '"')])
		w.want(ask{"full", "GET", path, "", false, nil}, 200, fmt.Sprintf(`\{.*"data":"%d",.*"action":0,"version":\{"serial":%q,"timestamp":\d+\}\}`, i, part[:strings.IndexByte(part, '"')]))
		w.want(ask{"full", "GET", path + "/versions", "", true, nil}, 200, fmt.Sprintf(`\[\{.*"data":"%d".*\}\]`, i))
		w.refused(ask{"full", "PATCH", path, `{}`, false, nil}, ably.MutationDisabled)
		w.refused(ask{"full", "POST", path + "/annotations", `[]`, false, nil}, ably.MutationDisabled)
		w.refused(ask{"full", "GET", path + "/client-summary?forClientId=me", "", false, nil}, ably.MutationDisabled)
	}
	w.refused(ask{"full", "GET", "/channels/c/messages/00000000000001-000@usher:000", "", false, nil}, ably.NotFound)
	w.refused(ask{"full", "GET", "/channels/c/messages/x", "", false, nil}, ably.BadParameter)
}

type asleep struct{}

func (asleep) Wake(*hub.Attachment) {}

// enter has members enter by a connection of their own.
func (w *world) enter(channel string, members ...string) *hub.Connection {
	w.t.Helper()
	conn, err := w.registry.App("app").Connect(hub.Owner{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(conn.Close)
	ctx := context.Background()
	if _, err := conn.Attach(ctx, channel, hub.Attaching{Modes: hub.BePresent | hub.Subscribe, Waker: asleep{}}); err != nil {
		w.t.Fatal(err)
	}
	for i, name := range members {
		done := make(chan error, 1)
		m := []hub.Message{{ClientID: name, Data: "d", Form: hub.Text, Action: hub.Enter}}
		if err := conn.Present(channel, fmt.Sprintf("%s:%d", conn.ID(), i), m, func(_ hub.Position, err error) { done <- err }); err != nil {
			w.t.Fatal(err)
		}
		if err := <-done; err != nil {
			w.t.Fatal(err)
		}
	}
	return conn
}

func clients(body string) (list []string) {
	for _, part := range strings.Split(body, `"clientId":"`)[1:] {
		list = append(list, part[:strings.IndexByte(part, '"')])
	}
	return list
}

func TestPresence(t *testing.T) {
	w := newWorld(t, nil)
	conn := w.enter("see", "b", "a", "c")
	w.enter("see", "b")
	w.want(ask{"some", "GET", "/channels/see/presence?clientId=a", "", true, nil}, 200,
		`\[\{"id":"`+conn.ID()+`:1:0","action":1,"clientId":"a","connectionId":"`+conn.ID()+`","data":"d","timestamp":\d+\}\]`)
	for query, want := range map[string]string{"": "abbc", "?limit=1": "abbc", "?limit=3": "abbc", "?clientId=b": "bb", "?connectionId=" + conn.ID(): "abc", "?clientId=x": ""} {
		if got := strings.Join(w.pages("/channels/see/presence"+query, clients), ""); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	if got := strings.Join(w.pages("/channels/see/presence/history?limit=1&direction=forwards", clients), ""); got != "bacb" {
		t.Errorf("got the history %s, want bacb", got)
	}
	w.refused(ask{"some", "GET", "/channels/other/presence", "", false, nil}, ably.NotPermitted)
	w.refused(ask{"some", "GET", "/channels/see/presence/history", "", false, nil}, ably.NotPermitted)
	w.refused(ask{"some", "GET", "/channels/see/presence?cursor=x", "", false, nil}, ably.StaleCursor)
	w.refused(ask{"some", "GET", "/channels/see/presence?limit=x", "", false, nil}, ably.BadParameter)
	w.want(ask{"some", "GET", "/presence?channels=see,other,:x", "", false, nil}, 200,
		`\{"successCount":1,"failureCount":2,"results":\[\{"channel":"see","presence":\[.*\]\},\{"channel":"other","error":\{[^}]*40160[^}]*\}\},\{"channel":":x","error":\{[^}]*40010[^}]*\}\}\]\}`)
	w.want(ask{"full", "GET", "/presence?channels=a,b%3Bsee&separator=%3B", "", true, nil}, 200,
		`\{"successCount":2,"failureCount":0,"results":\[\{"channel":"a,b","presence":\[\]\},\{"channel":"see","presence":\[.*\]\}\]\}`)
	w.refused(ask{"full", "GET", "/presence", "", false, nil}, ably.BadRequest)
	w.refused(ask{"full", "GET", "/presence?channels=" + strings.Repeat("a,", 100), "", false, nil}, ably.BadRequest)
}

func TestChannels(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"b", "a", "a:1"} {
		w.enter(name, "me")
	}
	w.want(ask{"full", "GET", "/channels/a", "", true, nil}, 200, `\{"channelId":"a","status":\{"isActive":true,"occupancy":\{"metrics":\{"connections":1,.*"presenceMembers":1,.*\}\}\}\}`)
	w.want(ask{"full", "GET", "/channels/nobody", "", false, nil}, 200, `\{"channelId":"nobody","status":\{"isActive":false,.*`)
	names := func(body string) []string { return strings.Split(strings.Trim(body, `[]"`), `","`) }
	for query, want := range map[string]string{"?by=id": "a a:1 b", "?by=id&limit=1": "a a:1 b", "?by=id&prefix=a": "a a:1", "?by=id&limit=2": "a a:1 b"} {
		if got := strings.Join(w.pages("/channels"+query, names), " "); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	w.want(ask{"full", "GET", "/channels?prefix=b", "", false, nil}, 200, `\[\{"channelId":"b","status":.*\}\]`)
	for query, code := range map[string]ably.Code{"by=x": ably.BadParameter, "limit=-1": ably.BadParameter, "cursor=*": ably.StaleCursor} {
		w.refused(ask{"full", "GET", "/channels?" + query, "", false, nil}, code)
	}
	w.refused(ask{"some", "GET", "/channels", "", false, nil}, ably.NotPermitted)
	w.refused(ask{"some", "GET", "/channels/see", "", false, nil}, ably.NotPermitted)
}

// Who asks for an envelope gets the answer without, as the SDKs take it.
func TestEnvelope(t *testing.T) {
	w := newWorld(t, nil)
	w.want(ask{key: "full", method: "POST", path: "/channels/a/messages", body: `[{"data":"1"},{"data":"2"}]`}, 201, ".*")
	for _, pack := range []bool{false, true} {
		for _, path := range []string{"/channels/a?v=6", "/channels/a/messages?limit=1", "/channels/a/messages?limit=x"} {
			plain := w.ask(ask{key: "full", method: "GET", path: path, pack: pack})
			for _, envelope := range []string{"json", "msgpack", "x"} {
				got := w.ask(ask{key: "full", method: "GET", path: path + "&envelope=" + envelope, pack: pack})
				if got.status != plain.status || got.body != plain.body || len(got.header["Link"]) != len(plain.header["Link"]) {
					t.Errorf("%s, envelope %s: got %d %s %v, want %d %s", path, envelope, got.status, got.body, got.header, plain.status, plain.body)
				}
			}
		}
	}
}
