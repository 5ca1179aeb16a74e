package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/usher-ws/usher/internal/hub"
)

// maxHeard is how many messages of one stream wait to be told. Beyond it they
// are lost, which shows by the numbers, and read from the store.
const maxHeard = 1 << 14

// A follower is told of the entries of one channel.
type follower struct {
	stream *logStream
	name   hub.Name
	token  string
	tell   func(*hub.Entry)
	lost   func()

	mu sync.Mutex // Held while it is told.
	// Guarded by mu.
	sub   *nats.Subscription
	begun bool
	early []*hub.Entry // Came before it was known where it begins.
	last  hub.Position // Of what it was told last, or where it began.
	over  bool
}

// Follow implements [hub.Log].
func (l *streamLog) Follow(ctx context.Context, n hub.Name, tell func(*hub.Entry), lost func()) (hub.Position, func(), error) {
	s, shard, name := l.streamOf(n)
	f := &follower{stream: s, name: n, token: name, tell: tell, lost: lost}
	s.mu.Lock()
	s.followers[name] = append(s.followers[name], f)
	s.mu.Unlock()
	from, err := f.begin(ctx, l.heard[shard])
	if err != nil {
		f.stop()
		return 0, nil, fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
	}
	return from, f.stop, nil
}

// begin subscribes, and finds out where it begins.
func (f *follower) begin(ctx context.Context, heard chan *nats.Msg) (hub.Position, error) {
	life := f.stream.now.Load()
	sub, err := f.stream.log.nc.ChanSubscribe(life.told+f.token, heard)
	if err != nil {
		return 0, fmt.Errorf("subscribe: %w", err)
	}
	f.mu.Lock()
	f.sub = sub
	f.mu.Unlock()
	from, err := f.stream.end(ctx, life)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.stream.now.Load() != life {
		return 0, errCutOff
	}
	f.last, f.begun = from, true
	for _, e := range f.early {
		f.give(e)
	}
	f.early = nil
	return from, nil
}

// end is where the stream ends: who has subscribed before, by the same connection, is
// told of all that comes after it. That holds of what a server says of itself. Those
// of a cluster tell each other who has subscribed by another way than they look at
// each other's streams, so there the stream is knocked at first.
func (s *logStream) end(ctx context.Context, life *logLife) (hub.Position, error) {
	if s.log.own == nil {
		if err := s.knock(ctx, life); err != nil {
			return 0, err
		}
	}
	info, err := s.log.lookAt(ctx, s.stream())
	if err != nil {
		return 0, err
	}
	return hub.Position(info.State.LastSeq), nil
}

// knock sends the stream a message that it refuses, as one of another stream, and
// waits for the answer. It takes the way that subscriptions take, and leaves nothing.
func (s *logStream) knock(ctx context.Context, life *logLife) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	m := nats.NewMsg(life.prefix + "knock") // Which names no channel.
	m.Header.Set(nats.ExpectedStreamHdr, "none")
	if _, err := s.log.request(ctx, m); err != nil {
		return fmt.Errorf("knock at stream %s: %w", s.stream(), err)
	}
	return nil
}

// forget takes a follower from the stream.
func (s *logStream) forget(f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A slice of its own: others may hold the old one.
	var others []*follower
	for _, o := range s.followers[f.token] {
		if o != f {
			others = append(others, o)
		}
	}
	s.followers[f.token] = others
	if others == nil {
		delete(s.followers, f.token)
	}
}

func (f *follower) stop() { f.end() }

// end ends a follower, and reports whether it had ended before.
func (f *follower) end() (was bool) {
	f.mu.Lock()
	was, f.over, f.early = f.over, true, nil
	sub := f.sub
	f.sub = nil
	f.mu.Unlock()
	if sub != nil {
		_ = sub.Unsubscribe() // It fails where the connection is closed, which ends it too.
	}
	f.stream.forget(f)
	return was
}

// lose ends a follower that cannot go on.
func (f *follower) lose() {
	if !f.end() {
		f.lost()
	}
}

// loseAll ends all followers of a stream that was lost.
func (s *logStream) loseAll() {
	for _, f := range s.following() {
		f.lose()
	}
}

func (s *logStream) following() []*follower {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*follower, 0, len(s.followers))
	for _, of := range s.followers {
		list = append(list, of...)
	}
	return list
}

// hear tells followers what comes of the stream.
func (s *logStream) hear(ctx context.Context, heard <-chan *nats.Msg) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-heard:
			s.pass(ctx, m)
		}
	}
}

// pass tells followers of a message. Where one before it is missing, that is read
// first. Each of several on one channel has a subscription, so that the same may
// come again.
func (s *logStream) pass(ctx context.Context, m *nats.Msg) {
	name, ok := strings.CutPrefix(m.Subject, s.now.Load().told)
	list := s.followersOf(name)
	if !ok || len(list) == 0 {
		return
	}
	at, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	before, beforeErr := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
	e, decodeErr := entryOf(m.Data, at, m.Header.Get("Nats-Time-Stamp"))
	bad := err != nil || beforeErr != nil || decodeErr != nil
	for _, f := range list {
		switch {
		case bad:
			s.log.log.Error("message of a channel cannot be read", slog.String("channel", f.name.Channel))
			f.lose()
		case f.heard(e, hub.Position(before)):
			f.mend(ctx)
		}
	}
}

// heard tells of an entry, unless one before it is missing.
func (f *follower) heard(e *hub.Entry, before hub.Position) (missing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.over:
	case !f.begun && len(f.early) < readBatch:
		f.early = append(f.early, e)
	case !f.begun, before > f.last:
		return true
	default:
		f.give(e)
	}
	return false
}

// give tells of an entry, unless it was told of before. Callers hold mu.
func (f *follower) give(e *hub.Entry) {
	if !f.over && e.Position > f.last {
		f.last = e.Position
		f.tell(e)
	}
}

// mend reads what the follower has missed from the store. Where the store cannot
// be reached it is tried again: see doubt.
func (f *follower) mend(ctx context.Context) {
	l := f.stream.log
	for {
		f.mu.Lock()
		after, skip := f.last, f.over || !f.begun
		f.mu.Unlock()
		if skip {
			if !f.isOver() {
				l.doubt()
			}
			return
		}
		attempt, cancel := context.WithTimeout(ctx, 5*lookTimeout)
		list, err := l.Read(attempt, f.name, hub.Range{After: after, Limit: readBatch})
		var first hub.Position
		if err == nil && len(list) > 0 {
			first, _, err = l.Bounds(attempt, f.name)
		}
		cancel()
		switch {
		case err != nil:
			l.doubt()
			return
		case first > after:
			f.lose()
			return
		}
		f.mu.Lock()
		for _, e := range list {
			f.give(e)
		}
		f.mu.Unlock()
		if len(list) < readBatch {
			return
		}
	}
}

func (f *follower) isOver() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// doubt has it looked soon whether followers have missed something: of the last
// message of a channel it does not show that it was lost.
func (l *streamLog) doubt() {
	select {
	case l.doubts <- struct{}{}:
	default:
	}
}

// mendAll sees to followers that may have missed something, until ctx ends.
func (l *streamLog) mendAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.doubts:
		}
		for _, s := range l.all() {
			for _, f := range s.following() {
				f.mend(ctx)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAgain):
		}
	}
}

func (s *logStream) followersOf(name string) []*follower {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.followers[name]
}

// entryOf reads an entry as the store tells of it.
func entryOf(data []byte, at uint64, stamp string) (*hub.Entry, error) {
	e, err := decodeEntry(data)
	if err != nil {
		return nil, err
	}
	when, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return nil, err
	}
	e.Stamp(hub.Position(at), when.UnixMilli())
	return e, nil
}
