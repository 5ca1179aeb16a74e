package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Every way to ask for apps wrongly, and what it says.
func TestAppsRefusals(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	makeApp(t, g.admin, `{"id":"a"}`)
	makeHubKey(t, g.admin, "a", `{"id":"k"}`)
	many := make(map[string]any)
	for i := range 101 {
		many[fmt.Sprint("n", i)] = map[string]any{}
	}
	tooMany, err := json.Marshal(map[string]any{"namespaces": many})
	if err != nil {
		t.Fatal(err)
	}
	large := `{"capability":{"` + strings.Repeat("c", 1000) + `":["*"],"` + strings.Repeat("d", 1000) + `":["*"],"` + strings.Repeat("e", 1000) + `":["*"]}}`
	deep := strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		detail                   string
	}{
		{"foreign origin", "POST", "apps", `{}`, []string{"Origin", "https://evil.example"}, 403, "other sites"},
		{"foreign get", "GET", "apps/a/keys", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "other sites"},
		{"same site", "DELETE", "apps/a", "", []string{"Sec-Fetch-Site", "same-site"}, 403, "other sites"},
		{"form", "POST", "apps/a/keys", `{}`, []string{"Referer", "http://" + g.admin + "/", "Content-Type", "", "Content-Type", "text/plain"}, 415, "application/json"},
		{"proxied", "GET", "apps", "", []string{"X-Forwarded-For", "192.0.2.1"}, 401, "API key"},
		{"rebound name", "GET", "apps", "", []string{"Host", "evil.example"}, 421, ""},

		{"no object", "POST", "apps", `[]`, nil, 400, "JSON object"},
		{"unknown member", "POST", "apps", `{"status":"enabled"}`, nil, 400, `unknown member "status"; there are id, name`},
		{"twice", "POST", "apps", `{"id":"x","id":"y"}`, nil, 400, "id is there twice"},
		{"empty id", "POST", "apps", `{"id":""}`, nil, 400, "not empty"},
		{"id of others", "POST", "apps", `{"id":"a.b"}`, nil, 400, "letters, digits, - and _"},
		{"id that leads up", "POST", "apps", `{"id":"../keys"}`, nil, 400, "letters, digits, - and _"},
		{"long id", "POST", "apps", `{"id":"` + strings.Repeat("a", 65) + `"}`, nil, 400, "1 to 64"},
		{"number for id", "POST", "apps", `{"id":7}`, nil, 400, "id must be a text"},
		{"id that is taken", "POST", "apps", `{"id":"a"}`, nil, 409, "there is an app with this id"},
		{"id of the default", "POST", "apps", `{"id":"usher"}`, nil, 409, "choose another id"},
		{"default changed", "PATCH", "apps/usher", `{"disabled":true}`, nil, 409, "names none"},
		{"key of the default", "POST", "apps/usher/keys", `{}`, nil, 409, "names none"},
		{"long name", "POST", "apps", `{"name":"` + strings.Repeat("é", 65) + `"}`, nil, 400, "at most 64 characters"},
		{"line break", "POST", "apps", `{"name":"a\nb"}`, nil, 400, "can be printed"},
		{"credential for a name", "POST", "apps", `{"name":"usher_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAA"}`, nil, 400, "looks like a credential"},
		{"disabled as text", "POST", "apps", `{"disabled":"true"}`, nil, 400, "true or false"},
		{"disabled as null", "PATCH", "apps/a", `{"disabled":null}`, nil, 400, "true or false"},
		{"limits as list", "POST", "apps", `{"limits":[]}`, nil, 400, "limits must be a JSON object"},
		{"limit of others", "PATCH", "apps/a", `{"limits":{"rates":1}}`, nil, 400, "limits.rates: unknown key; did you mean rate"},
		{"limit twice", "PATCH", "apps/a", `{"limits":{"rate":1,"rate":2}}`, nil, 400, "rate is there twice"},
		{"limit of nothing", "PATCH", "apps/a", `{"limits":{"rate":0}}`, nil, 400, "limits.rate: want at least 1"},
		{"limit as object", "PATCH", "apps/a", `{"limits":{"rate":{}}}`, nil, 400, "limits.rate: got a map"},
		{"limit in a pit", "PATCH", "apps/a", `{"limits":{"rate":` + deep + `}}`, nil, 400, "limits.rate: got a map"},
		{"namespace with a colon", "PATCH", "apps/a", `{"namespaces":{"a:b":{}}}`, nil, 400, "first colon"},
		{"namespace without a name", "PATCH", "apps/a", `{"namespaces":{"":{}}}`, nil, 400, "first colon"},
		{"long namespace", "PATCH", "apps/a", `{"namespaces":{"` + strings.Repeat("n", 65) + `":{}}}`, nil, 400, "at most 64 bytes"},
		{"retention in seconds", "PATCH", "apps/a", `{"namespaces":{"n":{"retention":3600}}}`, nil, 400, "namespaces.n.retention: got a number, want a time with its unit"},
		{"retention of ages", "PATCH", "apps/a", `{"namespaces":{"n":{"retention":"10000h"}}}`, nil, 400, "at most 8760h"},
		{"namespaces in a pit", "PATCH", "apps/a", `{"namespaces":` + deep + `}`, nil, 400, "namespaces.a.a: unknown key"},
		{"too many namespaces", "PATCH", "apps/a", string(tooMany), nil, 400, "at most 100"},
		{"id is for ever", "PATCH", "apps/a", `{"id":"b"}`, nil, 400, "unknown member"},
		{"no such app", "PATCH", "apps/none", `{}`, nil, 404, "no app with this id"},
		{"no such app to remove", "DELETE", "apps/none", "", nil, 404, "no app with this id"},
		{"no id", "DELETE", "apps/", "", nil, 404, "no app with this id"},
		{"a record of the store", "GET", "apps/a.b", "", nil, 404, "no app with this id"},
		{"delete with a body", "DELETE", "apps/a", "{}", nil, 400, "no body"},
		{"method", "PUT", "apps/a", `{}`, nil, 405, "GET or HEAD or PATCH or DELETE"},
		{"of what there is not", "GET", "apps/a/channels", "", nil, 404, ""},
		{"If-Match without quotes", "PATCH", "apps/a", `{}`, []string{"If-Match", "1"}, 400, "in quotes"},
		{"If-Match of two", "PATCH", "apps/a", `{}`, []string{"If-Match", `"1", "2"`}, 400, "in quotes"},
		{"weak If-Match", "PATCH", "apps/a", `{}`, []string{"If-Match", `W/"1"`}, 400, "in quotes"},
		{"unknown parameter", "GET", "apps?page=1", "", nil, 400, "limit, after"},
		{"limit 0", "GET", "apps?limit=0", "", nil, 400, "1 to 1000"},
		{"parameter of one", "GET", "apps/a?x=1", "", nil, 400, "no parameters"},

		{"own secret", "POST", "apps/a/keys", `{"secret":"0123456789abcdef"}`, nil, 400, "unknown member"},
		{"key that is taken", "POST", "apps/a/keys", `{"id":"k"}`, nil, 409, "a key with this id"},
		{"key with a dot", "POST", "apps/a/keys", `{"id":"a.k"}`, nil, 400, "letters, digits, - and _"},
		{"key of no app", "POST", "apps/none/keys", `{}`, nil, 404, "no app with this id"},
		{"capability in text", "POST", "apps/a/keys", `{"capability":"{}"}`, nil, 400, "must be an object"},
		{"capability that is none", "POST", "apps/a/keys", `{"capability":{"*":["fly"]}}`, nil, 400, "fly"},
		{"capability that is long", "POST", "apps/a/keys", large, nil, 400, "2048 bytes"},
		{"revocable as number", "POST", "apps/a/keys", `{"revocable":1}`, nil, 400, "true or false"},
		{"no such key", "PATCH", "apps/a/keys/none", `{}`, nil, 404, "no key with this id"},
		{"no such key to see", "GET", "apps/a/keys/none", "", nil, 404, "no key with this id"},
		{"no such key to remove", "DELETE", "apps/a/keys/none", "", nil, 404, "no key with this id"},
		{"key by POST", "POST", "apps/a/keys/k", `{}`, nil, 405, "GET or HEAD or PATCH or DELETE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := call(t, g.admin, tt.method, tt.path, tt.body, tt.headers...)
			if got.status != tt.status || !strings.Contains(got.text, strings.ReplaceAll(tt.detail, `"`, `\"`)) {
				t.Errorf("got %d %s, want %d and %q", got.status, got.text, tt.status, tt.detail)
			}
			if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("got Content-Type %q, want a problem document", kind)
			}
		})
	}
	var list struct{ Apps []map[string]any }
	call(t, g.admin, "GET", "apps", "").into(t, http.StatusOK, &list)
	if len(list.Apps) != 2 {
		t.Errorf("got %v: one of these has changed something", list)
	}
	if got := call(t, start(t, front).admin, "GET", "apps", ""); got.status != 404 || !strings.Contains(got.text, "no hub") {
		t.Errorf("got %d %s without a hub", got.status, got.text)
	}
}

// There is a bound to the keys of an app, and to how much it is in all.
func TestAppsAreBounded(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	makeApp(t, g.admin, `{"id":"a"}`)
	for range 100 {
		makeHubKey(t, g.admin, "a", `{}`)
	}
	if got := call(t, g.admin, "POST", "apps/a/keys", `{}`); got.status != http.StatusConflict || !strings.Contains(got.text, "100 keys") {
		t.Errorf("got %d %s, want 409", got.status, got.text)
	}
	makeApp(t, g.admin, `{"id":"b"}`)
	large := `{"capability":{"` + strings.Repeat("c", 1000) + `":["*"],"` + strings.Repeat("d", 1000) + `":["*"]}}`
	n := 0
	for ; n < 100; n++ {
		if got := call(t, g.admin, "POST", "apps/b/keys", large); got.status == http.StatusConflict && strings.Contains(got.text, "more than it can hold") {
			break
		}
	}
	if n < 15 || n == 100 {
		t.Errorf("got %d large keys, want it refused between 15 and 99", n)
	}
	page := call(t, g.admin, "GET", "apps?limit=1&after=a", "")
	if page.status != 200 || !strings.Contains(page.text, `"id": "b"`) || !strings.Contains(page.text, `"next": "b"`) || strings.Contains(page.text, `"id": "a"`) {
		t.Errorf("got %d %s, want the second page", page.status, page.text)
	}
}

// On the public listener it takes an API key that may apps, and no other.
func TestAppsByKey(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	other, good := makeKey(t, g, "connections", "keys", "revocations", "explain", "signing"), makeKey(t, g, "apps")
	makeApp(t, g.admin, `{"id":"a"}`)
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "apps", ""},
		{"POST", "apps", `{}`},
		{"GET", "apps/a", ""},
		{"DELETE", "apps/a", ""},
		{"PATCH", "apps/none", `{}`},
		{"POST", "apps/a/keys", `{}`},
		{"GET", "apps/a/keys", ""},
		{"DELETE", "apps/a/keys/none", ""},
	} {
		for _, addr := range []string{g.public, g.admin} {
			if got := call(t, addr, tt.method, tt.path, tt.body, bearerOf(other)...); got.status != 403 || !strings.Contains(got.text, "lacks the permission apps") {
				t.Errorf("%s %s: got %d %s, want 403", tt.method, tt.path, got.status, got.text)
			}
		}
		if got := call(t, g.public, tt.method, tt.path, tt.body); got.status != 401 {
			t.Errorf("%s %s: got %d %s without a key, want 401", tt.method, tt.path, got.status, got.text)
		}
	}
	if got := call(t, g.public, "POST", "keys", `{"may":["apps"]}`, bearerOf(other)...); got.status != 403 {
		t.Errorf("got %d %s: a key gave what it lacks", got.status, got.text)
	}
	id := makeApp(t, g.public, `{}`, bearerOf(good)...)
	k := makeHubKey(t, g.public, id, `{}`, bearerOf(good)...)
	enters(t, g, "key="+k.Text)
	// The key of an app is none of the admin API's.
	if got := call(t, g.public, "GET", "apps", "", "Authorization", "Bearer "+k.Text); got.status != 401 {
		t.Errorf("got %d %s for the key of an app, want 401", got.status, got.text)
	}
	// Nor may a page have it, wherever from.
	got := call(t, g.public, "GET", "apps", "", append(bearerOf(good), "Origin", "https://app.example.com")...)
	if got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page may read the answer")
	}
}

// The secret of a key is in the one answer, and nowhere else; and it is good after
// a restart.
func TestAppsCanary(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(front, "{memory: true}", "{data: data}", 1) + "hub: {}\n"
	g := startIn(t, dir, text)
	makeApp(t, g.admin, `{"id":"chat"}`)
	k := makeHubKey(t, g.admin, "chat", `{}`)
	_, secret := k.parts()
	shown := ""
	for _, path := range []string{"apps", "apps/chat", "apps/chat/keys", "apps/chat/keys/" + k.ID, "status", "connections"} {
		shown += call(t, g.admin, "GET", path, "").text
	}
	enters(t, g, "key="+k.Text)
	shown += call(t, g.admin, "PATCH", "apps/chat/keys/"+k.ID, `{"name":"renamed","capability":{"a":["*"]},"revocable":true}`).text
	// In the wrong place.
	for _, at := range []string{"apps/" + k.Text, "apps/chat/keys/" + k.Text, "apps/chat/keys/" + secret, "apps?after=" + k.Text} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			body := ""
			if method == "PATCH" {
				body = `{"name":"x"}`
			}
			shown += call(t, g.admin, method, at, body).text
		}
	}
	for _, body := range []string{`{"name":"` + k.Text + `"}`, `{"` + k.Text + `":1}`, `{"id":"` + secret + `"}`, `{"id":"` + k.Text + `"}`} {
		shown += call(t, g.admin, "POST", "apps/chat/keys", body).text
	}
	_, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, "")
	shown += metrics
	g.stop()
	for where, text := range map[string]string{"the log": g.logs.String(), "an answer": shown} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s holds the secret: %q", where, text[max(0, i-200):min(len(text), i+80)])
		}
	}
	if !strings.Contains(g.logs.String(), "key of an app created") || !strings.Contains(shown, "renamed") {
		t.Error("the canary proves nothing")
	}
	again := startIn(t, dir, text)
	enters(t, again, "key="+k.Text)
}
