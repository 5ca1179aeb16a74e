package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	subjectPrefix = "usher."
	rollSubject   = subjectPrefix + "roll"
	// rollFor is how long a node counts as there without being heard: it is
	// heard every lookEvery.
	rollFor = 3 * lookEvery
	// maxNodes bounds how many nodes are known: more are not waited for.
	maxNodes = 1024
	// nodeHeader names who answers, or who is there.
	nodeHeader = "Usher-Node"
	// Further headers of the roll.
	rollNew  = "Usher-New"  // It wants to hear from the others.
	rollGone = "Usher-Gone" // It leaves.
)

// errUnanswered: some of the nodes that serve have not answered in time.
var errUnanswered = errors.New("not all nodes have answered in time")

// ask sends to the subject and gathers answers. The connection does not hear
// itself, so that a node is not asked what it asks. The nodes on the roll are
// waited for; where the server says that there is nobody, nobody is.
func (s *jetStream) ask(ctx context.Context, subject string, data []byte, answer func([]byte)) error {
	if !s.nc.IsConnected() {
		return errCutOff
	}
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // It fails where the connection is cut, which ends it too.
	awaited := s.roll.present()
	nobody, answered := len(awaited) == 0, false
	if err := s.nc.PublishRequest(subjectPrefix+subject, inbox, data); err != nil {
		return fmt.Errorf("%w: %w", errCutOff, err)
	}
	for nobody || len(awaited) > 0 {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return nil
		case err != nil && ctx.Err() != nil:
			if _, down := s.down(); down != nil && !answered {
				return down
			}
			return errUnanswered // Those who have not answered by now are not counted.
		case err != nil:
			return fmt.Errorf("wait for answers: %w", err)
		}
		answered = true
		delete(awaited, m.Header.Get(nodeHeader))
		answer(m.Data)
	}
	return nil
}

func (s *jetStream) serve(subject string, f func([]byte) []byte) (stop func(), err error) {
	sub, err := s.nc.SubscribeSync(subjectPrefix + subject)
	if err != nil {
		return nil, err
	}
	s.roll.join()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.wg.Go(func() {
		defer close(done)
		for {
			m, err := sub.NextMsgWithContext(ctx)
			switch {
			case errors.Is(err, nats.ErrSlowConsumer):
				continue // Questions were lost; who asked waits no longer than it wants.
			case err != nil:
				return
			case m.Reply == "":
				continue
			}
			answer := &nats.Msg{Subject: m.Reply, Data: f(m.Data), Header: nats.Header{nodeHeader: {s.roll.id}}}
			if err := s.nc.PublishMsg(answer); err != nil {
				s.log.Debug("answer could not be sent")
			}
		}
	})
	return func() {
		cancel()
		<-done
		sub.Unsubscribe() //nolint:errcheck // As in ask.
		s.roll.leave()
	}, nil
}

// A roll knows which other nodes serve, by what they call out: so that who asks
// them knows when all have answered.
type roll struct {
	nc *nats.Conn
	id string

	mu sync.Mutex
	// Guarded by mu.
	nodes   map[string]time.Time // When they were heard last.
	serving int
}

func newRoll(nc *nats.Conn) *roll {
	return &roll{nc: nc, id: rand.Text(), nodes: make(map[string]time.Time)}
}

// open begins to listen, until the connection is closed.
func (r *roll) open() error {
	if _, err := r.nc.Subscribe(rollSubject, r.hear); err != nil {
		return err
	}
	r.say(rollNew)
	return nil
}

func (r *roll) hear(m *nats.Msg) {
	id := m.Header.Get(nodeHeader)
	r.mu.Lock()
	_, known := r.nodes[id]
	switch {
	case m.Header.Get(rollGone) != "":
		delete(r.nodes, id)
	case id != "" && len(id) <= 64 && (known || len(r.nodes) < maxNodes):
		r.nodes[id] = time.Now()
	}
	r.mu.Unlock()
	if m.Header.Get(rollNew) != "" {
		r.call()
	}
}

// join is called when this node begins to serve, leave when it serves no more.
func (r *roll) join() {
	r.mu.Lock()
	r.serving++
	r.mu.Unlock()
	r.call()
}

func (r *roll) leave() {
	r.mu.Lock()
	last := r.serving == 1
	r.serving = max(r.serving-1, 0)
	r.mu.Unlock()
	if last {
		r.say(rollGone)
	}
}

// call tells the others that this node is there, if it serves.
func (r *roll) call() {
	r.mu.Lock()
	serving := r.serving > 0
	r.mu.Unlock()
	if serving {
		r.say("")
	}
}

func (r *roll) say(what string) {
	m := &nats.Msg{Subject: rollSubject, Header: nats.Header{}}
	if what != rollNew { // Who is new may serve nothing yet.
		m.Header.Set(nodeHeader, r.id)
	}
	if what != "" {
		m.Header.Set(what, "1")
	}
	// Where it cannot be sent, the others forget this node, and wait a little.
	_ = r.nc.PublishMsg(m)
}

// present returns the nodes that are there.
func (r *roll) present() map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	present := make(map[string]struct{}, len(r.nodes))
	for id, heard := range r.nodes {
		if time.Since(heard) > rollFor {
			delete(r.nodes, id)
			continue
		}
		present[id] = struct{}{}
	}
	return present
}
