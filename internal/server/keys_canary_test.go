package server_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// TestKeysCanary: no API key, good or bad, wherever it was put, is in anything
// that the gateway logs, tells, shows to its operator or sends to a backend.
func TestKeysCanary(t *testing.T) {
	b := newBackend(t)
	g := allCarriers(t, b)
	good := makeKey(t, g, "connections", "explain", "keys", "revocations")
	gone := makeKey(t, g, "keys")
	call(t, g.admin, "PATCH", "keys/"+gone.ID, `{"disabled":true}`)
	forged := good.Text[:len(good.Text)-12] + "CANARYCANARY"
	var answers strings.Builder
	for _, text := range []string{good.Text, gone.Text, forged} {
		headers := [][]string{
			{"Authorization", "Bearer " + text},
			{"Authorization", "bearer  " + text},
			{"Authorization", "Bearer" + text},
			{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+text))},
			{"Cookie", "sid=" + text},
		}
		for _, h := range headers {
			for _, addr := range []string{g.public, g.admin} {
				for _, path := range []string{"connections", "keys", "keys/" + good.ID, "explain/AAAAAAAAAAAA", "status", "tickets?route=/chat", "sessions/renew"} {
					answers.WriteString(call(t, addr, "GET", path, "", h...).text)
					answers.WriteString(call(t, addr, "POST", path, "", h...).text)
				}
				answers.WriteString(call(t, addr, "POST", "revocations", `{"subject":"nobody"}`, h...).text)
			}
			_, body := do(t, http.MethodGet, "http://"+g.public+"/chat", http.Header{h[0]: {h[1]}}, "")
			answers.WriteString(body)
		}
		// In the wrong place.
		for _, addr := range []string{g.public, g.admin} {
			answers.WriteString(call(t, addr, "GET", "connections?access_token="+text, "").text)
			answers.WriteString(call(t, addr, "GET", "explain/"+text, "", bearerOf(good)...).text)
			answers.WriteString(call(t, addr, "DELETE", "keys/"+text, "", bearerOf(good)...).text)
			answers.WriteString(call(t, addr, "PATCH", "keys/"+text, `{"disabled":true}`, bearerOf(good)...).text)
			answers.WriteString(call(t, addr, "POST", "revocations", `{"`+text+`":"x"}`, bearerOf(good)...).text)
			answers.WriteString(call(t, addr, "POST", "revocations", `{"subject":"`+text+`"}`, bearerOf(good)...).text)
			answers.WriteString(call(t, addr, "POST", "keys", `{"name":"`+text+`","may":["keys"]}`, bearerOf(good)...).text)
			answers.WriteString(call(t, addr, "POST", "keys", `{"may":["`+text+`"]}`, bearerOf(good)...).text)
		}
		_, body := do(t, http.MethodGet, "http://"+g.public+"/chat?access_token="+text, nil, "")
		answers.WriteString(body)
	}
	shown := call(t, g.admin, "GET", "status", "").text + call(t, g.admin, "GET", "keys", "").text
	_, metrics := do(t, http.MethodGet, "http://"+g.admin+"/metrics", nil, "")
	shown += metrics
	for _, id := range explainIDs(answers.String()) {
		shown += call(t, g.admin, "GET", "explain/"+id, "").text
	}
	g.stop()
	for where, text := range map[string]string{
		"the log": g.logs.String(), "what the operator sees": shown, "the backend": b.got.String(), "an answer": answers.String(),
	} {
		for _, key := range []string{good.Text, gone.Text, forged} {
			for _, form := range formsOf(key) {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s holds an API key, as %q: %q", where, form, text[max(0, i-300):min(len(text), i+60)])
				}
			}
		}
	}
	for _, alive := range []struct{ name, text, part string }{
		{"log", g.logs.String(), "api call refused"},
		{"log", g.logs.String(), "key_id=" + good.ID},
		{"log", g.logs.String(), "API key is not valid: disabled"},
		{"log", g.logs.String(), "its secret is another"},
		{"answers", answers.String(), good.ID},
		{"answers", answers.String(), "needs an API key"},
		{"operator's view", shown, `result="unauthenticated"`},
		{"operator's view", shown, good.ID},
	} {
		if !strings.Contains(alive.text, alive.part) {
			t.Errorf("the %s of %d bytes has no %q: the canary proves nothing", alive.name, len(alive.text), alive.part)
		}
	}
}
