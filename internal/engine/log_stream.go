package engine

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
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

	"github.com/usher-ws/usher/internal/hub"
)

const (
	// logShards is how many streams the channels of one retention are spread over:
	// one for each channel would cost too much, and of one for all too much would
	// have to be read to find a channel's messages.
	logShards = 8
	// logAhead is how much longer than its channels say a stream keeps messages.
	logAhead = 30 * time.Second
	// repeatFor is how long a message is known by its key.
	repeatFor = 2 * time.Minute
	// maxEntry bounds what is published at once, as it is kept.
	maxEntry = 1 << 20
)

// A logStream is a stream that has some of the channels. As a bucket does, it has
// lives: when it was lost and is made anew, its subjects are others, and its
// numbers begin at the time in microseconds, so that they rise.
type logStream struct {
	log  *streamLog
	name string

	now atomic.Pointer[logLife]

	refreshing sync.Mutex // Holds all but one that would make it anew.
	// Guarded by refreshing.
	keep time.Duration

	mu sync.Mutex
	// Guarded by mu.
	followers map[string][]*follower // By the part of the subject that names their channel. The slices do not change.
}

// A logLife is a stream from when it was made until it is lost.
type logLife struct {
	prefix string // Of the subjects that are written to, with a dot at the end.
	told   string // Of those on which is told what was written.
}

func (s *logStream) stream() string { return "usher_" + s.name }

func (s *logStream) subjects(number string) *logLife {
	return &logLife{prefix: "usher.log." + s.name + "." + number + ".", told: "usher.told." + s.name + "." + number + "."}
}

// refresh looks whether the stream is there still, and makes it where it is not.
func (s *logStream) refresh(ctx context.Context) error {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	info, err := s.log.find(ctx, s.stream(), s.settings)
	if err != nil {
		return err
	}
	return s.adopt(info)
}

// settings are those of a stream that is made now, with a life of its own.
func (s *logStream) settings() *jetstream.StreamConfig {
	number := uint64(time.Now().UnixMicro())
	life := s.subjects(strconv.FormatUint(number, 10))
	c := &jetstream.StreamConfig{
		Name:         s.stream(),
		Description:  "Usher: do not edit",
		Subjects:     []string{life.prefix + "*"},
		FirstSeq:     number,
		MaxMsgs:      -1,
		MaxBytes:     -1,
		MaxConsumers: -1,
		MaxAge:       s.keep + logAhead,
		MaxMsgSize:   maxEntry + 4096, // With subject and headers.
		Discard:      jetstream.DiscardOld,
		Storage:      jetstream.FileStorage,
		Replicas:     1,
		Duplicates:   repeatFor,
		AllowDirect:  true,
		RePublish:    &jetstream.RePublish{Source: life.prefix + "*", Destination: life.told + "{{wildcard(1)}}"},
	}
	switch s.log.o.Durability {
	case Memory:
		c.Storage = jetstream.MemoryStorage
	case Replicated:
		c.Replicas = 3
	}
	if s.log.o.MaxBytes > 0 {
		c.MaxBytes = s.log.o.MaxBytes
	}
	return c
}

// adopt takes the stream as it is there, if it is as it must be.
func (s *logStream) adopt(info *jetstream.StreamInfo) error {
	c := info.Config
	var number string
	if len(c.Subjects) == 1 {
		number = strings.TrimSuffix(strings.TrimPrefix(c.Subjects[0], "usher.log."+s.name+"."), ".*")
	}
	_, err := strconv.ParseUint(number, 10, 64)
	if err != nil || c.Retention != jetstream.LimitsPolicy || !c.AllowDirect || c.RePublish == nil || c.Duplicates < repeatFor {
		return fmt.Errorf("stream %s has other settings than it must have: %w", s.stream(), errForeign)
	}
	life, old := s.subjects(number), s.now.Load()
	if old != nil && old.prefix == life.prefix {
		return nil
	}
	s.now.Store(life)
	if old != nil {
		s.log.log.Warn("hub has lost what its channels kept: a stream was made anew", slog.String("stream", s.stream()))
		s.loseAll()
	}
	return nil
}

// token is the part of a subject that names a channel.
func token(n hub.Name) string {
	var room [128]byte
	b := strconv.AppendInt(room[:0], int64(len(n.App)), 10)
	b = append(append(append(append(b, ' '), n.App...), n.Channel...), ' ')
	sum := sha256.Sum256(strconv.AppendBool(b, n.Kept))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// A streamLog is the hub's log over JetStream.
type streamLog struct {
	*link
	o       LogOptions
	own     *embedded
	brief   [logShards]*logStream
	kept    [logShards]*logStream
	appends *appends
	heard   [2 * logShards]chan *nats.Msg
	doubts  chan struct{}   // Holds one.
	run     context.Context // Ends with the log.
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

var _ hub.Log = (*streamLog)(nil)

func openStreamLog(ctx context.Context, o Options, lo LogOptions) (*streamLog, error) {
	link, own, err := lo.connect(ctx, o)
	if err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	l := &streamLog{link: link, o: lo, own: own, doubts: make(chan struct{}, 1), run: run, stop: stop}
	l.nc.SetReconnectHandler(func(*nats.Conn) {
		l.reach.suspect()
		l.doubt()
	})
	l.nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		l.log.Warn("nats connection of the hub's log", slog.Any("error", err))
		l.doubt() // It may be that messages were dropped.
	})
	for i := range logShards {
		l.brief[i] = &logStream{log: l, name: fmt.Sprintf("brief_%d", i), keep: lo.Brief, followers: make(map[string][]*follower)}
		l.kept[i] = &logStream{log: l, name: fmt.Sprintf("kept_%d", i), keep: lo.Kept, followers: make(map[string][]*follower)}
	}
	l.appends = newAppends(l)
	err = l.appends.open()
	if err == nil {
		err = l.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	for i, s := range l.all() {
		l.heard[i] = make(chan *nats.Msg, maxHeard)
		l.wg.Go(func() { s.hear(run, l.heard[i]) })
	}
	l.wg.Go(func() { l.reach.watch(run, l.look) })
	l.wg.Go(func() { l.appends.watch(run) })
	l.wg.Go(func() { l.mendAll(run) })
	return l, nil
}

// all lists the streams.
func (l *streamLog) all() []*logStream {
	return append(l.brief[:len(l.brief):len(l.brief)], l.kept[:]...)
}

// prepare makes the streams, and waits until the store is there.
func (l *streamLog) prepare(ctx context.Context) error {
	for _, s := range l.all() {
		for {
			attempt, cancel := context.WithTimeout(ctx, 5*lookTimeout)
			err := s.refresh(attempt)
			cancel()
			if err == nil {
				break
			}
			if errors.Is(err, errForeign) || is(err, codeReplicas) {
				return err // Waiting does not help.
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for JetStream: %w", err)
			case <-time.After(lookAgain):
			}
		}
	}
	return nil
}

// lookLong bounds a look at all streams: one that is slow is there still, and
// whether messages can be written shows where they are.
const lookLong = 10 * time.Second

// look is what reach finds out by.
func (l *streamLog) look(ctx context.Context, _ bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLong)
	defer cancel()
	stop := context.AfterFunc(l.run, cancel)
	defer stop()
	err := l.survey(ctx)
	if l.own != nil && l.run.Err() == nil {
		return l.own.mend(ctx, err)
	}
	return err
}

func (l *streamLog) survey(ctx context.Context) error {
	if !l.nc.IsConnected() {
		return errCutOff
	}
	for _, s := range l.all() {
		if err := s.refresh(ctx); err != nil {
			return err
		}
	}
	return nil
}

// streamOf is the stream that a channel is in, and the channel's part of its
// subjects.
func (l *streamLog) streamOf(n hub.Name) (s *logStream, shard int, name string) {
	name = token(n)
	shard = int(name[0]) % logShards
	if n.Kept {
		return l.kept[shard], shard + logShards, name
	}
	return l.brief[shard], shard, name
}

func (l *streamLog) check(ctx context.Context) error {
	if _, err := l.reach.down(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if _, err := l.lookAt(ctx, l.brief[0].stream()); err != nil {
		l.reach.suspect()
		return err
	}
	return nil
}

func (l *streamLog) close() error {
	l.stop()
	closed := l.nc.StatusChanged(nats.CLOSED)
	l.nc.Close()
	select {
	case <-closed:
	case <-time.After(lookTimeout):
	}
	l.wg.Wait()
	l.appends.failAll()
	if l.own == nil {
		return nil
	}
	return l.own.close()
}
