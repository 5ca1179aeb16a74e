package ably_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/ably"
)

func mac(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestTokenRequestMAC(t *testing.T) {
	full := ably.TokenRequest{KeyName: "a.k", TTL: 3600000, Capability: `{ "b":["x"],  "a":["y"] }`, ClientID: "me", Timestamp: 1764480000000, Nonce: "0123456789abcdef"}
	tests := []struct {
		name, text string
		change     func(*ably.TokenRequest)
		want       bool
	}{
		{"all of it", "a.k\n3600000\n{ \"b\":[\"x\"],  \"a\":[\"y\"] }\nme\n1764480000000\n0123456789abcdef\n", nil, true},
		{"no ttl", "a.k\n\n\n\n1764480000000\n0123456789abcdef\n", func(r *ably.TokenRequest) { r.TTL, r.Capability, r.ClientID = 0, "", "" }, true},
		{"a ttl of 0", "a.k\n0\n\n\n1764480000000\n0123456789abcdef\n", func(r *ably.TokenRequest) { r.TTL, r.Capability, r.ClientID = 0, "", "" }, true},
		{"another ttl", "a.k\n0\n\n\n1764480000000\n0123456789abcdef\n", func(r *ably.TokenRequest) { r.TTL, r.Capability, r.ClientID = 1, "", "" }, false},
		{"another client", "a.k\n3600000\n{ \"b\":[\"x\"],  \"a\":[\"y\"] }\nme\n1764480000000\n0123456789abcdef\n", func(r *ably.TokenRequest) { r.ClientID = "you" }, false},
		{"no end of line", "a.k\n3600000\n{ \"b\":[\"x\"],  \"a\":[\"y\"] }\nme\n1764480000000\n0123456789abcdef", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := full
			if tt.change != nil {
				tt.change(&r)
			}
			r.MAC = mac("s3cret", tt.text)
			if got := r.SignedBy("s3cret"); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
			if r.SignedBy("other") {
				t.Error("got a signature of another key")
			}
			r.Sign("s3cret")
			if !r.SignedBy("s3cret") {
				t.Error("got no signature of its own")
			}
			r.MAC = "*"
			if r.SignedBy("s3cret") {
				t.Error("got a signature that is no base64")
			}
		})
	}
}

func TestTokenRequestDecode(t *testing.T) {
	r := new(ably.TokenRequest)
	text := `{"keyName":"a.k","ttl":"60000","timestamp":"1764480000000","nonce":"n","mac":"m","capability":"{ }","clientId":"c","other":[1]}`
	if err := ably.Decode(ably.JSON, []byte(text), r); err != nil {
		t.Fatal(err)
	}
	want := &ably.TokenRequest{KeyName: "a.k", TTL: 60000, Timestamp: 1764480000000, Nonce: "n", MAC: "m", Capability: "{ }", ClientID: "c"}
	if d := cmp.Diff(want, r); d != "" {
		t.Error(d)
	}
	for text, code := range map[string]ably.Code{
		`{"ttl":"soon"}`: ably.BadParameter, `{"ttl":{}}`: ably.BadParameter, `{"ttl":1.5}`: ably.BadParameter, `{"clientId":""}`: ably.BadClientID, `[]`: ably.BadRequest,
	} {
		if err := ably.Decode(ably.JSON, []byte(text), new(ably.TokenRequest)); err == nil || ably.ErrorOf(err).Code != code {
			t.Errorf("%s: got %v, want %d", text, err, code)
		}
	}
}

func TestKeys(t *testing.T) {
	name, secret, ok := ably.ParseKey("app.key:sec:ret")
	if !ok || name != (ably.KeyName{App: "app", ID: "key"}) || secret != "sec:ret" || name.String() != "app.key" {
		t.Errorf("got %v %q %t", name, secret, ok)
	}
	for _, bad := range []string{"", "app", "app.key", "app.key:", ".key:s", "app.:s", "app:s", "this.is.it:s", "a:b.c:s"} {
		if _, _, ok := ably.ParseKey(bad); ok {
			t.Errorf("%q: got a key", bad)
		}
	}
}
