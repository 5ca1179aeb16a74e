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
	// own. Default: random.
	Base string
	// Messages are one or more.
	Messages []Message
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
	err := a.publishTo(nil, a.keyRate(key), p, func(at Position, err error) { done <- outcome{at, err} })
	if err != nil {
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
	p.ConnectionID = c.id
	if a := c.Attachment(p.Channel); a != nil {
		return c.app.publish(a.channel, &c.rate, c.key, p, then)
	}
	return c.app.publishTo(&c.rate, c.key, p, then)
}

func (a *App) publishTo(own, key *rate, p Publication, then func(Position, error)) error {
	c, err := a.channel(p.Channel)
	if err != nil {
		return err
	}
	defer c.release()
	return a.publish(c, own, key, p, then)
}

func (a *App) publish(c *channel, own, key *rate, p Publication, then func(Position, error)) error {
	if err := a.check(p.Messages); err != nil {
		return err
	}
	if err := a.allow(own, key, &c.rate, len(p.Messages)); err != nil {
		return err
	}
	if err := assignIDs(p.Base, p.Messages); err != nil {
		return err
	}
	for i := range p.Messages {
		p.Messages[i].ConnectionID = p.ConnectionID
	}
	a.counts.published(p.Messages)
	a.hub.log.Append(&Entry{Name: c.name, ConnectionID: p.ConnectionID, Messages: p.Messages}, then)
	return nil
}

// check holds what is published against the limits.
func (a *App) check(list []Message) error {
	limits := a.Limits()
	if len(list) == 0 || exceeds(len(list), limits.MessagesAtOnce) {
		return ErrTooMany
	}
	size := 0
	for i := range list {
		size += list[i].Size()
	}
	if exceeds(size, limits.MessageBytes) {
		return ErrTooLarge
	}
	return nil
}

// allow counts n messages against the rates that they are bound by.
func (a *App) allow(own, key, channel *rate, n int) error {
	l, now := a.Limits(), time.Now()
	switch {
	case own != nil && !own.take(now, n, l.Rate):
		return ErrRate
	case !key.take(now, n, l.KeyRate), !channel.take(now, n, l.ChannelRate), !a.rate.take(now, n, l.AppRate):
		return ErrSharedRate
	}
	return nil
}
