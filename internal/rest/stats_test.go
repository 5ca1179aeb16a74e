package rest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/rest"
)

// What was counted is told by the minute that it was counted in.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		publish := ask{"full", "POST", "/channels/c/messages", `[{"data":"four"},{"data":"four"}]`, false, nil}
		w.want(publish, 201, `.*`)
		time.Sleep(70 * time.Second) // It is midnight of 2000-01-01, by the clock of the test.
		w.want(publish, 201, `.*`)
		w.want(publish, 201, `.*`)
		minute := func(id, more, n string) string {
			return `\{"intervalId":"2000-01-01:` + id + `","unit":"minute",` + more + `"appId":"app","schema":"[^"]*","entries":\{[^}]*"messages.inbound.all.messages.count":` + n + `,[^}]*\}\}`
		}
		w.want(ask{"full", "GET", "/stats", "", true, nil}, 200, `\[`+minute("00:01", `"inProgress":"2000-01-01:00:01",`, "4")+`,`+minute("00:00", "", "2")+`\]`)
		w.want(ask{"full", "GET", "/stats?direction=forwards&limit=1", "", false, nil}, 200, `\[`+minute("00:00", "", "2")+`\]`)
		w.want(ask{"full", "GET", "/stats?unit=hour", "", false, nil}, 200, `\[\{"intervalId":"2000-01-01:00","unit":"hour",.*"messages.inbound.all.messages.count":6,"messages.inbound.all.messages.data":24.*\}\]`)
		w.want(ask{"full", "GET", "/stats?by=hour", "", false, nil}, 200, `\[\{"intervalId":"2000-01-01:00","unit":"hour",.*\}\]`)
		w.want(ask{"full", "GET", "/stats?by=hour&unit=day", "", false, nil}, 200, `\[\{"intervalId":"2000-01-01","unit":"day",.*\}\]`)
		w.want(ask{"full", "GET", "/stats?start=2000-01-01:00:01", "", false, nil}, 200, `\[`+minute("00:01", `"inProgress":"2000-01-01:00:01",`, "4")+`\]`)
		if got := w.pages("/stats?limit=1", func(body string) []string { return []string{body} }); len(got) != 2 {
			t.Errorf("got %d pages, want 2: %s", len(got), got)
		}
		for query, code := range map[string]ably.Code{"unit=week": ably.BadParameter, "by=week": ably.BadParameter, "limit=0": ably.BadParameter, "cursor=x": ably.StaleCursor, "start=x": ably.BadParameter} {
			w.refused(ask{"full", "GET", "/stats?" + query, "", false, nil}, code)
		}
		w.refused(ask{"some", "GET", "/stats", "", false, nil}, ably.NotPermitted)
		w.refused(ask{"", "GET", "/stats", "", false, nil}, ably.BadCredential)
		// An app that is gone leaves nothing behind.
		w.registry.Remove("app")
		time.Sleep(10 * time.Second)
		w.refused(ask{"full", "GET", "/stats", "", false, nil}, ably.BadCredential)
	})
}

// An app that is made with the id of one that is no more has done nothing yet,
// however soon it comes.
func TestStatsOfAnotherApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		publish := ask{"full", "POST", "/channels/c/messages", `[{"data":"four"},{"data":"four"}]`, false, nil}
		w.want(publish, 201, `.*`)
		time.Sleep(70 * time.Second)
		w.registry.Remove("app")
		w.setApp()
		w.want(ask{"full", "POST", "/channels/c/messages", `[{"data":"four"}]`, false, nil}, 201, `.*`)
		w.want(ask{"full", "GET", "/stats", "", false, nil}, 200, `\[\{"intervalId":"2000-01-01:00:01",[^{]*\{[^}]*"messages.inbound.all.messages.count":1,[^}]*\}\}\]`)
	})
}

// What the SDKs' tests put in shows with its sums, once however often they say it,
// and to clients of old versions in the old form.
func TestStatsFixtures(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) { o.Sandbox = &rest.Sandbox{} })
	fixtures := `[{"intervalId":"2025-02-03:15:03","inbound":{"realtime":{"messages":{"count":50,"data":5000}}},"outbound":{"realtime":{"messages":{"count":20,"data":2000}}},"connections":{"tls":{"peak":20,"opened":10}}},{"intervalId":"2025-02-03:15:04","inbound":{"realtime":{"messages":{"count":60}}},"connections":{"tls":{"peak":10}}}]`
	w.want(ask{"full", "POST", "/stats", fixtures, false, nil}, 201, `\[\]`)
	w.want(ask{"full", "POST", "/stats", fixtures, true, nil}, 201, `\[\]`)
	minute := "/stats?start=2025-02-03:15:03&end=2025-02-03:15:03&direction=forwards"
	w.want(ask{"full", "GET", minute, "", false, nil}, 200,
		`\[\{"intervalId":"2025-02-03:15:03",.*"connections.tls.opened":10,"connections.tls.peak":20,"messages.all.all.count":70,"messages.all.all.data":7000,"messages.all.messages.count":70,.*"messages.inbound.all.all.count":50,.*"messages.inbound.realtime.messages.count":50,.*"messages.outbound.realtime.all.count":20,.*\}\]`)
	w.want(ask{"full", "GET", "/stats?end=2025-02-03:15:05&unit=day", "", true, nil}, 200, `\[\{"intervalId":"2025-02-03",.*"connections.tls.peak":20,.*"messages.inbound.realtime.messages.count":110,.*\}\]`)

	// The sums may be put in as well.
	w.want(ask{"full", "POST", "/stats", `[{"intervalId":"2025-02-03:15:03","unit":"minute","inProgress":"","count":0,"all":{"all":{"count":5},"messages":{"count":5}},"inbound":{"all":{"all":{"count":5},"messages":{"count":5}},"realtime":{"all":{"count":5},"messages":{"count":5}}},"persisted":{"presence":{"count":3}}}]`, false, nil}, 201, `\[\]`)
	both := `"all":\{"count":5\},"messages":\{"count":5\}`
	for _, pack := range []bool{false, true} {
		w.want(ask{"full", "GET", minute, "", pack, map[string]string{"X-Ably-Version": "2"}}, 200,
			`\[\{"intervalId":"2025-02-03:15:03","unit":"minute","appId":"app","all":\{`+both+`\},"connections":\{"tls":\{"peak":20\}\},"inbound":\{"all":\{`+both+`\},"realtime":\{`+both+`\}\},"persisted":\{"presence":\{"count":3\}\}\}\]`)
	}
	for _, body := range []string{`{}`, `[{"intervalId":"x"}]`, `[{}]`} {
		w.refused(ask{"full", "POST", "/stats", body, false, nil}, ably.BadRequest)
	}
}

// The SDKs' tests make apps for themselves.
func TestSandbox(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) { o.Sandbox = &rest.Sandbox{Endpoint: "127.0.0.1", Port: 1234} })
	setup := `{"limits":{"presence":{"maxMembers":250}},"keys":[{},{"capability":"{ \"a\":[\"publish\"],  \"b:*\":[\"subscribe\"] }"},{"revocableTokens":true}],` +
		`"namespaces":[{"id":"persisted","persisted":true},{"id":"mutable","mutableMessages":true}],` +
		`"channels":[{"name":"persisted:presence_fixtures","presence":[{"clientId":"client_bool","data":"true"},{"clientId":"client_encoded","data":"AP8=","encoding":"json/utf-8/cipher+aes-128-cbc/base64"}]}]}`
	key := `\{"id":"k\w+","value":"\w+","keyName":"k\w+\.k\w+","keySecret":"\w+","keyStr":"k\w+\.k\w+:\w+","capability":"%s","revocableTokens":%s\}`
	got := w.want(ask{"", "POST", "/apps", setup, false, nil}, 201, `\{"accountId":"sandbox","appId":"k\w+","channels":\[.*\],"endpoint":"127.0.0.1","keys":\[`+
		printf(key, `\{\\"\*\\":\[\\"\*\\"\]\}`, "false")+`,`+printf(key, `\{\\"a\\":\[\\"publish\\"\],\\"b:\*\\":\[\\"subscribe\\"\]\}`, "false")+`,`+
		printf(key, `.*`, "true")+`\],"limits":.*,"namespaces":\[.*\],"port":1234,"tls":false\}`)
	name, secret := between(got.body, `"keyName":"`), between(got.body, `"keySecret":"`)
	basic := map[string]string{"Authorization": basicAuth(name, secret)}
	w.want(ask{"", "GET", "/channels/persisted:presence_fixtures/presence", "", false, basic}, 200,
		`\[\{.*"clientId":"client_bool",.*"data":"true".*\},\{.*"clientId":"client_encoded",.*"data":"AP8=","encoding":"json/utf-8/cipher\+aes-128-cbc/base64".*\}\]`)
	w.want(ask{"", "GET", "/channels/persisted:presence_fixtures/presence/history", "", false, basic}, 200, `\[\{.*client_encoded.*client_bool.*\}\]`)
	app := between(got.body, `"appId":"`)
	w.refused(ask{"full", "DELETE", "/apps/" + app, "", false, nil}, ably.NotPermitted)
	w.want(ask{"", "DELETE", "/apps/" + app, "", false, basic}, 200, `\[\]`)
	w.refused(ask{"", "GET", "/channels/c", "", false, basic}, ably.BadCredential)
	for _, body := range []string{`[]`, `null`, `{"keys":[{"capability":"{\"a\":[\"fly\"]}"}]}`} {
		w.refused(ask{"", "POST", "/apps", body, false, nil}, ably.BadRequest)
	}
}
