package ably_test

import (
	"fmt"
	"testing"

	"github.com/usher-ws/usher/internal/ably"
)

// An ACK that is written without being made is the same.
func TestAck(t *testing.T) {
	for _, counts := range [][]int{{1}, {0}, {1, 3, 0, 2}, make([]int, 20)} {
		for _, length := range []int{1, 28, 31, 32, 300} {
			serial := func(i, m int) string { return fmt.Sprintf("%0*d", length, (i*10+m)%10) }
			made := &ably.ProtocolMessage{Action: ably.ActionAck, MsgSerial: 1 << 40, Count: len(counts)}
			for i, n := range counts {
				r := new(ably.PublishResult)
				for m := range n {
					r.Serials = append(r.Serials, serial(i, m))
				}
				made.Results = append(made.Results, r)
			}
			ack := ably.Ack{
				MsgSerial: made.MsgSerial, Count: made.Count,
				Messages:     func(i int) int { return counts[i] },
				AppendSerial: func(b []byte, i, m int) []byte { return append(b, serial(i, m)...) },
			}
			for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
				got, want := string(ack.Append([]byte("x"), f)), string(ably.Append([]byte("x"), f, made))
				if got != want {
					t.Errorf("%s: got %q, want %q", f, got, want)
				}
			}
		}
	}
}
