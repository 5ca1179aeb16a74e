package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// A Durability says what an acknowledged message of a channel survives.
type Durability string

// The levels of durability.
const (
	// Memory: nothing. Without NATS it is kept in this process.
	Memory Durability = "memory"
	// Process: the end of the process, however it ends. What the operating system
	// has not written yet is lost with the machine: up to two minutes.
	Process Durability = "process"
	// Interval: as Process, and at a power cut no more is lost than the last
	// LogOptions.Interval.
	Interval Durability = "interval"
	// Replicated: the end of one server of a NATS cluster, whose messages are on
	// three.
	Replicated Durability = "replicated"
)

// LogOptions say how the hub's log is kept.
type LogOptions struct {
	// Durability is the level. Default: Process; Memory for an engine in memory,
	// which has no other.
	Durability Durability
	// Interval is how often what was written is put on the disk, for the level
	// Interval of a server inside this process. That of others is their
	// operator's to set. Default: a second.
	Interval time.Duration
	// Brief and Kept are how long messages are kept: see [hub.MemoryLog]. Default:
	// 2 minutes and 24 hours.
	Brief, Kept time.Duration
	// MaxBytes bounds each of the log's streams, of which there are 16; in memory
	// it bounds all. Default: what the disk has, and in memory 256 MiB.
	MaxBytes int64
}

// logDir is where the hub's log is inside the data directory. It has a server of
// its own: that of the engine writes all to the disk at once, which is too slow
// for messages.
const logDir = "hub"

// A Log is the log of the hub's channels. Its methods may be called by many
// goroutines at once, and not after Close.
type Log struct {
	hub.Log

	// AtOnce is set where it is in memory, and an append is answered before it
	// returns. Immutable.
	AtOnce bool

	check func(context.Context) error
	keep  func(context.Context, time.Duration) error
	close func() error
}

// Keep has messages of channels that keep them be there for d at least, from now
// on: see LogOptions.Kept. It makes that longer, on all nodes, and never shorter.
func (l *Log) Keep(ctx context.Context, d time.Duration) error {
	if err := l.keep(ctx, d); err != nil {
		return fmt.Errorf("hub's log: keep messages for %v: %w", d, err)
	}
	return nil
}

// Check returns why the log cannot be reached or written to, or nil.
func (l *Log) Check(ctx context.Context) error {
	if err := l.check(ctx); err != nil {
		return fmt.Errorf("hub's log: %w", err)
	}
	return nil
}

// Close ends everything that OpenLog has started. It may be called again.
func (l *Log) Close() error { return l.close() }

// OpenLog opens the hub's log where o says, or makes it. It waits as Open does.
// Open must have been called before, where o has a data directory, and the log
// be closed first.
func OpenLog(ctx context.Context, o Options, lo LogOptions) (*Log, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	lo, err := lo.complete(o)
	if err != nil {
		return nil, fmt.Errorf("open the hub's log: %w", err)
	}
	if o.Memory || lo.Durability == Memory && o.NATS == nil {
		m := &hub.MemoryLog{Brief: lo.Brief, Kept: lo.Kept, MaxBytes: lo.MaxBytes}
		keep := func(_ context.Context, d time.Duration) error {
			m.Keep(d)
			return nil
		}
		return &Log{
			Log: m, AtOnce: true, check: func(context.Context) error { return nil }, keep: keep, close: func() error { return nil },
		}, nil
	}
	l, err := openStreamLog(ctx, o, lo)
	if err != nil {
		return nil, fmt.Errorf("open the hub's log: %w", err)
	}
	// What is there was made for what was to be kept then.
	if err := l.keepFor(ctx, lo.Kept); err != nil {
		o.Log.Warn("hub's log may keep messages for less than it should", "want", lo.Kept, "error", err)
	}
	return &Log{Log: l, check: l.check, keep: l.keepFor, close: sync.OnceValue(l.close)}, nil
}

func (lo LogOptions) complete(o Options) (LogOptions, error) {
	if lo.Durability == "" {
		lo.Durability = Process
		if o.Memory {
			lo.Durability = Memory
		}
	}
	switch d := lo.Durability; {
	case d != Memory && d != Process && d != Interval && d != Replicated:
		return lo, fmt.Errorf("no such durability: %.20q", d)
	case d == Replicated && o.NATS == nil:
		return lo, errors.New("durability replicated needs a NATS cluster")
	case d != Memory && o.Memory:
		return lo, fmt.Errorf("durability %s needs an engine that is not in memory", d)
	}
	if lo.Interval <= 0 {
		lo.Interval = time.Second
	}
	if lo.Brief <= 0 {
		lo.Brief = 2 * time.Minute
	}
	if lo.Kept <= 0 {
		lo.Kept = 24 * time.Hour
	}
	return lo, nil
}

// connect connects to the servers that keep the log. own is the one inside this
// process, if that is it.
func (lo *LogOptions) connect(ctx context.Context, o Options) (l *link, own *embedded, err error) {
	o.ofHub = true
	if o.NATS != nil {
		l, _, err = linkCluster(ctx, o)
		return l, nil, err
	}
	o.Data = filepath.Join(o.Data, logDir)
	o.syncEvery = 2 * time.Minute
	if lo.Durability == Interval {
		o.syncEvery = lo.Interval
	}
	return linkEmbedded(ctx, o)
}
