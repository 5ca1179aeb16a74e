package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// beatEvery is how often the server says that there is nothing new. Silence
	// of silentFor means that it does not look for us any more.
	beatEvery = 500 * time.Millisecond
	silentFor = 3 * beatEvery
	// watchAgain is how long a watcher waits before it begins anew.
	watchAgain = 100 * time.Millisecond
	// deafFor is how long a watcher may be behind before that counts: this node
	// does not hear of revocations.
	deafFor = 2 * time.Second
)

// A watcher tells of a bucket's entries. It reads by a consumer of its own on
// the server, from the first entry on, and begins anew with another consumer
// after whatever makes it doubt that it has seen everything: a connection that
// was cut, a gap in the numbers, silence, a bucket that was made anew. What it
// has told of and is not there any more then, has been removed.
type watcher struct {
	b *jsBucket
	f func(entry)

	// Owned by run.
	known map[string]uint64 // The revisions of what is there, by key.

	mu sync.Mutex
	// Guarded by mu.
	behind time.Time // Since when, or zero. Not before it has caught up once.
	why    error
}

// A view is what a watcher learns by one consumer.
type view struct {
	life   *life
	sub    *nats.Subscription
	seen   map[string]struct{} // Keys, until it has caught up; then nil.
	fence  uint64              // Revision with which it has caught up.
	number uint64              // Of the consumer's last message.
}

func (b *jsBucket) watch(ctx context.Context, f func(entry)) (stop func(), err error) {
	w := &watcher{b: b, f: f, known: make(map[string]uint64)}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	caughtUp, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.run(run, sync.OnceFunc(func() { close(caughtUp) }))
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		b.mu.Lock()
		delete(b.watchers, w)
		b.mu.Unlock()
	})
	select {
	case <-caughtUp:
		b.mu.Lock()
		b.watchers[w] = stop
		b.mu.Unlock()
		return stop, nil
	case <-ctx.Done():
		stop()
		return nil, fmt.Errorf("watch bucket %s: %w: %w", b.name, ctx.Err(), w.why)
	}
}

// stopWatchers stops those that are left.
func (b *jsBucket) stopWatchers() {
	b.mu.Lock()
	left := slices.Collect(maps.Values(b.watchers))
	b.mu.Unlock()
	for _, stop := range left {
		stop()
	}
}

// deaf returns why one who watches the bucket does not hear what is new.
func (b *jsBucket) deaf() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.watchers {
		w.mu.Lock()
		behind, why := w.behind, w.why
		w.mu.Unlock()
		if !behind.IsZero() && time.Since(behind) > deafFor {
			return fmt.Errorf("watch bucket %s: %w", b.name, why)
		}
	}
	return nil
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context, caughtUp func()) {
	for {
		err := w.once(ctx, func() {
			w.note(time.Time{}, nil)
			caughtUp()
		})
		if ctx.Err() != nil {
			return
		}
		w.note(time.Now(), err)
		w.b.log.Debug("watcher begins anew", slog.String("bucket", w.b.name), slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchAgain):
		}
	}
}

// note remembers since when the watcher is behind, or that it is not.
func (w *watcher) note(behind time.Time, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind.IsZero() || behind.IsZero() {
		w.behind = behind
	}
	w.why = why
}

// once watches by one consumer until something is wrong with it.
func (w *watcher) once(ctx context.Context, caughtUp func()) error {
	v := &view{life: w.b.now.Load(), seen: make(map[string]struct{})}
	status := w.b.nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer w.b.nc.RemoveStatusListener(status)
	inbox := w.b.nc.NewInbox()
	sub, err := w.b.nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	v.sub = sub
	ended, guarded := make(chan struct{}), make(chan struct{})
	go func() { // Wakes the reader below.
		defer close(guarded)
		select {
		case <-ctx.Done():
		case <-ended:
		case <-status:
		case <-v.life.ended:
		}
		if err := sub.Unsubscribe(); err != nil {
			w.b.log.Debug("unsubscribe", slog.Any("error", err))
		}
	}()
	defer func() {
		close(ended)
		<-guarded
	}()
	name, err := w.consume(ctx, v, inbox)
	if err != nil {
		return err
	}
	defer w.forget(ctx, name)
	for {
		if v.seen != nil && v.fence == 0 {
			w.settle(v)
			caughtUp()
		}
		m, err := sub.NextMsg(silentFor)
		if err != nil {
			return fmt.Errorf("wait for entries: %w", err)
		}
		if err := w.take(v, m); err != nil {
			return err
		}
	}
}

// consume makes a consumer on the server that sends to inbox. What the leader
// has now must have come before the watcher has caught up: the consumer may be
// on a server that lags behind it.
func (w *watcher) consume(ctx context.Context, v *view, inbox string) (name string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*lookTimeout)
	defer cancel()
	last, err := w.b.last(ctx, v.life, ">")
	if err != nil && !errors.Is(err, errNotFound) {
		return "", err
	}
	v.fence = last.revision
	request := struct {
		Stream string                   `json:"stream_name"`
		Config jetstream.ConsumerConfig `json:"config"`
	}{w.b.stream(), jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        1,
		FilterSubject:     v.life.prefix + ">",
		ReplayPolicy:      jetstream.ReplayInstantPolicy,
		InactiveThreshold: 10 * beatEvery,
		Replicas:          1,
		MemoryStorage:     true,
		DeliverSubject:    inbox,
		FlowControl:       true,
		IdleHeartbeat:     beatEvery,
	}}
	var info jetstream.ConsumerInfo
	if err := w.b.api(ctx, "CONSUMER.CREATE."+w.b.stream(), request, &info); err != nil {
		return "", fmt.Errorf("make consumer: %w", err)
	}
	return info.Name, nil
}

// forget ends the consumer, which would end by itself a little later.
func (w *watcher) forget(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	var done struct{}
	if err := w.b.api(ctx, "CONSUMER.DELETE."+w.b.stream()+"."+name, struct{}{}, &done); err != nil {
		w.b.log.Debug("end consumer", slog.Any("error", err))
	}
}

var errGap = errors.New("entries were lost on the way")

// take reads one message of the consumer.
func (w *watcher) take(v *view, m *nats.Msg) error {
	if m.Header.Get("Status") != "" && len(m.Data) == 0 && m.Subject == v.sub.Subject {
		return w.status(v, m)
	}
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read entry: %w", err)
	}
	if meta.Sequence.Consumer != v.number+1 || len(m.Subject) < len(v.life.prefix) {
		return errGap
	}
	v.number++
	e := entry{
		key: m.Subject[len(v.life.prefix):], value: m.Data,
		revision: meta.Sequence.Stream, removed: marked(m.Header),
	}
	if e.revision >= v.fence {
		v.fence = 0
	}
	if e.removed {
		delete(w.known, e.key)
		e.value = nil
	} else {
		w.known[e.key] = e.revision
		if v.seen != nil {
			v.seen[e.key] = struct{}{}
		}
	}
	return w.tell(v, e)
}

// status reads what the server says beside entries.
func (w *watcher) status(v *view, m *nats.Msg) error {
	if status := m.Header.Get("Status"); status != "100" {
		return fmt.Errorf("the consumer has ended: %.100q", status+" "+m.Header.Get("Description"))
	}
	if m.Reply != "" { // It waits until we have read all that is before this.
		return m.Respond(nil)
	}
	if stalled := m.Header.Get("Nats-Consumer-Stalled"); stalled != "" {
		return w.b.nc.Publish(stalled, nil)
	}
	if last := m.Header.Get("Nats-Last-Consumer"); last != strconv.FormatUint(v.number, 10) {
		return errGap
	}
	v.fence = 0 // There is no more: the entry that was waited for has ended.
	return nil
}

// settle tells of what was removed while nobody looked: the watcher has caught
// up.
func (w *watcher) settle(v *view) {
	for key, revision := range w.known {
		if _, ok := v.seen[key]; ok {
			continue
		}
		delete(w.known, key)
		if err := w.tell(v, entry{key: key, revision: revision + 1, removed: true}); err != nil {
			break // The next view tells of the others.
		}
	}
	v.seen = nil
}

// tell calls f, unless the store has lost what it is about.
func (w *watcher) tell(v *view, e entry) error {
	w.b.telling.RLock()
	defer w.b.telling.RUnlock()
	if w.b.now.Load() != v.life {
		return errors.New("the bucket was made anew")
	}
	w.f(e)
	return nil
}
