// Package enginetest has the suite that an engine passes, whatever it is built
// on, and a NATS cluster on loopback for tests that need one. Only tests import
// it.
package enginetest
