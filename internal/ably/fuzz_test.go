package ably_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/usher-ws/usher/internal/ably"
)

// What is read can be written and read again, in both formats, and is then the
// same: nothing is lost by a detour.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"action":15,"channel":"c","msgSerial":0,"messages":[{"data":"AP8=","encoding":"utf-8/base64"},{"data":{"a":[1,null]},"extras":{"b":1e30}}]}`,
		`{"action":10,"channel":"[?rewind=1]c","flags":983040,"params":{"rewind":"1","modes":"publish"},"channelSerial":"x"}`,
		`{"action":14,"presence":[{"action":2,"clientId":"\ud800"}]}`, `{"action":1,"count":2,"res":[{"serials":[null,"a"]}],"msgSerial":0}`,
		`{"action":4,"connectionDetails":{"maxIdleInterval":15000},"error":{"code":80018}}`, `{"action":17,"auth":{"accessToken":"x"}}`,
	} {
		p := new(ably.ProtocolMessage)
		if err := ably.Decode(ably.JSON, []byte(text), p); err != nil {
			f.Fatal(err)
		}
		f.Add(false, []byte(text))
		f.Add(true, ably.Append(nil, ably.Msgpack, p))
	}
	f.Add(true, []byte("\xdf\xff\xff\xff\xff\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, pack bool, b []byte) {
		format := ably.JSON
		if pack {
			format = ably.Msgpack
		}
		p := new(ably.ProtocolMessage)
		if ably.Decode(format, b, p) != nil || p.Check() != nil {
			return
		}
		js, pk := ably.Append(nil, ably.JSON, p), ably.Append(nil, ably.Msgpack, p)
		for _, again := range []struct {
			format ably.Format
			b      []byte
		}{{ably.JSON, js}, {ably.Msgpack, pk}} {
			q := new(ably.ProtocolMessage)
			if err := ably.Decode(again.format, again.b, q); err != nil {
				t.Fatalf("%v in %q", err, again.b)
			}
			if got := ably.Append(nil, ably.Msgpack, q); !bytes.Equal(got, pk) {
				t.Errorf("got %q after a detour over %v, want %q", got, again.format, pk)
			}
		}
	})
}

// What a client declares costs nothing before it has sent it.
func TestHostileInputIsCheap(t *testing.T) {
	many := func(n int, each string) string { return strings.Repeat(each, n) }
	const n = 60000
	inputs := []struct {
		name   string
		format ably.Format
		text   string
	}{
		{"lists that claim billions", ably.Msgpack, "\x81\xa8messages" + many(30, "\xdd\xff\xff\xff\xff")},
		{"empty messages", ably.Msgpack, "\x81\xa8messages\xdd\x00\x00" + string([]byte{n >> 8, n & 255}) + many(n, "\x80")},
		{"empty messages", ably.JSON, `{"messages":[` + many(n/3-1, "{},") + `{}]}`},
		{"empty presence", ably.JSON, `{"presence":[` + many(n/3-1, "{},") + `{}]}`},
		{"results", ably.JSON, `{"res":[` + many(n/3-1, "{},") + `{}]}`},
		{"params", ably.JSON, `{"params":{` + many(n/8, `"a\n":"",`) + `"":""}}`},
		{"control characters", ably.Msgpack, "\x81\xa8messages\x91\x81\xa6extras\x81\xa1a\xda" + string([]byte{n >> 8, n & 255}) + many(n, "\x01")},
		{"nested maps in extras", ably.Msgpack, "\x81\xa8messages\x91\x81\xa6extras" + many(28, "\x81\xa0") + "\xc0"},
		{"deep lists", ably.JSON, `{"x":` + many(n, "[")},
		{"a long number", ably.JSON, `{"count":` + many(n, "9") + `}`},
	}
	for _, in := range inputs {
		t.Run(in.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = ably.Decode(in.format, []byte(in.text), new(ably.ProtocolMessage))
			runtime.ReadMemStats(&after)
			if got, most := after.TotalAlloc-before.TotalAlloc, uint64(40*len(in.text)+400_000); got > most {
				t.Errorf("got %d bytes allocated for %d of input, want at most %d", got, len(in.text), most)
			}
		})
	}
}

// Reading and writing what connections mostly do makes little garbage.
func TestAllocations(t *testing.T) {
	p := &ably.ProtocolMessage{Action: ably.ActionMessage, Channel: "room:1", MsgSerial: 7, Messages: ably.Messages{{Name: "n", Data: ably.TextData("hello"), ID: "abc:0"}}}
	for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
		b := ably.Append(nil, f, p)
		buf := make([]byte, 0, 1024)
		got := testing.AllocsPerRun(100, func() {
			q := new(ably.ProtocolMessage)
			if err := ably.Decode(f, b, q); err != nil {
				t.Fatal(err)
			}
			buf = ably.Append(buf[:0], f, q)
		})
		if got > 12 { // The frame, its list, its message, its four strings, and the encoder.
			t.Errorf("%v: got %v allocations, want at most 12", f, got)
		}
	}
	if _, err := msgp.UnmarshalAsJSON(new(bytes.Buffer), ably.Append(nil, ably.Msgpack, p)); err != nil {
		t.Error(err)
	}
}

func BenchmarkDecode(b *testing.B) {
	p := &ably.ProtocolMessage{Action: ably.ActionMessage, Channel: "room:1", MsgSerial: 7, Messages: ably.Messages{{Name: "n", Data: ably.TextData(strings.Repeat("x", 100)), ID: "abc:0"}}}
	for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
		text := ably.Append(nil, f, p)
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := ably.Decode(f, text, new(ably.ProtocolMessage)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
