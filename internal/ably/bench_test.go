package ably_test

import (
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/ably"
)

// What connections mostly read and write: a publish, and what comes of it.
var frames = []struct {
	name string
	msg  *ably.ProtocolMessage
}{
	{"publish", &ably.ProtocolMessage{
		Action: ably.ActionMessage, Channel: "room:1", MsgSerial: 7,
		Messages: ably.Messages{{Name: "greeting", Data: ably.TextData(strings.Repeat("x", 128))}},
	}},
	{"publish-object", &ably.ProtocolMessage{
		Action: ably.ActionMessage, Channel: "room:1", MsgSerial: 7,
		Messages: ably.Messages{{Name: "greeting", Data: ably.TextData(`{"text":"` + strings.Repeat("hello ", 12) + `","from":{"name":"Zoë","id":12345}}`), Encoding: "json"}},
	}},
	{"delivery", &ably.ProtocolMessage{
		Action: ably.ActionMessage, Channel: "room:1", ID: "abcdefghijklm:7", ConnectionID: "abcdefghijklm", Timestamp: 1764480000123,
		ChannelSerial: "01764480000123-456@usher",
		Messages:      ably.Messages{{Name: "greeting", Data: ably.TextData(strings.Repeat("x", 128)), ClientID: "somebody", Serial: "01764480000123-456@usher:000"}},
	}},
	{"ack", &ably.ProtocolMessage{
		Action: ably.ActionAck, MsgSerial: 7, Count: 1, Results: []*ably.PublishResult{{Serials: []string{"01764480000123-456@usher:000"}}},
	}},
}

func BenchmarkDecode(b *testing.B) {
	for _, fr := range frames {
		for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
			text := ably.Append(nil, f, fr.msg)
			p := new(ably.ProtocolMessage)
			b.Run(fr.name+"/"+f.String(), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p.Reset()
					if err := ably.Decode(f, text, p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, fr := range frames {
		for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
			var buf []byte
			b.Run(fr.name+"/"+f.String(), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					buf = ably.Append(buf[:0], f, fr.msg)
				}
			})
		}
	}
}
