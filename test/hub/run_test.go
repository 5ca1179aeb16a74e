package hub_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A plan says what a run has, and for how long it goes on.
type plan struct {
	broken                                     string
	lasts                                      time.Duration
	pause                                      time.Duration // Between what one publishes, at most.
	publishers, subscribers, members, channels int
	killEvery, cutEvery, stallEvery            time.Duration
}

// A run is a server with those who talk to it.
type run struct {
	plan
	server  *process
	history *history
	names   []string

	mu      sync.Mutex
	clients []*client
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// whole is who sees everything, without being disturbed.
const whole = "whole"

// play goes through a plan, and returns what breaks a promise.
func play(t *testing.T, p plan) []string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &run{plan: p, server: newProcess(t, p.broken), history: newHistory(), stop: stop}
	defer r.wg.Wait()
	defer stop()
	for i := range p.channels {
		r.names = append(r.names, fmt.Sprintf("kept:%d", i))
	}
	begin := r.baseline(ctx, t)
	for i := range p.subscribers {
		r.add(ctx, fmt.Sprintf("s%d", i), "echo=true", r.names...)
	}
	var working sync.WaitGroup
	while, done := context.WithTimeout(ctx, p.lasts)
	defer done()
	for i := range p.publishers {
		c := r.add(ctx, fmt.Sprintf("p%d", i), "echo=false")
		working.Go(func() { r.publish(while, c, i) })
	}
	for i := range p.members {
		c := r.add(ctx, fmt.Sprintf("m%d", i), "remainPresentFor=1500", r.names...)
		working.Go(func() { r.comeAndGo(while, c, i) })
	}
	began := time.Now()
	r.disturb(while, t)
	working.Wait()
	r.settle(ctx)
	t.Logf("settled after %v", time.Since(began).Round(time.Millisecond))
	r.finish(ctx, begin)
	t.Logf("%d messages; finished after %v", len(r.history.published), time.Since(began).Round(time.Millisecond))
	return r.history.check(whole)
}

// baseline returns the serials at which the channels begin.
func (r *run) baseline(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	one, end := context.WithCancel(ctx)
	defer end()
	c := newClient(r.server.addr, "echo=true", func(*client, string, frame) {}, r.names...)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	wg.Go(func() { c.run(one) })
	begin := map[string]string{}
	if !r.await(ctx, 20*time.Second, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for name, v := range c.channels {
			if v.attached {
				begin[name] = v.serial
			}
		}
		return len(begin) == len(r.names)
	}) {
		t.Fatal("the channels could not be attached to")
	}
	return begin
}

// add adds a client.
func (r *run) add(ctx context.Context, who, query string, channels ...string) *client {
	c := newClient(r.server.addr, query, func(_ *client, what string, f frame) {
		switch what {
		case "":
			if who[0] != 'm' {
				r.history.told(who, f)
			}
		case "lost":
			r.history.fault("%s on %s: was told that it has missed something: %s", who, f.Channel, f.Error)
		default:
			r.history.fault("%s: %s", who, what)
		}
	}, channels...)
	r.mu.Lock()
	r.clients = append(r.clients, c)
	r.mu.Unlock()
	r.wg.Go(func() { c.run(ctx) })
	return c
}

// publish publishes numbered messages until ctx ends, some of them before the
// last one is answered.
func (r *run) publish(ctx context.Context, c *client, number int) {
	window := 1 + number%8
	for n := 0; ctx.Err() == nil; n++ {
		text := fmt.Sprintf("p%d-%07d", number, n)
		channel := r.names[rand.IntN(len(r.names))]
		p := &published{channel: channel}
		r.history.mu.Lock()
		r.history.published[text] = p
		r.history.mu.Unlock()
		for c.idle() >= window && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(r.pause))
		c.mu.Lock()
		r.send(c, p, text)
		c.mu.Unlock()
	}
}

// send publishes a message, again and again while it is refused. Its id is its
// own, so that it is there once. Callers hold the client's lock.
func (r *run) send(c *client, p *published, text string) {
	f := frame{Action: message, Channel: p.channel, Messages: []wireMessage{{ID: text, Data: text}}}
	c.publish(f, func(serials []string, ok bool) {
		r.history.mu.Lock()
		defer r.history.mu.Unlock()
		if !ok {
			p.refused = true
			time.AfterFunc(100*time.Millisecond, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				r.send(c, p, text)
			})
			return
		}
		if len(serials) == 1 {
			p.serial = serials[0]
		} else {
			r.history.faults = append(r.history.faults, text+" was acknowledged without a serial")
		}
	})
}

// comeAndGo enters and leaves until ctx ends.
func (r *run) comeAndGo(ctx context.Context, c *client, number int) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		channel := r.names[rand.IntN(len(r.names))]
		who := fmt.Sprintf("m%d-%d", number, rand.IntN(3))
		c.mu.Lock()
		if c.members[channel] == nil {
			c.members[channel] = map[string]bool{}
		}
		is := c.members[channel][who]
		c.members[channel][who] = !is
		if c.channels[channel].attached { // Else it is said on ATTACHED.
			c.move(channel, who, !is)
		}
		c.mu.Unlock()
	}
}

// disturb cuts connections, has clients read nothing for a while, and kills the
// server, until ctx ends.
func (r *run) disturb(ctx context.Context, t *testing.T) {
	t.Helper()
	kill, cut, stall := ticker(r.killEvery), ticker(r.cutEvery), ticker(r.stallEvery)
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-kill:
			if n++; n%4 == 0 {
				r.server.stop()
			} else {
				r.server.kill()
			}
			r.server.start(t)
		case <-cut:
			r.any().cut()
		case <-stall:
			c := r.any()
			c.mu.Lock()
			c.stalled = time.Duration(rand.IntN(1000)) * time.Millisecond
			c.mu.Unlock()
		}
	}
}

func ticker(every time.Duration) <-chan time.Time {
	if every == 0 {
		return nil
	}
	return time.Tick(every)
}

func (r *run) any() *client {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clients[rand.IntN(len(r.clients))]
}

// await waits until something is so, and reports whether it is.
func (r *run) await(ctx context.Context, most time.Duration, ok func() bool) bool {
	for end := time.Now().Add(most); !ok(); time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) || r.broken != "" && r.history.found() {
			return false
		}
	}
	return true
}

// settle waits until everything is answered, and all see the same members.
func (r *run) settle(ctx context.Context) {
	for i, c := range r.clients {
		if !r.await(ctx, 40*time.Second, func() bool { return c.idle() == 0 }) {
			r.history.fault("client %d: %d requests are not answered", i, c.idle())
		}
	}
	time.Sleep(200 * time.Millisecond) // What was refused is sent again.
	for _, channel := range r.names {
		var want, got string
		var who int
		patience := 25 * time.Second
		if r.broken != "" {
			patience = 5 * time.Second
		}
		if !r.await(ctx, patience, func() bool {
			want = r.entered(channel)
			for i, c := range r.clients {
				c.mu.Lock()
				v := c.channels[channel]
				same := v == nil
				if !same {
					got = membersOf(v)
					same = v.attached && got == want
				}
				c.mu.Unlock()
				if !same {
					who = i
					return false
				}
			}
			return true
		}) {
			r.history.fault("%s: client %d sees members %s, want %s", channel, who, got, want)
		}
	}
}

// entered is who is present, as far as their own clients know.
func (r *run) entered(channel string) string {
	var list []string
	for _, c := range r.clients {
		c.mu.Lock()
		for who, is := range c.members[channel] {
			if is {
				list = append(list, who)
			}
		}
		c.mu.Unlock()
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// membersOf is who is present, as a client sees it.
func membersOf(v *view) string {
	var list []string
	for m := range maps.Values(v.members) {
		list = append(list, m.ClientID)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// finish publishes a last message to each channel, has somebody read the
// channels from the beginning, and waits until all have been told of all.
func (r *run) finish(ctx context.Context, begin map[string]string) {
	last := r.add(ctx, "p-last", "echo=false")
	for _, channel := range r.names {
		text := "last-" + channel
		p := &published{channel: channel}
		r.history.mu.Lock()
		r.history.published[text] = p
		r.history.mu.Unlock()
		last.mu.Lock()
		r.send(last, p, text)
		last.mu.Unlock()
	}
	c := newClient(r.server.addr, "echo=true", func(_ *client, what string, f frame) {
		if what == "" {
			r.history.told(whole, f)
			return
		}
		r.history.fault("who reads everything: %s on %s: %s", what, f.Channel, f.Error)
	}, r.names...)
	for name, serial := range begin {
		c.channels[name].serial = serial
	}
	r.wg.Go(func() { c.run(ctx) })
	r.await(ctx, 40*time.Second+r.lasts/2, func() bool {
		r.history.mu.Lock()
		defer r.history.mu.Unlock()
		return r.toldAll()
	})
}

// toldAll reports whether everybody was told of the last messages. Callers hold
// the history's lock.
func (r *run) toldAll() bool {
	for _, channel := range r.names {
		for i := -1; i < r.subscribers; i++ {
			who := whole
			if i >= 0 {
				who = fmt.Sprintf("s%d", i)
			}
			list := r.history.seen[who+" "+channel]
			if len(list) == 0 || list[len(list)-1].text != "last-"+channel {
				return false
			}
		}
	}
	return true
}
