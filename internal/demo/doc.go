// Package demo is what "usher demo" runs: a sample chat behind a Guard for
// each carrier, and a page on which a visitor tries to come in, and to be
// refused, and sees what went over the wire, what the handler was told and
// what the operator sees.
//
// It is a showcase and not a place for production code: it logs in whoever
// asks, so it listens on loopback only, and it keeps all its state in memory
// within fixed bounds. Only cmd/usher calls it.
package demo
