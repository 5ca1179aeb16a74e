package rest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

// post sends a body as it is, of a type.
func (w *world) post(path, media, body string, header map[string]string) reply {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	for name, v := range header {
		r.Header.Set(name, v)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return reply{rec.Code, rec.Header(), rec.Body.String()}
}

// A token request may be a form, signed as ever, and what is signed is what stands
// in it.
func TestRequestTokenForm(t *testing.T) {
	w := newWorld(t, nil)
	form := func(nonce string, change func(url.Values)) string {
		r := &ably.TokenRequest{KeyName: "app.full", ClientID: "me & you", TTL: 60000, Capability: `{"c":["publish"]}`, Timestamp: time.Now().UnixMilli(), Nonce: "0123456789abcde" + nonce}
		r.Sign(secret)
		v := url.Values{
			"keyName": {r.KeyName}, "clientId": {r.ClientID}, "ttl": {"60000"}, "capability": {r.Capability},
			"timestamp": {strconv.FormatInt(r.Timestamp, 10)}, "nonce": {r.Nonce}, "mac": {r.MAC}, "other": {"x"},
		}
		if change != nil {
			change(v)
		}
		return v.Encode()
	}
	const path = "/keys/app.full/requestToken"
	for _, media := range []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8"} {
		got := w.post(path, media, form(media[len(media)-1:], nil), nil)
		if got.status != 201 || !strings.Contains(got.body, `"clientId":"me & you"`) {
			t.Fatalf("%s: got %d %s", media, got.status, got.body)
		}
	}
	for name, tt := range map[string]struct {
		change func(url.Values)
		code   string
	}{
		"another client's": {func(v url.Values) { v.Set("clientId", "you") }, "40101"},
		"twice":            {func(v url.Values) { v.Add("clientId", "you") }, "40000"},
		"a ttl of words":   {func(v url.Values) { v.Set("ttl", "long") }, "40003"},
		"an empty client":  {func(v url.Values) { v.Set("clientId", "") }, "40012"},
		"no mac":           {func(v url.Values) { v.Del("mac") }, "40101"},
		"no UTF-8":         {func(v url.Values) { v.Set("clientId", "\xff") }, "40000"},
	} {
		if got := w.post(path, "application/x-www-form-urlencoded", form(name, tt.change), nil); got.header.Get("X-Ably-Errorcode") != tt.code {
			t.Errorf("%s: got %d %s, want %s", name, got.status, got.body, tt.code)
		}
	}
	if got := w.post(path, "application/x-www-form-urlencoded", "a=%zz", nil); got.header.Get("X-Ably-Errorcode") != "40000" {
		t.Errorf("got %d %s for a malformed form", got.status, got.body)
	}
	// Nothing else is a form.
	if got := w.post("/channels/c/messages", "application/x-www-form-urlencoded", "data=x", map[string]string{"Authorization": basicAuth("app.full", secret)}); got.status != 400 {
		t.Errorf("got %d %s for a message, want it refused", got.status, got.body)
	}
}

// A body may be the data itself, and is no more than that.
func TestPublishBare(t *testing.T) {
	w := newWorld(t, nil)
	key := map[string]string{"Authorization": basicAuth("app.full", secret)}
	for i, tt := range []struct{ media, body, want string }{
		{"text/plain; charset=utf-8", `{"name":"x"}`, `"name":"n","data":"{\"name\":\"x\"}"`},
		{"application/json", `{"a":[1]}`, `"name":"n","data":"{\"a\":[1]}","encoding":"json"`},
		{"application/json", ` "text"`, `"name":"n","data":"text"`},
		{"application/octet-stream", "\xff\x00", `"name":"n","data":"/wA=","encoding":"base64"`},
	} {
		channel := "c" + strconv.Itoa(i)
		if got := w.post("/channels/"+channel+"/messages?enveloped=false&name=n", tt.media, tt.body, key); got.status != 201 {
			t.Fatalf("%s: got %d %s", tt.media, got.status, got.body)
		}
		w.want(ask{"full", "GET", "/channels/" + channel + "/messages", "", false, nil}, 200, `\[.*\]`)
		if got := w.ask(ask{"full", "GET", "/channels/" + channel + "/messages", "", false, nil}); !strings.Contains(got.body, tt.want) || strings.Count(got.body, `"id"`) != 1 {
			t.Errorf("%s: got %s, want one message with %s", tt.media, got.body, tt.want)
		}
	}
	key["X-Ably-Name"] = "by header"
	if got := w.post("/channels/h/messages?enveloped=false", "text/plain", "x", key); got.status != 201 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	w.want(ask{"full", "GET", "/channels/h/messages", "", false, nil}, 200, `\[.*"name":"by header","data":"x".*\]`)
	for _, tt := range []struct{ media, body, code string }{
		{"application/json", `1},"clientId":{`, "40000"},
		{"application/json", `"x","clientId":"root"`, "40000"},
		{"application/json", `{`, "40000"},
		{"application/json", `7`, "40013"},
		{"text/plain", "\xff", "40013"},
		{"image/png", "x", "40000"},
		{"text/plain", strings.Repeat("x", 65_537), "40009"},
	} {
		if got := w.post("/channels/c/messages?enveloped=false", tt.media, tt.body, key); got.header.Get("X-Ably-Errorcode") != tt.code {
			t.Errorf("%s %.20s: got %d %s, want %s", tt.media, tt.body, got.status, got.body, tt.code)
		}
	}
	if got := w.post("/channels/c/messages?enveloped=false", "text/plain", "x", nil); got.status != 401 {
		t.Errorf("got %d without a credential", got.status)
	}
}

// Who has shown no credential has no more held than a token request needs.
func TestStrangersBody(t *testing.T) {
	w := newWorld(t, nil)
	body := func(n int) string { return `{"x":"` + strings.Repeat("x", n) + `"}` }
	for _, media := range []string{"application/json", "application/x-www-form-urlencoded"} {
		got := w.post("/keys/app.full/requestToken", media, body(64<<10), nil)
		if want := strconv.Itoa(int(ably.MessageTooLarge)); got.header.Get("X-Ably-Errorcode") != want {
			t.Errorf("%s: got %d %s, want %s", media, got.status, got.body, want)
		}
	}
	w.refused(ask{"", "POST", "/keys/app.full/requestToken", body(60_000), false, nil}, ably.BadCredential)
	w.want(ask{"full", "POST", "/keys/app.full/requestToken", body(64 << 10), false, nil}, 201, `.*`)
}
