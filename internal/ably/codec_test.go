package ably_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tinylib/msgp/msgp"

	"github.com/usher-ws/usher/internal/ably"
)

// equal compares values of the wire by what is in them.
var equal = cmp.Options{
	cmp.AllowUnexported(ably.Data{}),
	cmpopts.IgnoreUnexported(ably.Message{}, ably.PresenceMessage{}, ably.ProtocolMessage{}),
}

// decode reads JSON, or msgpack in hex.
func decode(t *testing.T, f ably.Format, text string) (*ably.ProtocolMessage, error) {
	t.Helper()
	b := []byte(text)
	if f == ably.Msgpack {
		var err error
		if b, err = hex.DecodeString(strings.ReplaceAll(text, " ", "")); err != nil {
			t.Fatal(err)
		}
	}
	p := new(ably.ProtocolMessage)
	return p, ably.Decode(f, b, p)
}

// What was written in either format is read as it was.
func TestRoundTrip(t *testing.T) {
	full := &ably.ProtocolMessage{
		Action: ably.ActionMessage, ID: "c:1", Channel: "room é", ChannelSerial: "s1", ConnectionID: "c",
		MsgSerial: 1 << 40, Count: 2, Timestamp: 1764480000123, Flags: ably.DefaultModes | ably.Resumed,
		Error:             ably.Errorf(ably.BadRequest, "why %q", "x"),
		ConnectionDetails: &ably.ConnectionDetails{ConnectionKey: "k!1", ClientID: "*", MaxMessageSize: 65536, MaxFrameSize: 524288, MaxInboundRate: 50, ServerID: "s", StateTTL: 120000, MaxIdle: 15000},
		Messages: ably.Messages{
			{ID: "c:1:0", Name: "n", Data: ably.TextData("täxt\n\u2028"), ClientID: "me", Timestamp: -1, Extras: `{"headers":{"a":[1,2.5,null,true,-7,18446744073709551615],"":{}}}`},
			{Data: ably.BinaryData("\x00\xff"), Encoding: "utf-8/cipher+aes-128-cbc", Serial: "01@x:0", Version: &ably.Version{Serial: "v", Timestamp: 5, ClientID: "y"}},
			{Data: ably.BinaryData("")},
			{Data: ably.TextData("")},
			{},
		},
		Presence: ably.PresenceMessages{{ID: "c:1:0", Action: ably.PresenceEnter, ClientID: "me", ConnectionID: "c", Data: ably.TextData(`{"a":1}`), Encoding: "json", Extras: "{}", Timestamp: 9}},
		Auth:     &ably.Auth{AccessToken: "t"},
		Params:   ably.Params{"rewind": "1", "quo\"te": "é"},
		Results:  []*ably.PublishResult{{Serials: []string{"a", "", "b"}}},
	}
	for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
		t.Run(f.String(), func(t *testing.T) {
			b := ably.Append(nil, f, full)
			got := new(ably.ProtocolMessage)
			if err := ably.Decode(f, b, got); err != nil {
				t.Fatalf("%v in %q", err, b)
			}
			got.ChannelGiven = false
			if d := cmp.Diff(full, got, equal); d != "" {
				t.Error(d)
			}
			if again := ably.Append(nil, f, got); !bytes.Equal(again, b) {
				t.Errorf("got %q, want %q again", again, b)
			}
		})
	}
}

// The text of JSON is what the SDKs count on: what says nothing is left out,
// except where its absence would say something else.
func TestWritten(t *testing.T) {
	tests := []struct {
		name string
		msg  *ably.ProtocolMessage
		want string
	}{
		{"the first ACK", &ably.ProtocolMessage{Action: ably.ActionAck, Count: 1}, `{"action":1,"msgSerial":0,"count":1}`},
		{"a NACK", &ably.ProtocolMessage{Action: ably.ActionNack, Count: 1, Error: ably.Err(ably.ForcedNack)}, `{"action":2,"msgSerial":0,"count":1,"error":{"message":"refused, as was asked for","code":40099,"statusCode":400}}`},
		{"an error of the connection", &ably.ProtocolMessage{Action: ably.ActionError, Error: &ably.ErrorInfo{Code: 1, Status: 2}}, `{"action":9,"error":{"code":1,"statusCode":2}}`},
		{"an error of the channel without a name", &ably.ProtocolMessage{Action: ably.ActionError, ChannelGiven: true}, `{"action":9,"channel":""}`},
		{"heartbeat", &ably.ProtocolMessage{}, `{"action":0}`},
		{"a delivery", &ably.ProtocolMessage{Action: ably.ActionMessage, Channel: "c", Messages: ably.Messages{{Name: "n", Data: ably.BinaryData("\x01")}}}, `{"action":15,"channel":"c","messages":[{"name":"n","data":"AQ==","encoding":"base64","action":0}]}`},
		{"details", &ably.ProtocolMessage{Action: ably.ActionConnected, ConnectionDetails: &ably.ConnectionDetails{}}, `{"action":4,"connectionDetails":{"connectionStateTtl":0,"maxIdleInterval":0}}`},
		{"serials, one of them null", &ably.ProtocolMessage{Action: ably.ActionAck, Results: []*ably.PublishResult{{Serials: []string{""}}, {}}}, `{"action":1,"msgSerial":0,"count":0,"res":[{"serials":[null]},{"serials":[]}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(ably.Append(nil, ably.JSON, tt.msg)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			var js bytes.Buffer
			if _, err := msgp.UnmarshalAsJSON(&js, ably.Append(nil, ably.Msgpack, tt.msg)); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(tt.want, `,"encoding":"base64"`, "")
			if got := js.String(); got != want {
				t.Errorf("got  %s in msgpack\nwant %s", got, want)
			}
		})
	}
}

// A table of more than 15 members has a longer head in msgpack.
func TestManyMembers(t *testing.T) {
	for _, n := range []int{15, 16, 17, 300} {
		p := &ably.ProtocolMessage{Params: ably.Params{}, Channel: "after"}
		for i := range n {
			p.Params[strings.Repeat("x", i+1)] = "v"
		}
		got := new(ably.ProtocolMessage)
		if err := ably.Decode(ably.Msgpack, ably.Append(nil, ably.Msgpack, p), got); err != nil || len(got.Params) != n || got.Channel != "after" {
			t.Errorf("got %d members of %d: %v", len(got.Params), n, err)
		}
	}
}

func TestTolerant(t *testing.T) {
	tests := []struct {
		name   string
		format ably.Format
		text   string
	}{
		{"spaces and order", ably.JSON, " {\n\"channel\" : \"c\", \"msgSerial\": 3 ,\"action\":15}\t"},
		{"unknown members", ably.JSON, `{"x":{"a":[1,{"b":null}]},"action":15,"y":[[]],"channel":"c","msgSerial":3,"z":true}`},
		{"null members", ably.JSON, `{"action":15,"channel":"c","msgSerial":3,"messages":null,"params":null,"error":null,"id":null,"flags":null,"connectionDetails":null}`},
		{"floats", ably.JSON, `{"action":15.0,"channel":"c","msgSerial":3e0}`},
		{"numbers in strings", ably.JSON, `{"action":"15","channel":"c","msgSerial":"3"}`},
		{"escapes in names", ably.JSON, `{"\u0061ction":15,"channel":"\u0063","msgSerial":3}`},
		{"a name twice", ably.JSON, `{"action":1,"action":15,"channel":"c","msgSerial":3}`},
		{"msgpack", ably.Msgpack, "83 a6616374696f6e 0f a76368616e6e656c a163 a96d736753657269616c 03"},
		{"wide integers", ably.Msgpack, "83 a6616374696f6e d3000000000000000f a76368616e6e656c a163 a96d736753657269616c cf0000000000000003"},
		{"narrow integers", ably.Msgpack, "83 a6616374696f6e d00f a76368616e6e656c a163 a96d736753657269616c cd0003"},
		{"a float64 and a float32", ably.Msgpack, "83 a6616374696f6e cb402e000000000000 a76368616e6e656c a163 a96d736753657269616c ca40400000"},
		{"str8, str16 and map16", ably.Msgpack, "de0003 d906616374696f6e 0f da00076368616e6e656c d90163 a96d736753657269616c 03"},
		{"map32 and nil", ably.Msgpack, "df00000004 a6616374696f6e 0f a76368616e6e656c a163 a96d736753657269616c 03 a86d65737361676573 c0"},
		{"unknown and deep", ably.JSON, `{"x":` + strings.Repeat(`[{"a":`, 500) + "1" + strings.Repeat("}]", 500) + `,"action":15,"channel":"c","msgSerial":3}`},
		{"unknown and a million deep", ably.Msgpack, "84 a178" + strings.Repeat("91", 1e6) + "c0 a6616374696f6e 0f a76368616e6e656c a163 a96d736753657269616c 03"},
		{"unknown maps in lists", ably.Msgpack, "84 a178" + strings.Repeat("9281a161", 500) + "c0" + strings.Repeat("c0", 500) + "a6616374696f6e 0f a76368616e6e656c a163 a96d736753657269616c 03"},
		{"a name that is a number, and an extension", ably.Msgpack, "85 01 02 a6616374696f6e 0f a76368616e6e656c a163 a96d736753657269616c 03 a178 d40102"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode(t, tt.format, tt.text)
			if err != nil || got.Action != ably.ActionMessage || got.Channel != "c" || got.MsgSerial != 3 || got.Check() != nil {
				t.Errorf("got %+v, error %v, problem %v", got, err, got.Check())
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	tests := []struct {
		name   string
		format ably.Format
		text   string
	}{
		{"nothing", ably.JSON, ""},
		{"spaces", ably.JSON, "  "},
		{"half", ably.JSON, `{"action":1`},
		{"a list", ably.JSON, `[{"action":1}]`},
		{"a number", ably.JSON, `7`},
		{"null", ably.JSON, `null`},
		{"two", ably.JSON, `{"action":1}{"action":1}`},
		{"dirt behind", ably.JSON, `{"action":1}x`},
		{"a comma too many", ably.JSON, `{"action":1,}`},
		{"no quotes", ably.JSON, `{action:1}`},
		{"a million deep", ably.JSON, `{"x":` + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + `}`},
		{"nothing", ably.Msgpack, ""},
		{"half", ably.Msgpack, "81 a6616374696f6e"},
		{"a list", ably.Msgpack, "90"},
		{"dirt behind", ably.Msgpack, "80 00"},
		{"no type of msgpack", ably.Msgpack, "c1"},
		{"nil", ably.Msgpack, "c0"},
		{"a map of four billion", ably.Msgpack, "df ffffffff"},
		{"messages by the billion", ably.Msgpack, "81 a86d65737361676573 dd ffffffff"},
		{"a string of four billion", ably.Msgpack, "81 a26964 db ffffffff 61"},
		{"bytes of four billion", ably.Msgpack, "81 a86d65737361676573 91 81 a464617461 c6 ffffffff 61"},
		{"a million deep, and nothing in it", ably.Msgpack, "81 a178" + strings.Repeat("91", 1e6)},
		{"lists that claim billions", ably.Msgpack, "81 a178" + strings.Repeat("ddffffffff", 1000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(t, tt.format, tt.text)
			if err == nil {
				t.Fatal("got no error")
			}
			if got := ably.ErrorOf(err); got.Code != ably.BadRequest || got.Status != 400 {
				t.Errorf("got %v, want %d", err, ably.BadRequest)
			}
		})
	}
}

// What can be read and makes no sense is told by Check, by the message's own
// code, and does not hide the number that an answer needs.
func TestCheck(t *testing.T) {
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	tests := []struct {
		name, messages string
		want           ably.Code
	}{
		{"a number as data", `[{"data":"x"},{"data":7}]`, ably.BadData},
		{"a truth value as data", `[{"data":true}]`, ably.BadData},
		{"no base64", `[{"data":"*","encoding":"base64"}]`, ably.BadData},
		{"an empty client id", `[{"clientId":""}]`, ably.BadClientID},
		{"the client id of all", `[{"clientId":"*"}]`, ably.BadClientID},
		{"a number as client id", `[{"clientId":5}]`, ably.BadClientID},
		{"null", `[null]`, ably.BadMessage},
		{"deep data", `[{"data":` + deep + `}]`, ably.BadRequest},
		{"deep extras", `[{"extras":{"x":` + deep + `}}]`, ably.BadRequest},
		{"text that is broken", "[{\"data\":\"a\xff\"}]", ably.BadRequest},
		{"extras in a list", `[{"extras":[]}]`, ably.BadExtras},
		{"extras in a string", `[{"extras":"{}"}]`, ably.BadExtras},
		{"a number as name", `[{"name":5}]`, ably.BadRequest},
		{"an update", `[{"action":1,"serial":"s"}]`, ably.MutationDisabled},
		{"an id of 1025 bytes", `[{"id":"` + strings.Repeat("i", 1025) + `"}]`, ably.BadRequest},
		{"an encoding of 1025 bytes", `[{"data":"x","encoding":"` + strings.Repeat("e", 1025) + `"}]`, ably.BadRequest},
		{"no list", `7`, ably.BadRequest},
		{"no objects", `["a"]`, ably.BadRequest},
		{"1001 of them", `[` + strings.Repeat(`{},`, 1000) + `{}]`, ably.TooManyMessages},
		{"half a number", `[{"timestamp":1.5}]`, ably.BadRequest},
		{"too large a number", `[{"timestamp":1e300}]`, ably.BadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decode(t, ably.JSON, `{"messages":`+tt.messages+`,"action":15,"msgSerial":3}`)
			if err != nil {
				t.Fatal(err)
			}
			if p := got.Check(); p == nil || p.Code != tt.want {
				t.Errorf("got %v, want %d", p, tt.want)
			}
			if got.MsgSerial != 3 || !got.Action.NeedsAck() {
				t.Errorf("got %+v, want msgSerial 3", got)
			}
		})
	}
	good, err := decode(t, ably.JSON, `{"action":14,"presence":[{"action":2},{"action":4},{"action":3,"clientId":"x"}]}`)
	if err != nil || good.Check() != nil {
		t.Errorf("got %v and %v, want a presence that is good", err, good.Check())
	}
	word := strings.Repeat("w", 1024)
	for _, m := range []interface{ Check() *ably.ErrorInfo }{
		&ably.Message{ID: word, Encoding: word}, &ably.PresenceMessage{Action: ably.PresenceEnter, ID: word, Encoding: word},
	} {
		if p := m.Check(); p != nil {
			t.Errorf("got %v for %T with an id and encoding of 1024 bytes", p, m)
		}
	}
	for _, p := range []ably.PresenceMessage{
		{Action: ably.PresenceEnter, ID: word + "w"}, {Action: ably.PresenceLeave, Encoding: word + "w"},
	} {
		if bad := p.Check(); bad == nil || bad.Code != ably.BadRequest {
			t.Errorf("got %v for 1025 bytes, want %d", bad, ably.BadRequest)
		}
	}
	bad, err := decode(t, ably.JSON, `{"action":14,"presence":[{"action":1}]}`)
	if err != nil || bad.Check() == nil {
		t.Errorf("got %v and %v, want PRESENT refused", err, bad.Check())
	}
}

// A frame with text that is broken is refused, and what is told back of it is text.
func TestBrokenTextIsMended(t *testing.T) {
	for f, text := range map[ably.Format]string{ably.JSON: "{\"action\":0,\"id\":\"a\xff\",\"channel\":\"\\ud800\"}", ably.Msgpack: "\x83\xa6action\x00\xa2id\xa2a\xff\xa7channel\xa1\xff"} {
		got := new(ably.ProtocolMessage)
		if err := ably.Decode(f, []byte(text), got); err != nil || got.Check() == nil || got.ID != "a\uFFFD" || got.Channel != "\uFFFD" {
			t.Errorf("%v: got id %q, channel %q, %v and %v", f, got.ID, got.Channel, err, got.Check())
		}
	}
}

// What was read before leaves nothing behind.
func TestReset(t *testing.T) {
	full := `{"id":"i","name":"n","data":"d","encoding":"e","clientId":"c","connectionId":"c","connectionKey":"k","timestamp":1,"extras":{},"serial":"s","action":1,"version":{}}`
	got := new(ably.ProtocolMessage)
	for _, messages := range []string{`[` + full + `,` + full + `]`, `[null]`, `[` + full + strings.Repeat(`,`+full, 9) + `]`, `[{}]`, `[{"data":"x"},{}]`, `[]`, `[{},{},{}]`} {
		text := []byte(`{"id":"i","channel":"c","channelSerial":"s","connectionId":"c","msgSerial":1,"count":1,"timestamp":1,"flags":1,"error":{},"auth":{},"params":{"a":"b"},"res":[{}],"presence":[{}],"messages":` + messages + `}`)
		want := new(ably.ProtocolMessage)
		for _, p := range []*ably.ProtocolMessage{got, want} {
			p.Reset()
			if err := ably.Decode(ably.JSON, text, p); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(want, got, equal, cmpopts.EquateEmpty()); d != "" || (want.Check() == nil) != (got.Check() == nil) {
			t.Errorf("%s: %s, %v", text, d, got.Check())
		}
	}
	for _, likely := range []string{"c", "other", ""} {
		for text, want := range map[string]string{`{"channel":"c"}`: "c", `{"channel":"c","channel":null}`: "", `{"channel":7}`: "", `{}`: ""} {
			got.Reset()
			got.Expect(likely)
			if err := ably.Decode(ably.JSON, []byte(text), got); err != nil || got.Channel != want {
				t.Errorf("got channel %q of %s where %q was likely, %v", got.Channel, text, likely, err)
			}
		}
	}
	got.Reset()
	if d := cmp.Diff(new(ably.ProtocolMessage), got, equal, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

// Text is written as jsontext has it, wherever it has what cannot stand as it is.
func TestQuoted(t *testing.T) {
	for n := range 18 {
		for at := range n + 1 {
			for _, odd := range []string{"", `"`, `\`, "\x00", "\x1f", "\x7f", "<", "é", "\u2028", "\xff", "\xc3", "é\n", "é\xff"} {
				text := strings.Repeat("x", at) + odd + strings.Repeat("~", n-at)
				want, _ := jsontext.AppendQuote(nil, text)
				got := string(ably.Append(nil, ably.JSON, &ably.ProtocolMessage{ID: text, ChannelGiven: true}))
				if want := `{"action":0,"id":` + string(want) + `,"channel":""}`; text != "" && got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		}
	}
}
