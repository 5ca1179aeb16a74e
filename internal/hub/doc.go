// Package hub is the realtime server without its wire: channels with one order
// for all, presence, history and occupancy. It knows no HTTP and no encoding: a
// message is a payload that it does not look into, with what is said about it.
// The translators at its edge, realtime and rest, call it; the server puts it
// together with a Log, which is package engine's or a [MemoryLog].
//
// A publish goes to the Log, which gives it its place in the channel, once for
// each message id. Every node that has subscribers of the channel hears of it
// in that order and appends it to the channel's ring, and a subscriber is a
// cursor on the ring: an [Attachment]. Nobody waits for one that is slow. It
// falls off the ring, is told so, and comes back with the position up to which
// it has seen everything.
package hub
