package demo

import "errors"

// The backends are two servers of the same chat. Neither knows anything of
// authentication: a name is in a header, or it is not.
type backends struct {
	// Immutable after startBackends.
	goChat    *goChat
	nodeChat  *nodeChat // Nil where it cannot be had,
	whyNoNode string    // which is then said here.
}

// startBackends starts what there is, on ports of their own. What a backend
// hears goes to the ring.
func startBackends(ip, nodeDir string, r *ring) (*backends, error) {
	b := new(backends)
	var err error
	if b.goChat, err = startGoChat(ip, func(h heard) { r.add(h.event("Go")) }); err != nil {
		return nil, err
	}
	b.nodeChat, b.whyNoNode, err = startNodeChat(ip, nodeDir, func(h heard) { r.add(h.event("Node")) })
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

// chats are the backends as the gateway knows them. That in Go has the paths
// without a prefix.
func (b *backends) chats() []chatBehind {
	list := []chatBehind{{Name: "Go", Address: b.goChat.address()}}
	if b.nodeChat != nil {
		list = append(list, chatBehind{Name: "Node", Prefix: "/node", Address: b.nodeChat.address})
	}
	return list
}

// stop ends both, and waits until they have ended.
func (b *backends) stop() error {
	err := b.goChat.stop()
	if b.nodeChat != nil {
		err = errors.Join(err, b.nodeChat.stop())
	}
	return err
}
