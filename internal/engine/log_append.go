package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	stream string
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
	data := encodeEntry(e)
	if len(data) > maxEntry {
		return hub.ErrTooLarge
	}
	s, _, name := l.streamOf(*e.Name)
	key := sha256.Sum256([]byte(e.Key().String()))
	number, err := l.appends.begin(s.stream(), then)
	if err != nil {
		return err
	}
	err = l.nc.PublishMsg(&nats.Msg{
		Subject: s.now.Load().prefix + name,
		Reply:   l.appends.inbox + strconv.FormatUint(number, 36),
		Header:  nats.Header{"Nats-Msg-Id": {name + "." + base64.RawURLEncoding.EncodeToString(key[:16])}},
		Data:    data,
	})
	if err != nil && l.appends.take(number) != nil {
		return fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
	}
	return nil
}

func (a *appends) begin(stream string, then func(hub.Position, error)) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || len(a.waiting) >= maxAppends {
		return 0, fmt.Errorf("%w: too many messages wait for it", hub.ErrUnavailable)
	}
	a.last++
	a.waiting[a.last] = waitingAppend{stream, time.Now(), then}
	return a.last, nil
}

// take ends the wait of an entry, and returns it if it has waited.
func (a *appends) take(number uint64) *waitingAppend {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.waiting[number]
	if !ok {
		return nil
	}
	delete(a.waiting, number)
	return &w
}

// answer is given the store's answers.
func (a *appends) answer(m *nats.Msg) {
	number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.inbox), 36, 64)
	if err != nil {
		return
	}
	w := a.take(number)
	if w == nil {
		return // Too late.
	}
	w.then(w.position(m))
}

// position reads an answer.
func (w *waitingAppend) position(m *nats.Msg) (hub.Position, error) {
	if m.Header.Get("Status") != "" { // Nobody serves the subject.
		return 0, fmt.Errorf("%w: %w", hub.ErrUnavailable, errNoStream)
	}
	var ack struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return 0, fmt.Errorf("%w: decode the store's answer: %w", hub.ErrUnavailable, err)
	}
	switch {
	case ack.Error == nil && ack.Stream != w.stream:
		return 0, fmt.Errorf("%w: the store's answer is of another stream", hub.ErrUnavailable)
	case ack.Error == nil:
		return hub.Position(ack.Sequence), nil
	case is(ack.Error, codeStoreFailed, codeNoResources, codeNoStorage):
		return 0, fmt.Errorf("%w: %s", hub.ErrFull, ack.Error.Description)
	}
	return 0, fmt.Errorf("%w: %w", hub.ErrUnavailable, ack.Error)
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
