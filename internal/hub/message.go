package hub

import (
	"strings"
	"sync/atomic"
)

// A Name names a channel.
type Name struct {
	// App is whose it is.
	App string
	// Channel is its name there.
	Channel string
	// Kept is set for a channel whose history is kept for longer than others'.
	Kept bool
}

// A Form says what Data is.
type Form uint8

// The forms of data.
const (
	Absent Form = iota
	Text
	Binary
)

// An Action says what a presence message does. That of a message is None.
type Action uint8

// The actions of presence.
const (
	None Action = iota
	Enter
	Update
	Leave
	Present // Of a member that a Snapshot shows.
)

// A Message is what one publishes to a channel, or that of a presence event. It
// must not be changed once it was given to the hub.
type Message struct {
	// ID tells a message that is sent again from a new one. Default: given by
	// the hub.
	ID string
	// Name is what the application calls it.
	Name string
	// Data is opaque, as are Encoding and Extras.
	Data     string
	Encoding string
	Extras   string
	// ClientID is who has sent it, and ConnectionID by which connection: empty
	// for one that came by REST.
	ClientID     string
	ConnectionID string
	// Time is when the log took it, in milliseconds since 1970.
	Time int64
	// Form says what Data is, and Action what it does to the presence set.
	Form   Form
	Action Action
}

// Size is what counts against the limit of a message.
func (m *Message) Size() int {
	return len(m.Name) + len(m.Data) + len(m.ClientID) + len(m.Extras)
}

// A Kind says what an entry holds.
type Kind uint8

// The kinds of entries.
const (
	Messages Kind = iota
	Presence
)

// An Entry is what was published at once, at its place in its channel's log. It
// does not change once it has one.
type Entry struct {
	// Name is of the channel. It is not changed.
	Name *Name
	// Kind says what Messages are.
	Kind Kind
	// Position is its place, and Time when it was given, in milliseconds since
	// 1970: the log's to set. Before that Time is when the entry came, or 0.
	Position Position
	Time     int64
	// ConnectionID is the connection that has published it, or empty.
	ConnectionID string
	// Messages are one or more.
	Messages []Message

	encoded [maxForms]atomic.Pointer[[]byte]
	memo    *atomic.Pointer[memoryPlace] // Of the channel, for a MemoryLog that is to append it. Nil: it looks.
}

// maxForms is how many encodings of one entry can be shared.
const maxForms = 2

// Encoded returns the entry as encode writes it, in one of the two forms that a
// translator has. encode is called once for each form, or a few times where
// several goroutines come at once; all share what it returned.
func (e *Entry) Encoded(form int, encode func(*Entry) []byte) []byte {
	if b := e.encoded[form].Load(); b != nil {
		return *b
	}
	b := encode(e)
	if !e.encoded[form].CompareAndSwap(nil, &b) {
		return *e.encoded[form].Load()
	}
	return b
}

// A Key is by what an entry that is appended again is known: the first message's
// id, which is all that makes a publish the same. Ids that begin with their own
// connection's are apart: nobody else can use them up.
type Key struct {
	// Of is p for presence, c for the ids of a connection, and m for others.
	Of byte
	// ID is that of the first message.
	ID string
}

// Key is that of the entry.
func (e *Entry) Key() Key {
	k := Key{'m', e.Messages[0].ID}
	if e.Kind == Presence {
		k.Of = 'p'
	} else if rest, own := strings.CutPrefix(k.ID, e.ConnectionID); own && e.ConnectionID != "" && strings.HasPrefix(rest, ":") {
		k.Of = 'c'
	}
	return k
}

// String is the key as text.
func (k Key) String() string { return string(k.Of) + k.ID }

// Serial is the serial of a message of the entry.
func (e *Entry) Serial(i int) string { return e.Position.Serial(i) }

// size is what an entry costs in memory, roughly.
func (e *Entry) size() int {
	n := 256 + len(e.ConnectionID)
	for i := range e.Messages {
		m := &e.Messages[i]
		n += 192 + m.Size() + len(m.ID) + len(m.Encoding)
	}
	return n
}

// Stamp gives an entry its place. It is for a Log, before anybody else has the
// entry.
func (e *Entry) Stamp(at Position, now int64) {
	e.Position, e.Time = at, now
	for i := range e.Messages {
		e.Messages[i].Time = now
	}
}

// An entryOfOne is an entry with room for its message, as most have one.
type entryOfOne struct {
	Entry
	message [1]Message
}

// newEntry returns an entry with copies of messages.
func newEntry(list []Message) *Entry {
	if len(list) > 1 {
		e := &Entry{Messages: make([]Message, len(list))}
		copy(e.Messages, list)
		return e
	}
	one := &entryOfOne{message: [1]Message{list[0]}}
	one.Messages = one.message[:]
	return &one.Entry
}
