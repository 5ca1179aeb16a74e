// Package demo is what "usher demo" runs: a chat that knows nothing of
// authentication, in Go and where possible in Node, behind the gateway; and a
// page on which a visitor tries to come in, and to be refused, and sees what
// went over the wire, what the backend was told, what the operator sees, and
// the configuration that does it.
//
// One server in front has the page and the logins, which an application has
// already. What is not its own it passes on to the gateway, and writes down.
//
// It is a showcase and not a place for production code: it logs in whoever
// asks, so it listens on loopback only, and it keeps all its state in memory
// within fixed bounds. Only cmd/usher calls it.
package demo
