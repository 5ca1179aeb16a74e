package ably_test

import (
	"testing"

	"github.com/usher-ws/usher/internal/ably"
)

// What one publishes in one format is read in the other.
func TestTranscode(t *testing.T) {
	tests := []struct {
		name, in      string // As JSON.
		data          ably.Data
		encoding, out string
	}{
		{"text", `{"data":"x"}`, ably.TextData("x"), "", `{"data":"x","action":0}`},
		{"no data", `{"data":null,"encoding":null}`, ably.Data{}, "", `{"action":0}`},
		{"bytes", `{"data":"AP8=","encoding":"base64"}`, ably.BinaryData("\x00\xff"), "", `{"data":"AP8=","encoding":"base64","action":0}`},
		{"no bytes", `{"data":"","encoding":"base64"}`, ably.BinaryData(""), "", `{"data":"","encoding":"base64","action":0}`},
		{"encoding first", `{"encoding":"json/utf-8/cipher+aes-128-cbc/base64","data":"AP8="}`, ably.BinaryData("\x00\xff"), "json/utf-8/cipher+aes-128-cbc", `{"data":"AP8=","encoding":"json/utf-8/cipher+aes-128-cbc/base64","action":0}`},
		{"json", `{"data":"{\"a\":1}","encoding":"json"}`, ably.TextData(`{"a":1}`), "json", `{"data":"{\"a\":1}","encoding":"json","action":0}`},
		{"an object", `{"data":{"a": [1, "é"]}}`, ably.TextData(`{"a":[1,"é"]}`), "json", `{"data":"{\"a\":[1,\"é\"]}","encoding":"json","action":0}`},
		{"a list that says json", `{"data":[ 1 ],"encoding":"json"}`, ably.TextData(`[1]`), "json", `{"data":"[1]","encoding":"json","action":0}`},
		{"base64 inside", `{"data":"x","encoding":"base64/utf-8"}`, ably.TextData("x"), "base64/utf-8", `{"data":"x","encoding":"base64/utf-8","action":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := new(ably.Message)
			if err := ably.Decode(ably.JSON, []byte(tt.in), m); err != nil || m.Check() != nil {
				t.Fatal(err, m.Check())
			}
			if m.Data != tt.data || m.Encoding != tt.encoding {
				t.Errorf("got %q %q, want %q %q", m.Data, m.Encoding, tt.data, tt.encoding)
			}
			other := new(ably.Message)
			if err := ably.Decode(ably.Msgpack, ably.Append(nil, ably.Msgpack, m), other); err != nil || other.Check() != nil {
				t.Fatal(err, other.Check())
			}
			if other.Data != tt.data || other.Encoding != tt.encoding {
				t.Errorf("got %q %q by msgpack, want %q %q", other.Data, other.Encoding, tt.data, tt.encoding)
			}
			if got := string(ably.Append(nil, ably.JSON, other)); got != tt.out {
				t.Errorf("got %s, want %s", got, tt.out)
			}
		})
	}
}

func TestSize(t *testing.T) {
	l := ably.Messages{}
	text := `[{"name":"four","data":"AAAA","encoding":"base64","clientId":"me","extras":{ "a" : 1 },"id":"does not count"},{"data":"é"}]`
	if err := ably.Decode(ably.JSON, []byte(text), &l); err != nil {
		t.Fatal(err)
	}
	if got, want := l.Size(), len("four")+3+len("me")+len(`{"a":1}`)+len("é"); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// Text that is no UTF-8 would end the connection of whoever gets it in a text
// frame. It is refused, since it would not arrive as it was sent; but for the
// halves of surrogate pairs that JavaScript can write.
func TestBrokenText(t *testing.T) {
	for _, in := range []struct {
		name   string
		format ably.Format
		text   string
		want   ably.Code // 0: it is taken.
	}{
		{"escapes", ably.JSON, `{"data":"a\ud800","name":"\udc00"}`, 0},
		{"data", ably.Msgpack, "\x82\xa4data\xa2a\xff\xa4name\xa1\xff", ably.BadData},
		{"name", ably.Msgpack, "\x82\xa4name\xa1\xff\xa4data\xa2a\xff", ably.BadRequest},
		{"client id", ably.Msgpack, "\x83\xa8clientId\xa1\xff\xa4name\xa1\xff\xa4data\xa2a\xff", ably.BadClientID},
	} {
		t.Run(in.name, func(t *testing.T) {
			m := new(ably.Message)
			if err := ably.Decode(in.format, []byte(in.text), m); err != nil {
				t.Fatal(err)
			}
			if bad := m.Check(); in.want != 0 && (bad == nil || bad.Code != in.want) || in.want == 0 && bad != nil {
				t.Errorf("got %v, want %d", bad, in.want)
			}
			m.ClientID = ""
			if got, want := string(ably.Append(nil, ably.JSON, m)), "{\"name\":\"\uFFFD\",\"data\":\"a\uFFFD\",\"action\":0}"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	extras := "\x82\xa6extras\x81\xa1\xff\xc0\xa4data\xa1x"
	m := new(ably.Message)
	if err := ably.Decode(ably.Msgpack, []byte(extras), m); err != nil || m.Check() == nil {
		t.Errorf("got %v and %v for a broken name in extras", err, m.Check())
	}
}
