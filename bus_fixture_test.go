package usher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/usher-ws/usher"
)

// A hub joins the nodes of a test by channels. What goes through it is JSON, as
// on a bus of the network.
type hub struct {
	mu sync.Mutex
	// Guarded by mu.
	nodes []*node
	kept  [][]byte // Revocations.
}

func newHub() *hub { return &hub{} }

// A node is a hub's Bus for one process.
type node struct {
	hub  *hub
	line chan letter

	mu sync.Mutex
	// Guarded by mu.
	sent []string
	down error // What Publish and Subscribe return.
}

type letter struct {
	text   []byte
	answer chan<- int // Nil if nobody waits.
}

func (h *hub) node() *node { return &node{hub: h} }

// published returns what the node was asked to publish.
func (n *node) published() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// fail has the bus fail with err from now on, or work again.
func (n *node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = err
}

func (n *node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

func (n *node) Publish(ctx context.Context, notice usher.Notice) (int, error) {
	if err := n.failure(); err != nil {
		return 0, err
	}
	text, err := json.Marshal(notice)
	if err != nil {
		return 0, err
	}
	n.mu.Lock()
	n.sent = append(n.sent, string(text))
	n.mu.Unlock()
	n.hub.mu.Lock()
	if notice.Revocation != nil {
		n.hub.kept = append(n.hub.kept, text)
	}
	others := make([]*node, 0, len(n.hub.nodes))
	for _, o := range n.hub.nodes {
		if o != n {
			others = append(others, o)
		}
	}
	n.hub.mu.Unlock()
	answers := make(chan int, len(others))
	for _, o := range others {
		o.line <- letter{text, answers}
	}
	if notice.Renewal == nil {
		return 0, nil
	}
	sum := 0
	for range others {
		select {
		case a := <-answers:
			sum += a
		case <-ctx.Done():
			return sum, nil
		}
	}
	return sum, nil
}

func (n *node) Subscribe(_ context.Context, deliver func(usher.Notice) int) (func(), error) {
	if err := n.failure(); err != nil {
		return nil, err
	}
	h := n.hub
	h.mu.Lock()
	n.line = make(chan letter, 100)
	h.nodes = append(h.nodes, n)
	kept := h.kept
	h.mu.Unlock()
	for _, text := range kept {
		deliver(decodeNotice(text))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for l := range n.line {
			count := deliver(decodeNotice(l.text))
			if l.answer != nil {
				l.answer <- count
			}
		}
	}()
	return func() {
		h.mu.Lock()
		for i, o := range h.nodes {
			if o == n {
				h.nodes = append(h.nodes[:i:i], h.nodes[i+1:]...)
			}
		}
		h.mu.Unlock()
		close(n.line)
		<-done
	}, nil
}

// deliver tells the node's Sessions something, as if another node had.
func (n *node) deliver(notice usher.Notice) int {
	text, err := json.Marshal(notice)
	if err != nil {
		panic(err)
	}
	answer := make(chan int)
	n.line <- letter{text, answer}
	return <-answer
}

func decodeNotice(text []byte) usher.Notice {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var n usher.Notice
	if err := d.Decode(&n); err != nil {
		panic(err)
	}
	return n
}

// joinBus joins until the test ends.
func joinBus(t *testing.T, s *usher.Sessions, b usher.Bus) (leave func()) {
	t.Helper()
	leave, err := s.Join(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)
	return leave
}

var errCut = errors.New("cut off")
