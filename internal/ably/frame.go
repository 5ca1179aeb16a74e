package ably

import "sync"

// A Frame is a protocol message that many get: it is encoded once in each format
// that somebody wants. It is safe for use from many goroutines.
type Frame struct {
	msg     *ProtocolMessage
	encoded [formats]struct {
		once sync.Once
		b    []byte
	}
}

// NewFrame returns a frame of msg, which must not be changed any more.
func NewFrame(msg *ProtocolMessage) *Frame { return &Frame{msg: msg} }

// Message is the protocol message of the frame.
func (f *Frame) Message() *ProtocolMessage { return f.msg }

// Bytes is the frame in one format. They are shared and must not be changed.
func (f *Frame) Bytes(format Format) []byte {
	e := &f.encoded[format]
	e.once.Do(func() { e.b = Append(nil, format, f.msg) })
	return e.b
}
