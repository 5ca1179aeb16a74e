// Package rest is the REST side of the Ably protocol, in front of the hub:
// publish, history, presence, batches, the state of channels, counters, tokens
// and their revocation. It stands behind a Guard, as a seat, but for the little
// that needs no credential: see Open. It has no WebSocket, which is package
// realtime's, and judges no credential, which package apps does. The server puts
// it together.
package rest
