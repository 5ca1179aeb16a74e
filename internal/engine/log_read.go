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
	// readBatch and readBytes are how much is asked for at once, at most, and
	// seekBatch how much at least, where the end of a range is looked for.
	readBatch = 1024
	seekBatch = 64
	readBytes = 8 << 20
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
	var list []*hub.Entry
	for next := r.After + 1; ; {
		batch, more, err := l.batch(ctx, s, subject, next, batchFor(r, len(list)))
		if err != nil {
			return nil, err
		}
		for _, e := range batch {
			if r.To != 0 && e.Position > r.To {
				return list, nil
			}
			if list = append(list, e); len(list) > r.Limit {
				if !r.Backwards {
					return list[:r.Limit], nil
				}
				list = list[1:]
			}
			next = e.Position + 1
		}
		switch {
		case len(list) == r.Limit && !r.Backwards:
			return list, nil
		case !more, len(batch) == 0:
			return list, l.stale(ctx, s, subject, next)
		}
	}
}

// batchFor is how much is asked for at once for a range of which have entries are
// read: no more than it may need. What the end of a range is looked for in has
// any number.
func batchFor(r hub.Range, have int) int {
	if r.Backwards {
		return min(max(r.Limit, seekBatch), readBatch)
	}
	return min(r.Limit-have, readBatch)
}

// stale is errStale where the leader has a message of the subject from next on,
// and it is not sure that it was the leader who was asked.
func (l *streamLog) stale(ctx context.Context, s *logStream, subject string, next hub.Position) error {
	if l.o.Durability != Replicated {
		return nil
	}
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

// batch reads some messages of a subject, n at most, from a position on. It
// reports whether there are more.
func (l *streamLog) batch(ctx context.Context, s *logStream, subject string, from hub.Position, n int) (list []*hub.Entry, more bool, err error) {
	inbox := l.nc.NewInbox()
	sub, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, false, fmt.Errorf("subscribe: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // It fails where the connection is cut, which ends it too.
	request, err := json.Marshal(map[string]any{"seq": uint64(from), "next_by_subj": subject, "batch": n, "max_bytes": readBytes})
	if err != nil {
		return nil, false, err
	}
	if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+s.stream(), inbox, request); err != nil {
		return nil, false, fmt.Errorf("%w: %w", errCutOff, err)
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			l.reach.suspect()
			return nil, false, errNoStream
		case err != nil:
			return nil, false, fmt.Errorf("wait for the store: %w", err)
		}
		if status := m.Header.Get("Status"); status == "204" || status == "404" {
			return list, m.Header.Get("Nats-Num-Pending") != "0", nil
		} else if status != "" {
			return nil, false, fmt.Errorf("the store answers %s %s", status, m.Header.Get("Description"))
		}
		at, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil {
			return nil, false, fmt.Errorf("the store's answer has no number: %w", err)
		}
		e, err := entryOf(m.Data, at, m.Header.Get("Nats-Time-Stamp"))
		if err != nil {
			return nil, false, err
		}
		list = append(list, e)
	}
}

// Bounds implements [hub.Log].
func (l *streamLog) Bounds(ctx context.Context, n hub.Name) (after, last hub.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, _, _ := l.streamOf(n)
	info, err := s.log.lookAt(ctx, s.stream())
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
	}
	last = hub.Position(info.State.LastSeq)
	return min(hub.Position(info.State.FirstSeq)-1, last), last, nil
}
