package ably_test

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/usher-ws/usher/internal/ably"
)

// A frame that is too large has the same head as one that is held.
func TestSkim(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	for _, text := range []string{
		`{"action":15,"msgSerial":7,"channel":"c","messages":[{"data":"` + large + `"}]}`,
		`{"action":14,"channel":"c","presence":[{"action":2,"data":"` + large + `\",\"msgSerial\":9"}],"msgSerial":7}`,
		" {\n\"messages\" : [ {\"extras\":{\"msgSerial\":9,\"a\":[\"]}\",{}]}} ] , \"msgSerial\" : 7 ,\t\"action\":15.0 }\n",
		`{"a\"ction":1,"action":"15","params":{},"x":null,"y":true,"msgSerial":7e0}`,
		`{"action":15}`, `{}`, `{"` + large + `":1,"action":3}`,
	} {
		p := new(ably.ProtocolMessage)
		if err := ably.Decode(ably.JSON, []byte(text), p); err != nil {
			t.Fatal(err)
		}
		for format, b := range map[ably.Format]string{ably.JSON: text, ably.Msgpack: string(ably.Append(nil, ably.Msgpack, p))} {
			r := iotest.HalfReader(strings.NewReader(b + "more, which is read too"))
			got, err := ably.Skim(format, r)
			if want := (ably.Head{Action: p.Action, MsgSerial: p.MsgSerial}); err != nil || got != want {
				t.Errorf("%v %.60s: got %+v, %v, want %+v", format, b, got, err, want)
			}
			if n, err := io.Copy(io.Discard, r); n != 0 || err != nil {
				t.Errorf("got %d bytes left", n)
			}
		}
	}
	for text, format := range map[string]ably.Format{
		"": ably.JSON, "[]": ably.JSON, "{": ably.JSON, `{"a`: ably.JSON, `{"a\`: ably.JSON, `{"action":"x"}`: ably.JSON, `{"action":[]}`: ably.JSON,
		`{"a" 1}`: ably.JSON, `{1:2}`: ably.JSON, `{"a":[{"b":"`: ably.JSON, `{"msgSerial":1.5}`: ably.JSON, `{"action":15`: ably.JSON,
		"\x90": ably.Msgpack, "\x81\xa6action": ably.Msgpack, "\x81\xa6action\xa1x": ably.Msgpack, "\x82\xa6action\x0f": ably.Msgpack,
		"\x81\xa1x" + strings.Repeat("\x91", 5000) + "\xc0": ably.Msgpack, "\x81\xdb\xff\xff\xff\xffx": ably.Msgpack, "\x81\xa1x\xdd\xff\xff\xff\xff": ably.Msgpack,
	} {
		if got, err := ably.Skim(format, strings.NewReader(text)); err == nil {
			t.Errorf("%v %.20q: got %+v, want an error", format, text, got)
		}
	}
}

// What is read in full has the head that is skimmed.
func FuzzSkim(f *testing.F) {
	f.Add(false, []byte(`{"action":14,"x":[{"y":"\"}"}],"msgSerial":"3"}`))
	f.Add(true, []byte("\x83\xa6action\x0f\xa9msgSerial\xcb\x40\x08\x00\x00\x00\x00\x00\x00\xa1x\x91\x81\xa1y\xc4\x01z"))
	f.Fuzz(func(t *testing.T, pack bool, b []byte) {
		format := ably.JSON
		if pack {
			format = ably.Msgpack
		}
		p := new(ably.ProtocolMessage)
		if ably.Decode(format, b, p) != nil || p.Check() != nil {
			return
		}
		// Written anew, since a name can be there twice or escaped.
		b = ably.Append(nil, format, p)
		got, err := ably.Skim(format, strings.NewReader(string(b)))
		if want := (ably.Head{Action: p.Action, MsgSerial: p.MsgSerial}); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", b, got, err, want)
		}
	})
}
