package hub

import (
	"context"
	"crypto/rand"
	"time"
)

// A Publication is what is published at once: all of it, or nothing.
type Publication struct {
	// Channel is where to.
	Channel string
	// Base is what the messages' ids begin with where they have none of their
	// own. Default: what a connection publishes has its id and Number, anything
	// else something random.
	Base string
	// Number is what the connection numbers it with: published again, it has the
	// same.
	Number int64
	// Messages are one or more, which get their ids. The list is not kept.
	Messages []Message
	// Time is when it came. Default: now.
	Time time.Time
	// ConnectionID is the connection on whose behalf it is published.
	ConnectionID string
}

// A Receipt says what became of a publication.
type Receipt struct {
	// Position is its place in the channel, and ID what the ids of its messages
	// begin with.
	Position Position
	ID       string
}

// Publish publishes by REST, for an API key, and waits until the log has it or
// ctx ends: then it is not known whether it was published, and to publish it
// again with the same ids is safe.
func (a *App) Publish(ctx context.Context, key string, p Publication) (Receipt, error) {
	type outcome struct {
		at  Position
		err error
	}
	done := make(chan outcome, 1)
	if p.Base == "" {
		p.Base = rand.Text()[:12]
	}
	c, err := a.channel(p.Channel)
	if err != nil {
		return Receipt{}, err
	}
	defer c.release()
	if err := a.publish(c.in, nil, a.keyRate(key), &p, func(at Position, err error) { done <- outcome{at, err} }); err != nil {
		return Receipt{}, err
	}
	select {
	case o := <-done:
		return Receipt{Position: o.at, ID: p.Base}, o.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

// Publish publishes, whether attached or not. then is called as by [Log.Append],
// and not where there is an error.
func (c *Connection) Publish(p Publication, then func(Position, error)) error {
	in, err := c.entrance(p.Channel)
	if err != nil {
		return err
	}
	p.ConnectionID = c.id
	return c.app.publish(in, &c.rate, c.key, &p, then)
}

// publish publishes. It keeps no list of p's.
func (a *App) publish(in *entrance, own, key *rate, p *Publication, then func(Position, error)) error {
	now := p.Time
	if now.IsZero() {
		now = time.Now()
	}
	in.used.Store(now.UnixMilli())
	limits := &a.options.Load().Limits
	size, err := limits.check(p.Messages)
	if err != nil {
		return err
	}
	if err := a.allow(limits, own, key, &in.rate, now, len(p.Messages)); err != nil {
		return err
	}
	if err := p.assignIDs(); err != nil {
		return err
	}
	a.counts.published(len(p.Messages), size)
	e := newEntry(p.Messages)
	e.Name, e.ConnectionID, e.Time, e.memo = &in.name, p.ConnectionID, now.UnixMilli(), &in.memo
	for i := range e.Messages {
		e.Messages[i].ConnectionID = p.ConnectionID
	}
	a.hub.log.Append(e, then)
	return nil
}

// check holds what is published against the limits, and returns its size.
func (l *Limits) check(list []Message) (size int, err error) {
	if len(list) == 0 || exceeds(len(list), l.MessagesAtOnce) {
		return 0, ErrTooMany
	}
	if size = sizeOf(list); exceeds(size, l.MessageBytes) {
		return 0, ErrTooLarge
	}
	return size, nil
}

func sizeOf(list []Message) (size int) {
	for i := range list {
		size += list[i].Size()
	}
	return size
}

// allow counts n messages against the rates that they are bound by.
func (a *App) allow(l *Limits, own, key, channel *rate, now time.Time, n int) error {
	switch {
	case own != nil && !own.take(now, n, l.Rate):
		return ErrRate
	case !key.take(now, n, l.KeyRate), !channel.take(now, n, l.ChannelRate), !a.rate.take(now, n, l.AppRate):
		return ErrSharedRate
	}
	return nil
}
