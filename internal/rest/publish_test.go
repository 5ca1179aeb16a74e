package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/rest"
)

const serial = `"\d{14}-\d{3}@usher:\d{3}"`

func TestPublish(t *testing.T) {
	for _, pack := range []bool{false, true} {
		w := newWorld(t, nil)
		post := func(body string) ask { return ask{"full", "POST", "/channels/a%2Fb:c/messages", body, pack, nil} }
		w.want(post(`{"name":"n","data":"x"}`), 201, `\{"channel":"a/b:c","messageId":"\w+:0","serials":\[`+serial+`\]\}`)
		w.want(post(`[{"data":{"a":1}},{"data":"AP8=","encoding":"base64","clientId":"me","extras":{"h":1}}]`), 201, `.*"serials":\[`+serial+`,`+serial+`\]\}`)
		w.want(post(`[{"id":"mine:0","data":"1"},{"id":"mine:1","data":"2"}]`), 201, `\{"channel":"a/b:c","messageId":"mine:0",.*`)
		again := w.want(post(`[{"id":"mine:0","data":"1"},{"id":"mine:1","data":"2"}]`), 201, `.*`)
		history := w.ask(ask{"full", "GET", "/channels/a%2Fb:c/messages?direction=forwards", "", false, nil})
		stamp := serial + `,"action":0,"version":\{"serial":` + serial + `,"timestamp":\d+\}\}`
		data := `\{"id":"\w+:0","name":"n","data":"x","timestamp":\d+,"serial":` + stamp + `,` +
			`\{"id":"\w+:0","data":"\{\\"a\\":1\}","encoding":"json","timestamp":\d+,"serial":` + stamp + `,` +
			`\{"id":"\w+:1","data":"AP8=","encoding":"base64","clientId":"me","timestamp":\d+,"extras":\{"h":1\},"serial":` + stamp + `,` +
			`\{"id":"mine:0","data":"1".*\},\{"id":"mine:1","data":"2".*\}`
		w.want(ask{"full", "GET", "/channels/a%2Fb:c/history?direction=forwards", "", false, nil}, 200, `\[`+data+`\]`)
		if first := strings.Split(again.body, `"serials":["`)[1][:20]; !strings.Contains(history.body, first) {
			t.Errorf("got other serials for the same messages: %s in %s", again.body, history.body)
		}
	}
}

func TestPublishRefused(t *testing.T) {
	w := newWorld(t, nil)
	post := func(body string) ask { return ask{"full", "POST", "/channels/c/messages", body, false, nil} }
	many := "[" + strings.Repeat("{},", 1000) + "{}]"
	for _, tt := range []struct {
		name string
		ask  ask
		code ably.Code
	}{
		{"no JSON", post(`{`), ably.BadRequest},
		{"nothing", post(`[]`), ably.BadMessage},
		{"a number as data", post(`{"data":7}`), ably.BadData},
		{"large", post(`{"data":"` + strings.Repeat("x", 65537) + `"}`), ably.MessageTooLarge},
		{"larger than a body may be", post(`{"data":"` + strings.Repeat("x", 2<<20) + `"}`), ably.MessageTooLarge},
		{"1001 messages", post(many), ably.TooManyMessages},
		{"ids that do not belong together", post(`[{"id":"a:0"},{"id":"b:1"}]`), ably.BadMessageID},
		{"nobody's client id", post(`{"clientId":""}`), ably.BadClientID},
		{"another client", ask{"full", "POST", "/channels/c/messages", `{"clientId":"you"}`, false, clientID("me")}, ably.BadClientID},
		{"a connection that is none", post(`{"connectionKey":"x"}`), ably.BadConnectionKey},
		{"an update", post(`{"action":1,"serial":"x"}`), ably.MutationDisabled},
		{"as was asked for", ask{"full", "POST", "/channels/c/messages?_forceNack=true", `{}`, false, nil}, ably.ForcedNack},
		{"a channel without a name", ask{"full", "POST", "/channels//messages", `{}`, false, nil}, ably.BadChannelName},
		{"a bad name", ask{"full", "POST", "/channels/:x/messages", `{}`, false, nil}, ably.BadChannelName},
		{"no permission", ask{"some", "POST", "/channels/c/messages", `{}`, false, nil}, ably.NotPermitted},
		{"no credential", ask{"", "POST", "/channels/c/messages", `{}`, false, nil}, ably.BadCredential},
		{"a wrong key", ask{"none", "POST", "/channels/c/messages", `{}`, false, nil}, ably.BadCredential},
		{"text", ask{"full", "POST", "/channels/c/messages", `{}`, false, map[string]string{"Content-Type": "text/plain"}}, ably.BadRequest},
		{"a client id that is no UTF-8", ask{"full", "POST", "/channels/c/messages", `{}`, false, clientID("\xff")}, ably.BadClientID},
		{"a client id that is no base64", ask{"full", "POST", "/channels/c/messages", `{}`, false, map[string]string{"X-Ably-ClientId": "*"}}, ably.BadClientID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.refused(tt.ask, tt.code)
		})
	}
	w.t = t
	w.want(ask{"some", "POST", "/channels/can:x/messages", `{}`, true, nil}, 201, `.*`)
	w.refused(ask{"some", "POST", "/channels/c/messages", `{}`, true, nil}, ably.NotPermitted)
}

// Who says by header who it is publishes as that, and on behalf of a connection
// whose key it has.
func TestPublishAs(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) {
		o.Connection = func(app, key string) (string, bool) {
			return "conn1", app == "app" && key == "conn1!key"
		}
	})
	w.want(ask{"full", "POST", "/channels/c/messages", `{"connectionKey":"conn1!key"}`, false, clientID("mé")}, 201, `.*`)
	w.refused(ask{"full", "POST", "/channels/c/messages", `{"connectionKey":"conn1!other"}`, false, nil}, ably.BadConnectionKey)
	w.refused(ask{"full", "POST", "/channels/c/messages", `[{"connectionKey":"conn1!key"},{}]`, false, nil}, ably.BadConnectionKey)
	w.want(ask{"full", "GET", "/channels/c/messages", "", false, nil}, 200, `\[\{"id":"\w+:0","clientId":"mé","connectionId":"conn1",.*\}\]`)
}

func TestBatchPublish(t *testing.T) {
	w := newWorld(t, nil)
	post := func(version int, body string) ask {
		return ask{"some", "POST", "/messages", body, false, map[string]string{"X-Ably-Version": fmt.Sprint(version)}}
	}
	good := `\{"channel":"can:a","messageId":"\w+:0","serials":\[` + serial + `\]\}`
	bad := `\{"channel":"b","error":\{"message":"[^"]*","code":40160,"statusCode":401\}\}`
	w.want(post(3, `{"channels":["can:a","b"],"messages":[{"data":"x"}]}`), 201, `\{"successCount":1,"failureCount":1,"results":\[`+good+`,`+bad+`\]\}`)
	w.want(post(6, `[{"channels":"can:a","messages":{"data":"x"}}]`), 201, `\[\{"successCount":1,"failureCount":0,"results":\[`+good+`\]\}\]`)
	w.want(post(2, `{"channels":["can:a"],"messages":[{}]}`), 201, `\[`+good+`\]`)
	old := w.want(post(2, `{"channels":["can:a","b",":x"],"messages":[{}]}`), 400, `\{"error":\{"message":"[^"]*","code":40020,"statusCode":400\},"batchResponse":\[`+good+`,`+bad+`,.*40010.*\]\}`)
	if old.header.Get("X-Ably-Errorcode") != "40020" {
		t.Errorf("got %v", old.header)
	}
	channels := `["` + strings.Repeat(`c","`, 100) + `c"]`
	for _, body := range []string{`{"channels":[],"messages":[{}]}`, `{"channels":["a"]}`, `[]`, `{"channels":` + channels + `,"messages":[{}]}`} {
		w.refused(post(3, body), ably.BadRequest)
	}
	many := "[" + strings.Repeat("{},", 600) + "{}]"
	w.refused(post(3, `[{"channels":["can:a"],"messages":`+many+`},{"channels":["can:a"],"messages":`+many+`}]`), ably.TooManyMessages)
}

// Answers are for pages of every origin, and say so before.
func TestCORS(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) {
		o.Origins = func(origin string) bool { return origin == "https://good.example" }
	})
	pre := w.ask(ask{"", "OPTIONS", "/channels/c/messages", "", false, map[string]string{"Origin": "https://good.example", "Access-Control-Request-Method": "POST"}})
	if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Origin") != "https://good.example" ||
		!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "X-Ably-ClientId") || !strings.Contains(pre.header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("got %d %v", pre.status, pre.header)
	}
	for _, a := range []ask{{"full", "GET", "/channels/c/messages", "", false, nil}, {"", "GET", "/channels/c/messages", "", false, nil}, {"", "GET", "/time", "", false, nil}} {
		a.header = map[string]string{"Origin": "https://good.example"}
		if got := w.ask(a); got.header.Get("Access-Control-Allow-Origin") != "https://good.example" || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "Link") {
			t.Errorf("%s: got %v", a.path, got.header)
		}
		a.header = map[string]string{"Origin": "https://bad.example"}
		if got := w.ask(a); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %v for another origin", a.path, got.header)
		}
	}
}
