package usher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A Bus carries renewals and revocations between the nodes of a site, and keeps
// revocations for those that are cut off or start later. It is called from many
// goroutines at once. Whoever can write to it can renew and revoke: it must be
// reachable by the nodes only.
type Bus interface {
	// Publish gives a notice to all other nodes. Of a renewal it returns how
	// many connections they have renewed, as far as they answer within ctx. A
	// revocation is kept until n.Until before Publish returns nil; an error
	// means that other nodes may not hear of it.
	Publish(ctx context.Context, n Notice) (connections int, err error)
	// Subscribe calls deliver with every revocation that is kept, before it
	// returns, and from then on with each notice of another node; after it was
	// cut off, with what it has missed. It may deliver one again, and the
	// node's own revocations. deliver returns how many connections the notice
	// concerned. stop returns when deliver is called no more.
	Subscribe(ctx context.Context, deliver func(Notice) int) (stop func(), err error)
}

// A Notice is what nodes tell each other: exactly one of its pointers is set.
// It has no credential in it. It goes through [encoding/json], with numbers in
// claims as [encoding/json.Number].
type Notice struct {
	// Revocation takes credentials back on the nodes that hear of it.
	Revocation *Revocation `json:"revocation,omitempty"`
	// Renewal is for connections that other nodes may hold.
	Renewal *Renewal `json:"renewal,omitempty"`
	// Made is when.
	Made time.Time `json:"made"`
	// Until is how long a revocation is kept; zero for a renewal.
	Until time.Time `json:"until,omitzero"`
}

// A Renewal is a fresh identity for the live connections of its session.
type Renewal struct {
	// Identity is who they belong to, and until when from now on.
	Identity Identity `json:"identity"`
	// Routes are those whose connections are renewed: the ones that accepted
	// the credential. See [Guard.Route].
	Routes []string `json:"routes"`
}

// A busOf is the bus that Sessions have joined, if any.
type busOf struct{ atomic.Pointer[Bus] }

// Join has renewals and revocations reach the other nodes of the bus, and theirs
// this one, until leave is called. When it returns, every revocation that the
// bus keeps is known here. One bus can be joined at a time.
func (s *Sessions) Join(ctx context.Context, b Bus) (leave func(), err error) {
	if !s.bus.CompareAndSwap(nil, &b) {
		return nil, errors.New("join bus: these sessions have joined one already")
	}
	stop, err := b.Subscribe(ctx, s.hear)
	if err != nil {
		s.bus.Store(nil)
		return nil, fmt.Errorf("join bus: %w", err)
	}
	return sync.OnceFunc(func() {
		stop()
		s.bus.Store(nil)
	}), nil
}

// hear does what another node tells. What cannot be right is left undone: nodes
// check what they say.
func (s *Sessions) hear(n Notice) int {
	switch {
	case n.Revocation != nil && n.Renewal == nil:
		if n.Revocation.validateNames() != nil || n.Revocation.IssuedBefore.IsZero() || !time.Now().Before(n.Until) {
			return 0
		}
		return s.revoke(n)
	case n.Renewal != nil && n.Revocation == nil:
		id, err := s.accept(&n.Renewal.Identity)
		if err != nil {
			return 0
		}
		renewed, err := s.renew(id, n.Renewal.Routes, nil)
		if err != nil {
			return 0
		}
		return renewed.connections
	}
	return 0
}

// tell gives a notice to the other nodes, if there are any.
func (s *Sessions) tell(ctx context.Context, n Notice) (int, error) {
	b := s.bus.Load()
	if b == nil {
		return 0, nil
	}
	return (*b).Publish(ctx, n)
}
