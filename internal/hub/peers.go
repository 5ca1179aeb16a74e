package hub

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Peers are the hubs of the other nodes of a site. Where there is one node there
// are none.
type Peers interface {
	// Ask asks all of them, and calls answer with what each says, one at a time,
	// until all that are known have answered. Its error is that some have not,
	// or not yet when ctx ended.
	Ask(ctx context.Context, q Question, answer func(Answer)) error
	// Serve answers what they ask, until stop is called.
	Serve(f func(Question) Answer) (stop func(), err error)
}

// A Question is what a node asks the others: about one channel, or about those
// whose names begin with Prefix.
type Question struct {
	App     string
	Channel string
	Prefix  string
	// After and Limit are those of [App.Channels].
	After string
	Limit int
}

// An Answer is what a node says of itself alone.
type Answer struct {
	// Node is what the ids of its connections begin with.
	Node string
	// Members are those of its connections on the channel, and Occupancy is who is
	// attached there; Active says that the channel is, as [App.Occupied] has it.
	Members   []*Message
	Occupancy Occupancy
	Active    bool
	// Channels are the names of those that are active, and Uses is who is attached
	// to each there, with how many members are its connections'.
	Channels []string
	Uses     []Occupancy
}

const (
	// nodeSize is the length of a node's name.
	nodeSize = 4
	// askTime bounds how long the others are waited for.
	askTime = time.Second
	// peersEvery is how often a node looks who the others are, and deadAfter how
	// long it has to be unheard to count as dead.
	peersEvery = 3 * time.Second
	deadAfter  = 15 * time.Second
)

// peers is what a hub knows of the others.
type peers struct {
	Peers

	mu sync.Mutex
	// Guarded by mu.
	heard map[string]time.Time // By node.
	asked time.Time            // When all were asked first, and have answered since.
}

// answer says what this node knows of itself.
func (h *Hub) answer(q Question) Answer {
	out := Answer{Node: h.node}
	a := h.App(q.App)
	switch {
	case a == nil:
	case q.Channel == "":
		out.Channels = a.channelsHere(q.Prefix, q.After, q.Limit)
		for _, name := range out.Channels {
			out.Uses = append(out.Uses, a.useHere(name))
		}
	default:
		c := a.known(q.Channel)
		if c == nil {
			break
		}
		out.Members = c.membersHere()
		c.mu.RLock()
		out.Occupancy, out.Active = c.occupancy.now, true
		c.mu.RUnlock()
	}
	return out
}

// membersHere are those whom connections of this node have entered.
func (c *channel) membersHere() []*Message {
	c.mu.RLock()
	connections := make([]*Connection, 0, len(c.enterers))
	for conn := range c.enterers {
		connections = append(connections, conn)
	}
	c.mu.RUnlock()
	var list []*Message
	for _, conn := range connections {
		conn.mu.Lock()
		if noted := conn.present[c]; noted != nil {
			list = slices.AppendSeq(list, maps.Values(noted.last))
		}
		conn.mu.Unlock()
	}
	return list
}

// ask asks the other nodes, if there are any.
func (h *Hub) ask(ctx context.Context, q Question, answer func(Answer)) error {
	if h.peers.Peers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return h.peers.Ask(ctx, q, func(a Answer) {
		if len(a.Node) != nodeSize || a.Node == h.node {
			return
		}
		h.peers.mu.Lock()
		h.peers.heard[a.Node] = time.Now()
		h.peers.mu.Unlock()
		answer(a)
	})
}

// watchPeers looks who the others are, has members of dead nodes leave, and
// learns what it could not when a channel was opened, until the hub is closed.
func (h *Hub) watchPeers() {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		err := h.ask(context.Background(), Question{}, func(Answer) {})
		dead := h.peers.look(err == nil, time.Now())
		for _, a := range h.all() {
			for _, c := range a.held() {
				c.learn()
				if dead != nil {
					c.bury(dead, h.node)
				}
				c.release()
			}
		}
	}
}

// look returns what says that a node is dead, or nil where that is not known:
// the others must have been asked for long enough, without one that is known
// and has not answered.
func (p *peers) look(all bool, now time.Time) func(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !all:
		p.asked = time.Time{}
		return nil
	case p.asked.IsZero():
		p.asked = now
	}
	if now.Sub(p.asked) < deadAfter {
		return nil
	}
	lives := make(map[string]bool, len(p.heard))
	for node, at := range p.heard {
		if now.Sub(at) < deadAfter {
			lives[node] = true
		} else {
			delete(p.heard, node)
		}
	}
	return func(node string) bool { return !lives[node] }
}

// held returns the channels in use, each of which has to be released.
func (a *App) held() []*channel {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []*channel
	for _, c := range a.channels {
		if c.isOpen() {
			c.hold()
			list = append(list, c)
		}
	}
	return list
}

// meet finds out who is present on a channel that has just been opened: of this
// node's own where it was opened before, and of the others'.
func (c *channel) meet(ctx context.Context) {
	own := c.membersHere()
	c.mu.Lock()
	c.members.add(own)
	c.mu.Unlock()
	err := c.app.hub.ask(ctx, Question{App: c.name.App, Channel: c.name.Channel}, func(a Answer) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.members.add(a.Members) {
			c.members.news = true
		}
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members.partial = err != nil
	if err == nil {
		c.members.touched = nil
	}
}

// learn meets the others again where some have not answered before, and asks how
// many they are where somebody wants to know.
func (c *channel) learn() {
	c.mu.RLock()
	partial, watched := c.members.partial, c.occupancy.watched > 0
	c.mu.RUnlock()
	if partial {
		c.meet(context.Background())
		c.mu.Lock()
		if c.members.news {
			c.members.news = false
			c.changed()
			for _, a := range c.readers {
				a.resync = true
				a.wake()
			}
		}
		c.mu.Unlock()
	}
	if watched {
		others, err := c.others(context.Background())
		c.mu.Lock()
		if err == nil {
			c.occupancy.others = others
			c.changed()
		}
		c.mu.Unlock()
	}
}

// others is how many use the channel on other nodes.
func (c *channel) others(ctx context.Context) (sum Occupancy, err error) {
	err = c.app.hub.ask(ctx, Question{App: c.name.App, Channel: c.name.Channel}, func(a Answer) { sum = sum.plus(a.Occupancy) })
	return sum, err
}

// bury has the members of dead nodes leave. All nodes that see it say so with the
// same ids, so that it is in the log once.
func (c *channel) bury(dead func(node string) bool, own string) {
	c.mu.RLock()
	var list []*Entry
	for key, m := range c.members.all {
		node := key.connection[:min(nodeSize, len(key.connection))]
		if node == own || !dead(node) {
			continue
		}
		gone := *m
		gone.Action, gone.ID = Leave, "gone-"+strings.ReplaceAll(m.ID, ":", "-")+":0"
		list = append(list, &Entry{Name: &c.in.name, Kind: Presence, ConnectionID: key.connection, Messages: []Message{gone}})
	}
	c.mu.RUnlock()
	for _, e := range list {
		c.app.hub.append(e)
	}
}

// useHere is how many use a channel on this node alone.
func (a *App) useHere(name string) (o Occupancy) {
	c := a.known(name)
	if c == nil {
		return o
	}
	members := len(c.membersHere())
	c.mu.RLock()
	defer c.mu.RUnlock()
	o = c.occupancy.now
	o.PresenceMembers = members
	return o
}

// channelsHere are the names of Channels for this node alone.
func (a *App) channelsHere(prefix, after string, limit int) []string {
	a.mu.Lock()
	var list []string
	for name := range a.channels {
		if strings.HasPrefix(name, prefix) && name > after {
			list = append(list, name)
		}
	}
	a.mu.Unlock()
	slices.Sort(list)
	return list[:min(limit, len(list))]
}
