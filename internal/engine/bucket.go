package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// markTTL is how long it stays marked that an entry was removed, or has
	// ended: longer than a watcher that is not cut off takes to hear of it. One
	// that was cut off sees that the entry is missing.
	markTTL = time.Minute
	// probeKey is what writing is tried with, by a value of probeSize: where there
	// is room for that, there is for the id of a ticket.
	probeKey  = "probe"
	probeSize = 512
	// clocksApart is how far the clocks of nodes may be apart.
	clocksApart = time.Minute
)

// errForeign: there is a stream by our name that is not as ours are.
var errForeign = errors.New("it was not made by usher, or the NATS servers are older than 2.11")

// A jsBucket is a stream in the form of a NATS key-value bucket, so that the
// tools for those can show it.
//
// Each time a bucket is made it gets a life: a number that is part of the
// subject of every entry. When the store has lost its disk and the bucket was
// made anew, by whichever node, a node that has not noticed yet writes to
// subjects that nobody serves, and is refused. So an id that was spent in the
// bucket before is not spent once more by a ticket from before. Revisions begin
// at that number too, which is the time in microseconds, so that they rise
// across lives.
type jsBucket struct {
	*link
	// Immutable.
	name     string
	kind     bucketKind
	replicas int
	maxBytes int64

	// refreshing holds all but one that would make the bucket anew.
	refreshing sync.Mutex
	now        atomic.Pointer[life]
	// telling is held for reading while a watcher is told of an entry, and for
	// writing while a new life begins: of the old one nothing is told after that.
	telling sync.RWMutex

	mu sync.Mutex
	// Guarded by mu.
	watchers map[*watcher]func() // With what stops them.
}

// A life of a bucket is from when it was made until the store loses it.
type life struct {
	prefix string // Of subjects, with a dot at the end.
	since  time.Time
	ended  chan struct{} // Closed when the next one begins.
}

func (b *jsBucket) stream() string { return "KV_" + b.name }

func (b *jsBucket) since() time.Time { return b.now.Load().since }

// refresh looks whether the bucket is there still, and makes it where it is not.
func (b *jsBucket) refresh(ctx context.Context) error {
	b.refreshing.Lock()
	defer b.refreshing.Unlock()
	info, err := b.find(ctx, b.stream(), b.settings)
	if err != nil {
		return err
	}
	return b.adopt(info)
}

// settings are those of a bucket that is made now, with a life of its own.
func (b *jsBucket) settings() *jetstream.StreamConfig {
	number := uint64(time.Now().UnixMicro())
	if l := b.now.Load(); l != nil {
		number = max(number, uint64(l.since.UnixMicro())+1)
	}
	c := &jetstream.StreamConfig{
		Name:              b.stream(),
		Description:       "Usher: do not edit",
		Subjects:          []string{"$KV." + b.name + "." + strconv.FormatUint(number, 10) + ".>"},
		FirstSeq:          number,
		MaxMsgsPerSubject: 1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxConsumers:      -1,
		MaxMsgSize:        maxValue + 4096, // With subject and headers.
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          b.replicas,
		DenyDelete:        true,
		AllowRollup:       true,
		AllowMsgTTL:       true,
	}
	switch b.kind {
	case watched:
		c.SubjectDeleteMarkerTTL = markTTL
	case changing:
		c.MaxMsgs = maxChanging
	}
	if b.maxBytes > 0 {
		c.MaxBytes = b.maxBytes
	}
	return c
}

// adopt takes the bucket as it is there, if it is as it must be. That a full
// one refuses instead of forgetting the oldest is what all else relies on.
func (b *jsBucket) adopt(info *jetstream.StreamInfo) error {
	c := info.Config
	var prefix string
	if len(c.Subjects) == 1 {
		prefix = strings.TrimSuffix(c.Subjects[0], ">")
	}
	number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(prefix, "$KV."+b.name+"."), "."), 10, 64)
	marks := c.SubjectDeleteMarkerTTL > 0 // Of what was removed, for who watches.
	if err != nil || !c.AllowMsgTTL || c.MaxMsgsPerSubject != 1 || c.Discard != jetstream.DiscardNew ||
		c.MaxAge != 0 || c.Retention != jetstream.LimitsPolicy || marks != (b.kind == watched) {
		return fmt.Errorf("bucket %s: stream %s has other settings than it must have: %w", b.name, c.Name, errForeign)
	}
	old := b.now.Load()
	if old != nil && old.prefix == prefix {
		return nil
	}
	// The later one of two clocks, that of the server and that of the node that
	// made it: a ticket from before must not seem younger than the bucket.
	l := &life{prefix: prefix, since: info.Created, ended: make(chan struct{})}
	if made := time.UnixMicro(number); made.After(l.since) {
		l.since = made
	}
	if old == nil {
		b.now.Store(l)
		return nil
	}
	if !l.since.After(old.since) {
		l.since = old.since.Add(time.Microsecond)
	}
	// A node whose clock is ahead may have made a ticket before the loss that
	// seems younger than the bucket.
	l.since = l.since.Add(clocksApart)
	b.telling.Lock()
	b.now.Store(l)
	b.telling.Unlock()
	close(old.ended)
	b.log.Warn("engine has lost what it kept: the bucket was made anew", slog.String("bucket", b.name))
	return nil
}

// probe finds out whether the bucket can be written to.
func (b *jsBucket) probe(ctx context.Context) error {
	w := write{subject: b.now.Load().prefix + probeKey, value: make([]byte, probeSize)}
	if _, err := b.publish(ctx, b.stream(), w); err != nil {
		return fmt.Errorf("write to bucket %s: %w", b.name, err)
	}
	return nil
}

func (b *jsBucket) create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	l := b.now.Load()
	w := write{subject: l.prefix + key, value: value, ttl: ttl, expect: new(uint64)}
	revision, err := b.publish(ctx, b.stream(), w)
	if !errors.Is(err, errConflict) {
		return revision, err
	}
	if b.kind == passing {
		return 0, errExists
	}
	// What is there may be a mark only.
	last, err := b.last(ctx, l, key)
	switch {
	case errors.Is(err, errNotFound):
	case err != nil:
		// The entry was not created: but that is not worth another sentinel.
		return 0, err
	case !last.removed:
		return 0, errExists
	default:
		w.expect = &last.revision
	}
	revision, err = b.publish(ctx, b.stream(), w)
	if errors.Is(err, errConflict) {
		return 0, errExists
	}
	return revision, err
}

func (b *jsBucket) get(ctx context.Context, key string) (entry, error) {
	e, err := b.last(ctx, b.now.Load(), key)
	switch {
	case err != nil:
		return entry{}, err
	case e.removed:
		return entry{}, errNotFound
	}
	return e, nil
}

// last returns the newest message of a key, or with ">" of all, from the
// stream's leader. A mark that something was removed is one too.
func (b *jsBucket) last(ctx context.Context, l *life, key string) (entry, error) {
	var found struct {
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	err := b.api(ctx, "STREAM.MSG.GET."+b.stream(), map[string]string{"last_by_subj": l.prefix + key}, &found)
	if is(err, codeNoMessage) {
		return entry{}, errNotFound
	}
	if err != nil {
		return entry{}, fmt.Errorf("read from bucket %s: %w", b.name, err)
	}
	m := found.Message
	e := entry{key: strings.TrimPrefix(m.Subject, l.prefix), value: m.Data, revision: m.Seq}
	if len(m.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return entry{}, fmt.Errorf("read from bucket %s: %w", b.name, err)
		}
		e.removed = marked(h)
	}
	return e, nil
}

// marked reports whether a message only says that its entry was removed.
func marked(h nats.Header) bool {
	return h.Get("Nats-Marker-Reason") != "" || h.Get("KV-Operation") != ""
}

func (b *jsBucket) update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	w := write{subject: b.now.Load().prefix + key, value: value, ttl: ttl, expect: &revision}
	return b.publish(ctx, b.stream(), w)
}

func (b *jsBucket) remove(ctx context.Context, key string, revision uint64) error {
	w := write{subject: b.now.Load().prefix + key, ttl: markTTL, mark: true}
	if revision > 0 {
		w.expect = &revision
	}
	_, err := b.publish(ctx, b.stream(), w)
	return err
}
