// Package hub holds the hub to what it promises, by its history and not by
// examples: many publishers, subscribers and members talk to a server whose
// connections are cut, whose process is killed and started anew, and who do what
// an SDK does then. What each has seen is written down, and a checker says what
// of it breaks a promise. A server that is broken on purpose shows that it can.
//
// The published SDK of Ably has its part too, with the program as users run it:
// test/interop/hub.mjs.
//
// `go test ./test/hub` runs for some seconds, `make promises` for ten minutes.
package hub
