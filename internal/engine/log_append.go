package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/usher-ws/usher/internal/hub"
)

const (
	// maxAppends bounds the entries that wait for the store. More are refused.
	maxAppends = 1 << 16
	// appendTimeout is how long an entry waits for the store.
	appendTimeout = 5 * time.Second
)

// appends are the entries that wait for the store's answer. They are sent one
// after the other without a wait, and answered by one subscription.
type appends struct {
	log   *streamLog
	inbox string

	mu sync.Mutex
	// Guarded by mu.
	last    uint64
	waiting map[uint64]waitingAppend
	over    bool
}

type waitingAppend struct {
	stream *logStream
	since  time.Time
	then   func(hub.Position, error)
}

func newAppends(l *streamLog) *appends {
	return &appends{log: l, inbox: l.nc.NewInbox() + ".", waiting: make(map[uint64]waitingAppend)}
}

func (a *appends) open() error {
	sub, err := a.log.nc.Subscribe(a.inbox+"*", a.answer)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return sub.SetPendingLimits(-1, -1) // There are no more than maxAppends.
}

// Append implements [hub.Log].
func (l *streamLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	if err := l.append(e, then); err != nil {
		then(0, err)
	}
}

func (l *streamLog) append(e *hub.Entry, then func(hub.Position, error)) error {
	if _, err := l.reach.down(); err != nil || !l.nc.IsConnected() {
		return fmt.Errorf("%w: %w", hub.ErrUnavailable, errCutOff)
	}
	m, _ := letters.Get().(*letter)
	defer m.done()
	s, _, name := l.streamOf(*e.Name)
	if m.data = appendEntry(m.data[:0], e); len(m.data) > maxEntry {
		return hub.ErrTooLarge
	}
	number, err := l.appends.begin(s, then)
	if err != nil {
		return err
	}
	m.address(s.now.Load().prefix, name, l.appends.inbox, number, e.Key())
	if err := l.nc.PublishMsg(&m.msg); err != nil {
		if _, waited := l.appends.take(number); waited {
			return fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
		}
	}
	return nil
}

func (a *appends) begin(s *logStream, then func(hub.Position, error)) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || len(a.waiting) >= maxAppends {
		return 0, fmt.Errorf("%w: too many messages wait for it", hub.ErrUnavailable)
	}
	a.last++
	a.waiting[a.last] = waitingAppend{s, time.Now(), then}
	return a.last, nil
}

// take ends the wait of an entry, and returns it if it has waited.
func (a *appends) take(number uint64) (w waitingAppend, waited bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, waited = a.waiting[number]
	delete(a.waiting, number)
	return w, waited
}

// answer is given the store's answers.
func (a *appends) answer(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.inbox), 36, 64)
	if err != nil {
		return
	}
	if w, waited := a.take(number); waited { // Else it is too late.
		w.then(w.stream.placeIn(m))
	}
}

// watch fails those that have waited for too long, until ctx ends.
func (a *appends) watch(ctx context.Context) {
	tick := time.NewTicker(appendTimeout / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if a.fail(func(w waitingAppend) bool { return now.Sub(w.since) > appendTimeout }) > 0 {
				a.log.reach.suspect()
			}
		}
	}
}

// failAll fails all, and every later one.
func (a *appends) failAll() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.fail(func(waitingAppend) bool { return true })
}

// fail fails some of those that wait: whether they were added is not known.
func (a *appends) fail(which func(waitingAppend) bool) int {
	var failed []waitingAppend
	a.mu.Lock()
	for number, w := range a.waiting {
		if which(w) {
			failed = append(failed, w)
			delete(a.waiting, number)
		}
	}
	a.mu.Unlock()
	for _, w := range failed {
		w.then(0, fmt.Errorf("%w: no answer", hub.ErrUnavailable))
	}
	return len(failed)
}
