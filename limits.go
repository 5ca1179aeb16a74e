package usher

import (
	"cmp"
	"time"
)

// Limits bounds all that waits for a verdict or for a goodbye, and what one
// connection and one identity may have. A zero field
// has its default, a negative one is an error of [Guard.Validate].
type Limits struct {
	// Pending is how many sockets that the Guard has answered itself there may
	// be at one time: those that wait for their first message, and refused ones
	// on their way out. At the bound a client that would have to wait is
	// refused with 503, and a refusal is told in plain HTTP with the status it
	// has anyway. Default: 1000.
	Pending int
	// PendingPerAddress is the same for one client: an IPv4 address, or an
	// IPv6 network of 64 bits. Here who would have to wait is refused with 429.
	// Default: 20.
	PendingPerAddress int
	// Verifying is how many requests may have their credential with a verifier
	// at one time. At the bound the newest is refused with 503. Default: 4096.
	Verifying int
	// FirstMessage is how long a client has, from the handshake, to send its
	// first message whole. Default: 10 s.
	FirstMessage time.Duration
	// Verify is how long a verifier may take. It should be short: browsers
	// hold back other handshakes to the same address. Default: 3 s.
	Verify time.Duration
	// Lifetime is how long a connection may live, whatever its credential says
	// and however often it is renewed; it then ends as an expired one. Default:
	// for ever.
	Lifetime time.Duration
	// PerIdentity is how many connections one identity (issuer and subject) may
	// have on one route, among those that share [Guard.Sessions]. At the bound
	// the newest is refused with 429. Default: any number.
	PerIdentity int
	// ReplaceOldest has the oldest connection make way for the newest at
	// PerIdentity instead: it ends with 4403 and the word "replaced". Default:
	// false.
	ReplaceOldest bool
}

const (
	defaultPending           = 1000
	defaultPendingPerAddress = 20
	defaultVerifying         = 4096
	defaultFirstMessage      = 10 * time.Second
	defaultVerify            = 3 * time.Second
)

func (l Limits) withDefaults() Limits {
	return Limits{
		Lifetime: l.Lifetime, PerIdentity: l.PerIdentity, ReplaceOldest: l.ReplaceOldest,
		Pending:           cmp.Or(l.Pending, defaultPending),
		PendingPerAddress: cmp.Or(l.PendingPerAddress, defaultPendingPerAddress),
		Verifying:         cmp.Or(l.Verifying, defaultVerifying),
		FirstMessage:      cmp.Or(l.FirstMessage, defaultFirstMessage),
		Verify:            cmp.Or(l.Verify, defaultVerify),
	}
}
