// Package realtime is the Ably protocol over WebSocket, in front of the hub: it
// reads frames, does what they say, and writes what comes. It stands behind a
// Guard, as a seat: who may come in is decided before it. What one may do once
// in, it asks an Access. It has no REST, which is package rest's, and keeps
// nothing that the hub could keep. The server puts it together.
//
// A connection at rest has one goroutine, which waits for bytes without a
// buffer. What goes out is written by a second one, which is there only while
// there is something, and takes all that there is in one write.
package realtime
