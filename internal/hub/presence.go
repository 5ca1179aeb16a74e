package hub

import (
	"context"
	"crypto/rand"
	"maps"
	"strconv"
	"strings"
	"time"
)

// A notes is whom a connection has entered on one channel: the last event of each
// client. A connection alone says who its members are, and in what
// order, so what it notes holds, whatever of it the log has told of already.
type notes struct {
	last  map[string]*Message
	since int64 // The serial with which they begin.
}

// Present enters, updates and leaves members: what each message's Action says.
// base is what their ids begin with; then is called as by [Log.Append], and must
// not call the hub. One that is not there does not leave. Who comes back enters
// again with the id of the last event of its own that it has seen, which need not
// be the last: that changes nothing, unless its members have left with the
// connection meanwhile. The connection must be attached to the channel.
func (c *Connection) Present(name, base string, list []Message, then func(Position, error)) error {
	a := c.Attachment(name)
	if a == nil {
		return ErrNotAttached
	}
	limits := &c.app.options.Load().Limits
	if _, err := limits.check(list); err != nil {
		return err
	}
	if err := c.app.allow(limits, &c.rate, c.key, &a.channel.in.rate, time.Now(), len(list)); err != nil {
		return err
	}
	c.turn.Lock()
	defer c.turn.Unlock()
	list, err := c.note(a.channel, base, list)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		then(a.channel.head(), nil)
		return nil
	}
	c.app.counts.presence(len(list), sizeOf(list))
	c.app.hub.log.Append(&Entry{
		Name: &a.channel.in.name, Kind: Presence, ConnectionID: c.id, Messages: list,
	}, func(at Position, err error) {
		if err != nil {
			c.renote(a.channel, list)
		}
		a.channel.entered(list, at, err)
		then(at, err)
	})
	return nil
}

// note returns what of list changes who is present, with its ids, and notes it.
// Its error is ErrMembers where that would be too many.
func (c *Connection) note(ch *channel, base string, list []Message) ([]Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	now := c.serial(base)
	noted, known := c.present[ch]
	if !known {
		noted = &notes{last: make(map[string]*Message, 1), since: now}
	}
	var out []Message
	for _, m := range list {
		_, is := noted.last[m.ClientID]
		said := c.serial(m.ID)
		again := said >= 0 && said < now && (is || said >= noted.since)
		if again && m.Action != Leave || !is && m.Action == Leave {
			continue
		}
		m.ConnectionID, m.ID = c.id, base+":"+strconv.Itoa(len(out))
		out = append(out, m)
	}
	if !ch.mayEnter(out) {
		return nil, ErrMembers
	}
	if !known && len(out) > 0 {
		if c.present == nil {
			c.present = make(map[*channel]*notes, 1)
		}
		c.present[ch] = noted
		ch.enteredBy(c)
	}
	for i := range out {
		if out[i].Action == Leave {
			delete(noted.last, out[i].ClientID)
		} else {
			noted.last[out[i].ClientID] = &out[i]
		}
	}
	return out, nil
}

// serial is the number in an id of the connection's, with which the client has
// sent it. It is -1 for other ids.
func (c *Connection) serial(id string) int64 {
	rest, own := strings.CutPrefix(id, c.id+":")
	text, _, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(text, 10, 64)
	if !own || err != nil {
		return -1
	}
	return n
}

// renote notes that those who wanted to leave have not.
func (c *Connection) renote(ch *channel, list []Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	noted := c.present[ch]
	for i := range list {
		if noted == nil || list[i].Action != Leave {
			continue
		}
		if _, is := noted.last[list[i].ClientID]; !is {
			m := list[i]
			m.Action = Update
			noted.last[m.ClientID] = &m
		}
	}
}

// enteredBy notes that a connection enters somebody, until leftBy.
func (c *channel) enteredBy(conn *Connection) {
	c.mu.Lock()
	if c.enterers == nil {
		c.enterers = make(map[*Connection]struct{}, 1)
	}
	c.enterers[conn] = struct{}{}
	c.mu.Unlock()
	c.app.mu.Lock()
	defer c.app.mu.Unlock()
	c.hold()
}

func (c *channel) leftBy(conn *Connection) {
	c.mu.Lock()
	delete(c.enterers, conn)
	c.mu.Unlock()
	c.release()
}

func (c *channel) head() Position {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ring.head
}

// mayEnter reports whether there is room for the members in list, and keeps it for
// them until the log has told of them.
func (c *channel) mayEnter(list []Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := make(map[memberKey]struct{}, 1)
	for i := range list {
		key := memberKey{list[i].ConnectionID, list[i].ClientID}
		_, is := c.members.all[key]
		if _, comes := c.entering[key]; !is && !comes && list[i].Action != Leave {
			fresh[key] = struct{}{}
		}
	}
	switch {
	case len(fresh) == 0:
		return true
	case exceeds(len(c.members.all)+len(c.entering)+len(fresh), c.space.Members):
		return false
	case c.entering == nil:
		c.entering = make(map[memberKey]struct{}, len(fresh))
	}
	maps.Copy(c.entering, fresh)
	return true
}

// entered is told what became of an entry with members. Where the log will not
// tell of it, or has already, no room is kept for them.
func (c *channel) entered(list []Message, at Position, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && at > c.ring.head {
		return
	}
	for i := range list {
		delete(c.entering, memberKey{list[i].ConnectionID, list[i].ClientID})
	}
}

// absentEverywhere has all members of the connection leave.
func (c *Connection) absentEverywhere() {
	c.Withdraw(func(string) bool { return false })
}

// Withdraw has the connection's members leave the channels where may says that it
// may have none.
func (c *Connection) Withdraw(may func(channel string) bool) {
	c.mu.Lock()
	var list []*channel
	for ch := range c.present {
		if !may(ch.name.Channel) {
			list = append(list, ch)
		}
	}
	c.mu.Unlock()
	for _, ch := range list {
		c.absent(ch)
	}
}

// absent has the connection's members of a channel leave.
func (c *Connection) absent(ch *channel) {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	noted, was := c.present[ch]
	delete(c.present, ch)
	c.mu.Unlock()
	if !was {
		return
	}
	if e := ch.leaving(c.id, noted.last); e != nil {
		c.app.hub.append(e)
	}
	ch.leftBy(c)
}

// leaving is the entry by which members leave. Its ids do not begin with their
// connection's, which shows that they did not say so themselves.
func (c *channel) leaving(connection string, noted map[string]*Message) *Entry {
	if len(noted) == 0 {
		return nil
	}
	base := rand.Text()[:12] + ":"
	e := &Entry{Name: &c.in.name, Kind: Presence, ConnectionID: connection}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for client := range noted {
		m := Message{ClientID: client, ConnectionID: connection}
		if now := c.members.all[memberKey{connection, client}]; now != nil {
			m = *now
		}
		m.Action, m.ID = Leave, base+strconv.Itoa(len(e.Messages))
		e.Messages = append(e.Messages, m)
	}
	return e
}

// Members returns who is present on a channel.
func (a *App) Members(ctx context.Context, name string) ([]*Message, error) {
	c, err := a.opened(ctx, name)
	if err != nil {
		return nil, err
	}
	defer c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members.list(), nil
}
