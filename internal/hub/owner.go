package hub

// An Owner is whose a connection is.
type Owner struct {
	// Key names the API key behind it, or is empty.
	Key string
	// Client is whom its credential names. Empty: nobody in particular.
	Client string
}

// owners counts the connections of each owner, and those of each key under the
// Owner without a client. The app guards it.
type owners map[Owner]int

// add counts one more, or says whose bound it is beyond.
func (o owners) add(of Owner, l Limits) error {
	switch {
	case of.Key != "" && exceeds(o[Owner{Key: of.Key}]+1, l.KeyConnections):
		return ErrKeyConnections
	case of.Client != "" && exceeds(o[of]+1, l.ClientConnections):
		return ErrClientConnections
	}
	o.count(of, 1)
	return nil
}

func (o owners) remove(of Owner) { o.count(of, -1) }

func (o owners) count(of Owner, n int) {
	all := [...]Owner{{Key: of.Key}, of}
	list := all[:1]
	if of.Client != "" {
		list = all[:]
	}
	for _, one := range list {
		if o[one] += n; o[one] == 0 {
			delete(o, one)
		}
	}
}

// Owner is whose the connection is.
func (c *Connection) Owner() Owner {
	c.app.mu.Lock()
	defer c.app.mu.Unlock()
	return c.owner
}

// Become says that the connection is another's by now, or why that one may have no
// more: then it is as it was.
func (c *Connection) Become(o Owner) error {
	a := c.app
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.owner == o {
		return nil
	}
	a.owners.remove(c.owner)
	if err := a.owners.add(o, a.Limits()); err != nil {
		a.owners.count(c.owner, 1)
		return err
	}
	c.owner = o
	return nil
}
