package ably_test

import (
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/ably"
)

// A delivery that is written without being made is the same.
func TestDelivery(t *testing.T) {
	for _, length := range []int{1, 31, 32, 300} {
		place := strings.Repeat("p", length)
		made := &ably.ProtocolMessage{
			Action: ably.ActionMessage, ID: "i", Channel: "c", ChannelSerial: place, ConnectionID: "x", Timestamp: 1 << 40,
			Messages: ably.Messages{
				{ID: "i:0", Name: "n", Data: ably.TextData("d"), Encoding: "e", ClientID: "c", Extras: `{"a":1}`, Serial: place + ":0"},
				{Data: ably.BinaryData("\xff"), Serial: place + ":1"},
				{Serial: place + ":2"},
			},
		}
		for n := range len(made.Messages) {
			made, all := *made, made.Messages
			if made.Messages = all[n:]; n == 2 {
				made.ID, made.ConnectionID = "", ""
			}
			d := ably.Delivery{
				ID: made.ID, Channel: made.Channel, ConnectionID: made.ConnectionID, Timestamp: made.Timestamp,
				AppendPlace: func(b []byte) []byte { return append(b, place...) },
				Count:       len(made.Messages),
				Write: func(m *ably.Message, i int) {
					*m = *made.Messages[i]
					m.Serial = "not this"
				},
				AppendSerial: func(b []byte, i int) []byte { return append(b, made.Messages[i].Serial...) },
			}
			for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
				if got, want := string(d.Append([]byte("x"), f)), string(ably.Append([]byte("x"), f, &made)); got != want {
					t.Errorf("%s: got %q, want %q", f, got, want)
				}
			}
		}
	}
}
