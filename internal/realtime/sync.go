package realtime

import (
	"strconv"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

const (
	// syncMembers is how many members are in one frame at most.
	syncMembers = 100
	// syncSize is about how large they are together, so that a frame is within
	// what clients take however it is escaped. One alone may be larger.
	syncSize = 48 << 10
)

// A presenceSync tells a client who is present, a frame at a time, as it takes
// them.
type presenceSync struct {
	sequence string
	list     []*hub.Message // All who are present.
	told     int            // How many of them the client knows of.
}

// sync tells the client anew who is present.
func (t *transport) sync(p *ably.ProtocolMessage) {
	if c := t.channels.called(p.Channel); c != nil && c.granted.Has(ably.ModePresenceSubscribe) {
		t.out.announce(c, nil, true)
	}
}

// takeSync appends who is present to b, if the client is to know, until that is
// large. It reports whether there is more.
func (t *transport) takeSync(b []byte, c *channel) (_ []byte, more bool) {
	for len(b) < writeSize {
		if c.sync == nil && !c.beginSync() {
			return b, false
		}
		if c.left.Load() || c.cursor.Modes()&hub.SeePresence == 0 {
			c.sync = nil
			continue
		}
		p, more := c.sync.next(c.name)
		if !more {
			c.sync = nil
		}
		b = append(b, frame(t.set.format, p)...)
	}
	return b, c.sync != nil
}

// beginSync begins to tell who is present, if that is due.
func (c *channel) beginSync() bool {
	list, news := c.cursor.TakeMembers()
	if !news {
		if !c.due {
			return false
		}
		list = c.cursor.Present()
	}
	c.due = false
	c.sync = &presenceSync{sequence: strconv.FormatInt(time.Now().UnixNano(), 36), list: list}
	return true
}

// next is the next frame, and whether there is more. The last one has no cursor,
// without which a client would wait for ever.
func (s *presenceSync) next(channel string) (p *ably.ProtocolMessage, more bool) {
	p = &ably.ProtocolMessage{Action: ably.ActionSync, Channel: channel, ChannelSerial: s.sequence + ":"}
	size := 0
	for _, m := range s.list[s.told:] {
		size += m.Size()
		if n := len(p.Presence); n == syncMembers || n > 0 && size > syncSize {
			break
		}
		p.Presence = append(p.Presence, lexicon.Member(m))
	}
	s.told += len(p.Presence)
	if more = s.told < len(s.list); more {
		p.ChannelSerial += strconv.Itoa(s.told)
	}
	return p, more
}
