//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Each dialect asks for an upgrade, and what it publishes has the payload in it
// once, by whose mark it is counted.
func TestDialects(t *testing.T) {
	if len(payload) != 128 || strings.Count(payload, mark[:1]) != 1 {
		t.Errorf("got a payload of %d bytes, want 128, and the mark's first byte once", len(payload))
	}
	for name, d := range map[string]*dialect{
		"ably JSON": ablyJSON, "ably msgpack": ablyMsgpack, "centrifugo JSON": centrifugoJSON,
		"centrifugo Protobuf": centrifugoProtobuf, "plain": plain, "only connects": onlyConnects,
	} {
		r := d.request("the-token", "room")
		q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.Handshake)))
		if err != nil || q.Header.Get("Upgrade") != "websocket" {
			t.Errorf("%s: got %v, %v, want an upgrade", name, q, err)
		}
		said := append(bytes.Join(r.Messages, nil), r.Handshake...)
		if !bytes.Contains(said, []byte("the-token")) || d != onlyConnects && !bytes.Contains(said, []byte("room")) {
			t.Errorf("%s: got %q, want the token and the channel", name, said)
		}
		if d.publish == nil {
			continue
		}
		frame := d.publish("room", 7)
		if bytes.Count(frame, []byte(payload)) != 1 || strings.Contains(d.ack[1:], d.ack[:1]) || strings.Contains(mark[1:], mark[:1]) {
			t.Errorf("%s: got %q acknowledged by %q", name, frame, d.ack)
		}
		if text := frame[8:]; strings.HasSuffix(name, "JSON") && !json.Valid(text) {
			t.Errorf("%s: got %q, want JSON", name, text)
		}
	}
}
