//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/usher-ws/usher/test/load/epoll"
	"github.com/usher-ws/usher/test/load/tokens"
)

// A dialect is how clients speak to a hub.
type dialect struct {
	// request opens a connection, which is attached to a channel unless that is
	// empty.
	request func(token, channel string) epoll.Request
	// publish is the nth message that a connection publishes to a channel, from 0
	// on.
	publish func(channel string, n int) []byte
	// ack is what each acknowledgment has in it once: see [epoll.Load].
	ack string
}

// mark is what each message has in it once.
const mark = "~load"

// payload is what is published: 128 bytes.
var payload = mark + strings.Repeat("0123456789abcdef", 8)[:128-len(mark)]

// ablyJSON is what the Ably SDKs speak to ours by default in browsers.
var ablyJSON = &dialect{
	request: func(token, channel string) epoll.Request {
		r := epoll.Request{Handshake: tokens.Handshake("/?format=json&v=6&access_token="+token, "", ""), Greeted: true}
		if channel != "" {
			r.Messages = [][]byte{textFrame(`{"action":10,"channel":%q}`, channel)}
		}
		return r
	},
	publish: func(channel string, n int) []byte {
		return textFrame(`{"action":15,"channel":%q,"msgSerial":%d,"messages":[{"data":%q}]}`, channel, n, payload)
	},
	ack: "@usher:", // In the serial of each message.
}

// centrifugoJSON is what its SDKs speak by default.
var centrifugoJSON = &dialect{
	request: func(token, channel string) epoll.Request {
		r := epoll.Request{
			Handshake: tokens.Handshake("/connection/websocket", "", ""),
			Messages:  [][]byte{textFrame(`{"id":1,"connect":{"token":%q}}`, token)},
		}
		if channel != "" {
			r.Messages = append(r.Messages, textFrame(`{"id":2,"subscribe":{"channel":%q}}`, channel))
		}
		return r
	},
	publish: func(channel string, n int) []byte {
		return textFrame(`{"id":%d,"publish":{"channel":%q,"data":%q}}`, n+3, channel, payload)
	},
	ack: "publish",
}

// plain is what server's broadcast takes.
var plain = &dialect{
	request: func(token, channel string) epoll.Request {
		target := "/?access_token=" + token
		if channel != "" {
			target += "&channel=" + channel
		}
		return epoll.Request{Handshake: tokens.Handshake(target, "", "")}
	},
	publish: func(channel string, _ int) []byte { return textFrame("%s %s", channel, payload) },
	ack:     "ack",
}

// onlyConnects is for what is no hub.
var onlyConnects = &dialect{request: func(token, _ string) epoll.Request {
	head, _ := tokens.Request("query", token)
	return epoll.Request{Handshake: head}
}}

// ablyMsgpack is what the Ably SDKs speak to ours by default outside of browsers.
var ablyMsgpack = &dialect{
	request: func(token, channel string) epoll.Request {
		r := epoll.Request{Handshake: tokens.Handshake("/?format=msgpack&v=6&access_token="+token, "", ""), Greeted: true}
		if channel != "" {
			r.Messages = [][]byte{epoll.BinaryFrame(msgpack(nil, "action", 10, "channel", channel))}
		}
		return r
	},
	publish: func(channel string, n int) []byte {
		b := append([]byte{0x84}, msgpack(nil, "action", 15, "channel", channel, "msgSerial", n)[1:]...)
		b = append(append(b, "\xa8messages"...), 0x91) // A list of one.
		return epoll.BinaryFrame(msgpack(b, "data", payload))
	},
	ack: "@usher:",
}

// msgpack appends a map of up to 15 names, each before its value.
func msgpack(b []byte, pairs ...any) []byte {
	b = append(b, 0x80|byte(len(pairs)/2))
	for _, v := range pairs {
		switch v := v.(type) {
		case int:
			b = binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
		case string:
			b = append(append(b, 0xd9, byte(len(v))), v...)
		}
	}
	return b
}

// centrifugoProtobuf is what its SDKs speak where they are told to: each command
// after its length.
var centrifugoProtobuf = &dialect{
	request: func(token, channel string) epoll.Request {
		r := epoll.Request{
			Handshake: tokens.Handshake("/connection/websocket", "centrifuge-protobuf", ""),
			Messages:  [][]byte{command(1, fieldConnect, protobuf(nil, 1, token))},
		}
		if channel != "" {
			r.Messages = append(r.Messages, command(2, fieldSubscribe, protobuf(nil, 1, channel)))
		}
		return r
	},
	publish: func(channel string, n int) []byte {
		return command(n+3, fieldPublish, protobuf(protobuf(nil, 1, channel), 2, payload))
	},
	ack: "\x42\x00", // A field 8 with nothing in it.
}

const (
	fieldConnect   = 4
	fieldSubscribe = 5
	fieldPublish   = 7
)

// command is one with an id, whose field what has a message.
func command(id, field int, what []byte) []byte {
	b := binary.AppendUvarint([]byte{1 << 3}, uint64(id))
	b = protobuf(b, field, string(what))
	return epoll.BinaryFrame(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
}

// protobuf appends a field of bytes.
func protobuf(b []byte, field int, value string) []byte {
	b = binary.AppendUvarint(b, uint64(field)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

func textFrame(format string, args ...any) []byte {
	return epoll.TextFrame(fmt.Appendf(nil, format, args...))
}
