package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every way to ask the admin listener wrongly, and what it says.
func TestAPIRefusals(t *testing.T) {
	g := twoRoutes(t)
	sub := `{"subject":"alice"}`
	own := "http://" + g.admin
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		detail                   string
	}{
		{"foreign origin", "POST", "revocations", sub, []string{"Origin", "https://evil.example"}, 403, "other sites"},
		{"origin of another port", "POST", "revocations", sub, []string{"Origin", "http://127.0.0.1:1"}, 403, "other sites"},
		{"origin null", "POST", "revocations", sub, []string{"Origin", "null"}, 403, "other sites"},
		{"empty origin", "GET", "connections", "", []string{"Origin", " "}, 403, "other sites"},
		{"two origins", "POST", "revocations", sub, []string{"Origin", own, "Origin", own}, 403, "other sites"},
		{"foreign get", "GET", "connections", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "other sites"},
		{"same site", "GET", "connections", "", []string{"Sec-Fetch-Site", "same-site"}, 403, "other sites"},
		{"two sites", "GET", "keys", "", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Site", "cross-site"}, 403, "other sites"},
		{"foreign status", "GET", "status", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "other sites"},
		{"foreign explain", "GET", "explain/x", "", []string{"Origin", "https://evil.example"}, 403, "other sites"},
		{"form", "POST", "revocations", sub, []string{"Origin", own, "Content-Type", "", "Content-Type", "text/plain"}, 415, "application/json"},
		{"no type", "POST", "revocations", sub, []string{"Origin", own, "Content-Type", ""}, 415, "application/json"},
		{"two types", "POST", "revocations", sub, []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "application/json"}, 415, "application/json"},
		{"delete without type", "DELETE", "keys/aaaaaaaaaaaa", "", []string{"Referer", own + "/", "Content-Type", ""}, 415, "application/json"},
		{"proxied", "GET", "connections", "", []string{"X-Forwarded-For", "192.0.2.1"}, 401, "API key"},
		{"proxied explain", "GET", "explain/x", "", []string{"X-Forwarded-For", "192.0.2.1"}, 401, "API key"},
		{"proxied status", "GET", "status", "", []string{"X-Forwarded-For", "192.0.2.1"}, 401, "API key"},
		{"status with a wrong key", "GET", "status", "", []string{"Authorization", "Bearer x"}, 401, "API key"},
		{"name of another host", "GET", "connections", "", []string{"Host", "evil.example"}, 421, ""},
		{"wrong key", "GET", "connections", "", []string{"Authorization", "Bearer usher_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 401, "API key"},
		{"method", "DELETE", "connections", "", nil, 405, "GET"},
		{"method of revocations", "GET", "revocations", "", nil, 405, "the method must be POST"},
		{"method of status", "POST", "status", "", nil, 405, "must be GET or HEAD"},
		{"unknown path", "GET", "nothing", "", nil, 404, ""},
		{"unknown path with a method", "POST", "nothing", "", nil, 404, ""},
		{"of the public listener", "POST", "tickets", "", nil, 404, "public listener"},

		{"empty body", "POST", "revocations", " ", nil, 400, "JSON object"},
		{"no object", "POST", "revocations", `["alice"]`, nil, 400, "JSON object"},
		{"nobody", "POST", "revocations", `{}`, nil, 400, "revocation of nobody"},
		{"unknown member", "POST", "revocations", `{"subject":"alice","issued_befor":1}`, nil, 400, `unknown member "issued_befor"`},
		{"another case", "POST", "revocations", `{"Subject":"alice"}`, nil, 400, `unknown member "Subject"`},
		{"twice", "POST", "revocations", `{"subject":"alice","subject":"bob"}`, nil, 400, "subject is there twice"},
		{"trailing", "POST", "revocations", sub + sub, nil, 400, "follows"},
		{"cut short", "POST", "revocations", `{"subject":"alice"`, nil, 400, "malformed"},
		{"number for text", "POST", "revocations", `{"subject":1}`, nil, 400, "subject must be a text"},
		{"null", "POST", "revocations", `{"issuer":"test","subject":null}`, nil, 400, "subject must be a text"},
		{"empty text", "POST", "revocations", `{"issuer":"test","subject":""}`, nil, 400, "subject must be a text that is not empty"},
		{"not utf-8", "POST", "revocations", "{\"subject\":\"\xff\"}", nil, 400, "UTF-8"},
		{"two names", "POST", "revocations", `{"subject":"alice","token":"x"}`, nil, 400, "more than one"},
		{"long name", "POST", "revocations", `{"subject":"` + strings.Repeat("x", 9000) + `"}`, nil, 400, "1024"},
		{"long reason", "POST", "revocations", `{"subject":"a","reason":"` + strings.Repeat("x", 300) + `"}`, nil, 400, "256"},
		{"long body", "POST", "revocations", `{"subject":"` + strings.Repeat("x", 200<<10) + `"}`, nil, 413, "longer"},
		{"whole token", "POST", "revocations", `{"token":"` + token(t, secret, nil) + `"}`, nil, 400, "token looks like a whole token"},
		{"encrypted token", "POST", "revocations", `{"session":"eyJhbGciOiJkaXIifQ..a.b.c"}`, nil, 400, "looks like a whole token"},
		{"header and token", "POST", "revocations", `{"subject":"bearer ` + token(t, secret, nil) + `"}`, nil, 400, "looks like a whole token"},
		{"API key", "POST", "revocations", `{"token":"usher_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAA"}`, nil, 400, "looks like a whole token"},
		{"year 0", "POST", "revocations", `{"subject":"a","issued_before":"0000-01-01T00:00:00+23:59"}`, nil, 400, "2026-03-01T10:00:00Z"},
		{"milliseconds", "POST", "revocations", `{"subject":"a","issued_before":1767225600000}`, nil, 400, "seconds since 1970"},
		{"future", "POST", "revocations", `{"subject":"a","issued_before":9999999999}`, nil, 400, "ahead"},
		{"before 1970", "POST", "revocations", `{"subject":"a","issued_before":-1}`, nil, 400, "seconds since 1970"},
		{"no time", "POST", "revocations", `{"subject":"a","issued_before":"yesterday"}`, nil, 400, "2026-03-01T10:00:00Z"},
		{"true for time", "POST", "revocations", `{"subject":"a","issued_before":true}`, nil, 400, "seconds since 1970"},
		{"beyond numbers", "POST", "revocations", `{"subject":"a","issued_before":1e999}`, nil, 400, "seconds since 1970"},

		{"unknown parameter", "GET", "connections?subjet=alice", "", nil, 400, `unknown parameter "subjet"`},
		{"parameter twice", "GET", "connections?subject=a&subject=b", "", nil, 400, "subject must be there once"},
		{"empty parameter", "GET", "connections?subject=", "", nil, 400, "not empty"},
		{"malformed query", "GET", "connections?subject=%zz", "", nil, 400, "malformed"},
		{"limit 0", "GET", "connections?limit=0", "", nil, 400, "1 to 1000"},
		{"limit 1001", "GET", "connections?limit=1001", "", nil, 400, "1 to 1000"},
		{"after", "GET", "connections?after=-1", "", nil, 400, "after"},

		{"key that may nothing", "POST", "keys", `{"name":"x"}`, nil, 400, "may"},
		{"key that may no such thing", "POST", "keys", `{"may":["everything"]}`, nil, 400, "unknown permission"},
		{"may is no list", "POST", "keys", `{"may":"keys"}`, nil, 400, "list of texts"},
		{"may has a null", "POST", "keys", `{"may":[null]}`, nil, 400, "list of texts"},
		{"long key name", "POST", "keys", `{"name":"` + strings.Repeat("x ", 33) + `","may":["keys"]}`, nil, 400, "64"},
		{"key that has expired", "POST", "keys", `{"may":["keys"],"expires_in":0}`, nil, 400, "expires_in"},
		{"key of ages", "POST", "keys", `{"may":["keys"],"expires_in":1e18}`, nil, 400, "expires_in"},
		{"scope of no use", "POST", "keys", `{"may":["keys"],"scope":"chat"}`, nil, 400, "tokens, exchange"},
		{"capability in text", "POST", "keys", `{"may":["tokens"],"capability":"{}"}`, nil, 400, "must be an object"},
		{"capability that is none", "POST", "keys", `{"may":["tokens"],"capability":{"*":["fly"]}}`, nil, 400, "fly"},
		{"audience in text", "POST", "keys", `{"may":["tokens"],"audiences":"a"}`, nil, 400, "list of texts"},
		{"rotate for ages", "POST", "keys/aaaaaaaaaaaa/rotate", `{"overlap":2592001}`, nil, 400, "from 0 to 2592000"},
		{"rotate back in time", "POST", "keys/aaaaaaaaaaaa/rotate", `{"overlap":-1}`, nil, 400, "from 0 to 2592000"},
		{"rotate without a body", "POST", "keys/aaaaaaaaaaaa/rotate", ``, nil, 400, "JSON object"},
		{"no such key to rotate", "POST", "keys/aaaaaaaaaaaa/rotate", `{}`, nil, 404, "no API key"},
		{"rotate by GET", "GET", "keys/aaaaaaaaaaaa/rotate", ``, nil, 405, "POST"},
		{"disabled is missing", "PATCH", "keys/aaaaaaaaaaaa", `{}`, nil, 400, "true or false"},
		{"disabled is a text", "PATCH", "keys/aaaaaaaaaaaa", `{"disabled":"true"}`, nil, 400, "true or false"},
		{"no such key", "PATCH", "keys/aaaaaaaaaaaa", `{"disabled":true}`, nil, 404, "no API key"},
		{"no such key to remove", "DELETE", "keys/aaaaaaaaaaaa", "", nil, 404, "no API key"},
		{"no id", "DELETE", "keys/", "", nil, 404, "no API key"},
		{"delete with a body", "DELETE", "keys/aaaaaaaaaaaa", "{}", nil, 400, "no body"},
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
			if got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("a page of another site may read the answer")
			}
		})
	}
	if got := call(t, g.admin, "POST", "revocations", sub, "Origin", own, "Sec-Fetch-Site", "same-origin"); got.status != 200 {
		t.Errorf("got %d %s for the listener's own origin, want 200", got.status, got.text)
	}
	if got := call(t, g.admin, "POST", "revocations", sub, "Content-Type", ""); got.status != 200 {
		t.Errorf("got %d %s for a program that says no type, want 200", got.status, got.text)
	}
	if res, _ := do(t, "GET", own+"/healthz", http.Header{"Origin": {"https://evil.example"}}, ""); res.StatusCode != http.StatusOK {
		t.Errorf("got %d from healthz for a foreign page, want 200", res.StatusCode)
	}
}

// On the public listener the API is for keys that may; nobody else learns more.
func TestAPIOnPublic(t *testing.T) {
	g := twoRoutes(t)
	all := makeKey(t, g, "connections", "explain", "keys", "revocations")
	none := call(t, g.public, "GET", "connections", "")
	ways := map[string][]string{
		"no key": nil, "user's token": {"Authorization", bearer(t).Get("Authorization")},
		"wrong secret":  {"Authorization", "Bearer " + all.Text[:len(all.Text)-4] + "AAAA"},
		"two":           {"Authorization", "Bearer " + all.Text, "Authorization", "Bearer " + all.Text},
		"basic":         {"Authorization", "Basic " + all.Text},
		"in lower case": {"Authorization", "Bearer " + strings.ToLower(all.Text)},
	}
	paths := []struct{ method, path, body string }{
		{"GET", "connections", ""},
		{"POST", "revocations", `{"subject":"alice"}`},
		{"POST", "revocations", "nonsense"},
		{"GET", "keys", ""},
		{"POST", "keys", `{"may":["keys"]}`},
		{"PATCH", "keys/" + all.ID, `{"disabled":true}`},
		{"POST", "keys/" + all.ID + "/rotate", "{}"},
		{"DELETE", "keys/" + all.ID, ""},
		{"GET", "explain/AAAAAAAAAAAA", ""},
		{"OPTIONS", "connections", ""},
		{"DELETE", "connections", ""},
		{"PATCH", "keys/aaaaaaaaaaaa", `{"disabled":true}`},
		{"GET", "connections?nonsense", ""},
	}
	for name, headers := range ways {
		for _, p := range paths {
			got := call(t, g.public, p.method, p.path, p.body, append([]string{"Origin", page}, headers...)...)
			if got.status != 401 || got.header.Get("WWW-Authenticate") != "Bearer" || got.text != none.text || got.header.Get("Allow") != "" {
				t.Errorf("%s: %s %s: got %d %v %s, want the 401 of all", name, p.method, p.path, got.status, got.header, got.text)
			}
			for header := range got.header {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("%s: %s %s: got %s", name, p.method, p.path, header)
				}
			}
		}
	}
	if got := call(t, g.public, "GET", "connections", "", append(bearerOf(all), "Host", "evil.example")...); got.status != 200 {
		t.Errorf("got %d where any name is served, want 200", got.status)
	}
	for _, may := range []string{"connections", "explain", "keys", "revocations"} {
		k := makeKey(t, g, may)
		for _, p := range []struct {
			need, method, path, body string
			status                   int
		}{
			{"connections", "GET", "connections", "", 200},
			{"revocations", "POST", "revocations", `{"subject":"nobody"}`, 200},
			{"explain", "GET", "explain/AAAAAAAAAAAA", "", 404},
			{"keys", "GET", "keys", "", 200},
			{"keys", "PATCH", "keys/aaaaaaaaaaaa", `{"disabled":true}`, 404},
			{"keys", "DELETE", "keys/aaaaaaaaaaaa", "", 404},
		} {
			want := p.status
			if p.need != may {
				want = 403
			}
			for _, addr := range []string{g.public, g.admin} {
				if got := call(t, addr, p.method, p.path, p.body, bearerOf(k)...); got.status != want {
					t.Errorf("a key that may %s: %s %s at %s: got %d %s, want %d", may, p.method, p.path, addr, got.status, got.text, want)
				}
			}
		}
	}
	for may, want := range map[string]int{"explain": 200, "connections": 403} {
		with := append(bearerOf(makeKey(t, g, may)), "X-Forwarded-For", "192.0.2.1")
		if got := call(t, g.admin, "GET", "status", "", with...); got.status != want {
			t.Errorf("got %d for the status with a key that may %s, want %d", got.status, may, want)
		}
	}
	if got := call(t, g.public, "GET", "status", "", bearerOf(all)...); got.status != 404 {
		t.Errorf("got %d for what is on the admin listener only, want 404", got.status)
	}
}

// TestAPIKeys: a key gives nothing that it does not have, and what is disabled,
// removed or over opens nothing.
func TestAPIKeys(t *testing.T) {
	g := twoRoutes(t)
	keeper := makeKey(t, g, "keys", "explain")
	var short madeKey
	call(t, g.admin, "POST", "keys", `{"may":["keys"],"expires_in":3600}`).into(t, 201, &short)
	for _, tt := range []struct {
		name, body string
		by         madeKey
		status     int
	}{
		{"less", `{"may":["explain"]}`, keeper, 201},
		{"as much", `{"may":["keys","explain"],"expires_in":60}`, keeper, 201},
		{"more", `{"may":["keys","revocations"]}`, keeper, 403},
		{"as long", `{"may":["keys"],"expires_in":3000}`, short, 201},
		{"longer", `{"may":["keys"],"expires_in":7200}`, short, 403},
	} {
		if got := call(t, g.public, "POST", "keys", tt.body, bearerOf(tt.by)...); got.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.name, got.status, got.text, tt.status)
		}
	}
	var child madeKey
	call(t, g.public, "POST", "keys", `{"may":["keys"]}`, bearerOf(short)...).into(t, 201, &child)
	if !child.Expires.Equal(short.Expires) || time.Until(child.Expires) > time.Hour {
		t.Errorf("got a key until %v of one until %v", child.Expires, short.Expires)
	}
	strong := makeKey(t, g, "revocations")
	if got := call(t, g.public, "PATCH", "keys/"+strong.ID, `{"disabled":true}`, bearerOf(keeper)...); got.status != 200 {
		t.Errorf("got %d %s, want any key disabled", got.status, got.text)
	}
	if got := call(t, g.public, "POST", "revocations", `{"subject":"x"}`, bearerOf(strong)...); got.status != 401 {
		t.Errorf("got %d for a disabled key, want 401", got.status)
	}
	if got := call(t, g.public, "PATCH", "keys/"+strong.ID, `{"disabled":false}`, bearerOf(keeper)...); got.status != 403 {
		t.Errorf("got %d %s: a key was enabled by one that may less", got.status, got.text)
	}
	if got := call(t, g.admin, "PATCH", "keys/"+strong.ID, `{"disabled":false}`); got.status != 200 {
		t.Errorf("got %d %s", got.status, got.text)
	}
	if got := call(t, g.public, "POST", "revocations", `{"subject":"x"}`, bearerOf(strong)...); got.status != 200 {
		t.Errorf("got %d for a key that was enabled again, want 200", got.status)
	}
	if got := call(t, g.public, "DELETE", "keys/"+strong.ID, "", bearerOf(keeper)...); got.status != 204 || got.text != "" {
		t.Errorf("got %d %s, want 204", got.status, got.text)
	}
	if got := call(t, g.public, "POST", "revocations", `{"subject":"x"}`, bearerOf(strong)...); got.status != 401 {
		t.Errorf("got %d for a removed key, want 401", got.status)
	}
	var list struct{ Keys []madeKey }
	call(t, g.admin, "GET", "keys", "").into(t, 200, &list)
	if len(list.Keys) != 6 || list.Keys[0].ID != keeper.ID || list.Keys[0].Text != "" || list.Keys[0].Name != "test" {
		t.Errorf("got %+v", list.Keys)
	}
}
