package ably_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
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
		p, read := new(ably.ProtocolMessage), bytes.Clone(b)
		if ably.Decode(format, read, p) != nil || p.Check() != nil {
			return
		}
		clear(read) // Nothing of it is held.
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

// JSON is read as jsontext reads it, and nothing else is: what is passed over, and
// what is kept.
func FuzzJSON(f *testing.F) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, text := range []string{
		` { "a\u0062" : [ true , false,null,-1.5e+7,0,10E2 , {} , [ ] ] ,"a":"é" }`, `"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\u0000"`, `["\ud800","\ud800\u0041","\udc00x"]`, `{"12345678\"\\\/\b\f\n\r\tx":"\\","\"":"é\n\u000a\""}`, `"\"`, `"\n\x"`,
		"\"a\xff\xfe\xc3\"", "\"1234567\x1f\"", "\"\x1f\"", "\"12345678\x7f\"", "[1]\x00", "\x00", "\ufeff[]", "", " ", `"`, `"\`, `"\u12`, `"\u123`, `"\u12g4"`, `"\x"`,
		`[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{1:2}`, `[}`, `{]`, `[`, `{"a":[`, `01`, `-`, `-a`, `1.`, `.5`, `1e`, `1e+`, `+1`, `tru`, `truex`, `nul`, `1e999`,
		deep(32), deep(33), deep(9999), deep(10000), deep(10001), `{"a":` + deep(31) + `}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lax := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
		skipped := []byte(`{"x":` + string(b) + `,"id":"i"}`)
		p := new(ably.ProtocolMessage)
		err := ably.Decode(ably.JSON, skipped, p)
		if taken := jsontext.Value(skipped).IsValid(lax...); taken != (err == nil) || taken && !bytes.Contains(b, []byte(`"`)) && p.ID != "i" {
			t.Errorf("%q: got %v and %+v where jsontext takes it: %v", skipped, err, p, taken)
		}
		want := jsontext.Value(bytes.Clone(b))
		bad := want.Format(lax...)
		if bad == nil && !utf8.Valid(b) {
			bad = errors.New("text that is not UTF-8")
		}
		var got ably.Raw
		err = ably.Decode(ably.JSON, b, &got)
		switch {
		case err != nil && bad == nil && strings.Contains(err.Error(), "nested more than 32 deep"):
		case (err == nil) != (bad == nil):
			t.Errorf("%q: got %v, jsontext says %v", b, err, bad)
		case err != nil:
		case got == "" && want.Kind() == 'n', bytes.ContainsAny(b, "eE") && strings.Contains(string(got), "null"): // Too large a number.
		case string(got) != string(want):
			t.Errorf("%q: got %s, want %s", b, got, want)
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
		q := new(ably.ProtocolMessage)
		got := testing.AllocsPerRun(100, func() {
			q.Reset()
			if err := ably.Decode(f, b, q); err != nil {
				t.Fatal(err)
			}
			buf = ably.Append(buf[:0], f, q)
		})
		if got > 3 { // The channel, an id, and what else the message says.
			t.Errorf("%v: got %v allocations, want at most 3", f, got)
		}
	}
	if _, err := msgp.UnmarshalAsJSON(new(bytes.Buffer), ably.Append(nil, ably.Msgpack, p)); err != nil {
		t.Error(err)
	}
}

// A message is kept for as long as the history lasts, and holds no more than what
// it says: not its frame, nor what nobody asks for.
func TestMessagesHoldNoMore(t *testing.T) {
	const n, size = 64, 64 << 10
	long := strings.Repeat("x", size)
	message := `{"name":"n","data":"d","clientId":"c","encoding":"e"}`
	for _, text := range []string{
		`{"unknown":"` + long + `","messages":[` + message + `]}`,
		`{"id":"` + long + `","messages":[` + message + `]}`,
		`{"messages":[{"data":"` + long + `"},` + message + `,{"data":"` + long + `\n"}]}`,
		`{"messages":[{},{"data":"` + long + `","name":"` + long + `\n",` + message[1:] + `]}`,
		`{"messages":[{},{"connectionKey":"` + long + `","serial":"` + long + `","unknown":"` + long + `",` + message[1:] + `]}`,
		`{"messages":[{},{"name":"n","data":"` + long + `","encoding":"base64","data":null}]}`,
	} {
		for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
			var raw ably.Raw
			if err := ably.Decode(ably.JSON, []byte(text), &raw); err != nil {
				t.Fatal(err)
			}
			b := ably.Append(nil, f, &raw)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var kept []ably.Data
			for range n {
				p := new(ably.ProtocolMessage)
				if err := ably.Decode(f, b, p); err != nil {
					t.Fatal(err)
				}
				kept = append(kept, p.Messages[min(1, len(p.Messages)-1)].Data)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if got := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; got > size/4 {
				t.Errorf("%v %.60s: got %d bytes held for a message", f, text, got)
			}
			runtime.KeepAlive(kept)
		}
	}
}
