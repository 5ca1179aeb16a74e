package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/usher-ws/usher/internal/hub"
)

const (
	// readBatch is how many messages are asked for at once.
	readBatch = 512
	// readTimeout bounds a read.
	readTimeout = 5 * time.Second
	// staleAgain is how long it waits for a replica that is behind.
	staleAgain = 20 * time.Millisecond
)

var errStale = errors.New("the replica is behind")

// Read implements [hub.Log].
func (l *streamLog) Read(ctx context.Context, n hub.Name, r hub.Range) ([]*hub.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	read := l.read
	if r.Backwards {
		read = l.readBack
	}
	for {
		list, err := read(ctx, n, r)
		switch {
		case err == nil:
			return list, nil
		case !errors.Is(err, errStale):
			return nil, fmt.Errorf("%w: read channel: %w", hub.ErrUnavailable, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: read channel: %w", hub.ErrUnavailable, err)
		case <-time.After(staleAgain):
		}
	}
}

// readBack is read for a range of which the end is wanted. The store reads
// forwards only: so a part before the end is read, and a larger one where that
// does not have enough.
func (l *streamLog) readBack(ctx context.Context, n hub.Name, r hub.Range) ([]*hub.Entry, error) {
	after, last, err := l.Bounds(ctx, n)
	if err != nil {
		return nil, err
	}
	to := last
	if r.To != 0 {
		to = min(to, r.To)
	}
	first := max(after, r.After)
	for width := hub.Position(4 * r.Limit); ; width *= 8 {
		part := hub.Range{After: first, To: r.To, Limit: r.Limit, Backwards: true}
		if to > first+width {
			part.After = to - width
		}
		list, err := l.read(ctx, n, part)
		if err != nil || len(list) == r.Limit || part.After == first {
			slices.Reverse(list)
			return list, err
		}
	}
}

// read reads forwards. Backwards keeps the end of the range, and not its
// beginning.
func (l *streamLog) read(ctx context.Context, n hub.Name, r hub.Range) ([]*hub.Entry, error) {
	s, _, name := l.streamOf(n)
	subject := s.now.Load().prefix + name
	newest, err := l.newest(ctx, s, subject)
	if err != nil || newest <= r.After {
		return nil, err
	}
	to := newest
	if r.To != 0 {
		to = min(to, r.To)
	}
	var list []*hub.Entry
	for next := r.After + 1; next <= to; {
		batch, err := l.batch(ctx, s, subject, next)
		if err != nil {
			return nil, err
		}
		if len(batch) == 0 { // A replica that does not have it all; or it has just been dropped.
			if l.o.Durability == Replicated && next <= newest {
				return nil, l.unlessDropped(ctx, s, subject, next)
			}
			break
		}
		for _, e := range batch {
			if e.Position > to {
				return list, nil
			}
			if list = append(list, e); len(list) > r.Limit {
				if !r.Backwards {
					return list[:r.Limit], nil
				}
				list = list[1:]
			}
		}
		next = batch[len(batch)-1].Position + 1
	}
	return list, nil
}

// unlessDropped is errStale where the leader has a message of the subject from
// next on.
func (l *streamLog) unlessDropped(ctx context.Context, s *logStream, subject string, next hub.Position) error {
	newest, err := l.newest(ctx, s, subject)
	if err == nil && newest >= next {
		err = errStale
	}
	return err
}

// newest is the position of the subject's last message, as its leader has it, or
// 0.
func (l *streamLog) newest(ctx context.Context, s *logStream, subject string) (hub.Position, error) {
	var found struct {
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	err := l.api(ctx, "STREAM.MSG.GET."+s.stream(), map[string]string{"last_by_subj": subject}, &found)
	if is(err, codeNoMessage) {
		return 0, nil
	}
	return hub.Position(found.Message.Seq), err
}

// batch reads some messages of a subject, from a position on.
func (l *streamLog) batch(ctx context.Context, s *logStream, subject string, from hub.Position) ([]*hub.Entry, error) {
	inbox := l.nc.NewInbox()
	sub, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // It fails where the connection is cut, which ends it too.
	request, err := json.Marshal(map[string]any{"seq": uint64(from), "next_by_subj": subject, "batch": readBatch})
	if err != nil {
		return nil, err
	}
	if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+s.stream(), inbox, request); err != nil {
		return nil, fmt.Errorf("%w: %w", errCutOff, err)
	}
	var list []*hub.Entry
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			l.reach.suspect()
			return nil, errNoStream
		case err != nil:
			return nil, fmt.Errorf("wait for the store: %w", err)
		}
		if status := m.Header.Get("Status"); status == "204" || status == "404" {
			return list, nil
		} else if status != "" {
			return nil, fmt.Errorf("the store answers %s %s", status, m.Header.Get("Description"))
		}
		at, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the store's answer has no number: %w", err)
		}
		e, err := entryOf(m.Data, at, m.Header.Get("Nats-Time-Stamp"))
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
}

// Bounds implements [hub.Log].
func (l *streamLog) Bounds(ctx context.Context, n hub.Name) (after, last hub.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, _, _ := l.streamOf(n)
	info, err := s.info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
	}
	last = hub.Position(info.State.LastSeq)
	return min(hub.Position(info.State.FirstSeq)-1, last), last, nil
}
