package hub

import (
	"context"
	"errors"
)

// A Log keeps what was published to channels, in the order that all see. Its
// methods may be called by many goroutines at once.
type Log interface {
	// Append adds an entry to its channel, and calls then once, soon, perhaps
	// before it returns: with the entry's position, or with that of an entry with
	// the same Key that was appended in the last two minutes or more, and
	// nothing was added. Of entries that one goroutine appends to a channel the
	// order is kept. An error means that it is not known whether the entry was
	// added; it wraps ErrUnavailable. then must not block.
	Append(e *Entry, then func(at Position, err error))
	// Follow calls f with every entry that is added to the channel after
	// position from, in order, one at a time, each once. f does not block, and
	// does not call the Log. stop returns when f is called no more. Where the log
	// cannot be sure that it has told f of everything it calls lost, once, and
	// nothing more.
	Follow(ctx context.Context, n Name, f func(*Entry), lost func()) (from Position, stop func(), err error)
	// Read returns entries of a channel.
	Read(ctx context.Context, n Name, r Range) ([]*Entry, error)
	// Bounds returns the position after which all that was added to the channel
	// can be read, and the last position that was given in its log.
	Bounds(ctx context.Context, n Name) (after, last Position, err error)
}

// A Range is a part of a channel's log.
type Range struct {
	// After and To bound the positions: those after After, up to To. Default of
	// To: the end.
	After, To Position
	// Backwards begins at the end of it, and returns the newest entry first.
	Backwards bool
	// Limit is how many entries are returned at most.
	Limit int
}

// The errors that callers branch on.
var (
	// ErrUnavailable: the log does not answer.
	ErrUnavailable = errors.New("the channel's log cannot be reached")
	// ErrFull: there is no room for it.
	ErrFull = errors.New("the log takes no more")
	// ErrBehind: it has not been read for so long that entries were dropped.
	ErrBehind = errors.New("too far behind the channel")
	// ErrIDs: the ids of messages that are published at once are not base:index.
	ErrIDs = errors.New("the ids of messages published at once do not belong together")
	// ErrTooLarge: a publish has more bytes than is allowed.
	ErrTooLarge = errors.New("message too large")
	// ErrTooMany: a publish has more messages than is allowed, or none.
	ErrTooMany = errors.New("too many messages at once")
	// ErrRate: of the connection.
	ErrRate = errors.New("too many messages in a second")
	// ErrSharedRate: of the key, the channel or the app, which others share.
	ErrSharedRate = errors.New("too many messages in a second of several clients")
	// ErrAttachRate: of the connection.
	ErrAttachRate = errors.New("too many channels attached to in a second")
	// ErrChannels: as many as the connection may have.
	ErrChannels = errors.New("too many channels on one connection")
	// ErrAllChannels: as many are in use as the app may have.
	ErrAllChannels = errors.New("too many channels in use")
	// ErrConnections: as many as the app may have.
	ErrConnections = errors.New("too many connections")
	// ErrKeyConnections and ErrClientConnections: as many as those of one key, or
	// those of one client, may be.
	ErrKeyConnections    = errors.New("too many connections by one key")
	ErrClientConnections = errors.New("too many connections of one client")
	// ErrMembers: as many as the channel may have.
	ErrMembers = errors.New("too many members are present")
	// ErrNotAttached: for presence one has to be.
	ErrNotAttached = errors.New("not attached to the channel")
	// ErrClosed: the connection or the hub is.
	ErrClosed = errors.New("closed")
	// ErrLost: the transport that it is for has gone.
	ErrLost = errors.New("the transport is lost")
)
