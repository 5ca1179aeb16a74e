package realtime

import (
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// What is written for who gets a message.
func BenchmarkDelivery(b *testing.B) {
	e := &hub.Entry{
		Name: &hub.Name{App: "app", Channel: "room:1"}, Position: 1764480000123456, Time: 1764480000123, ConnectionID: "n1ABCDEFGHIJ",
		Messages: []hub.Message{{
			ID: "n1ABCDEFGHIJ:7:0", Name: "greeting", Data: strings.Repeat("x", 128), Form: hub.Text,
			ClientID: "somebody", ConnectionID: "n1ABCDEFGHIJ", Time: 1764480000123,
		}},
	}
	for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
		var buf []byte
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = appendEntry(buf[:0], f, e, e.Name.Channel)
			}
		})
	}
}
