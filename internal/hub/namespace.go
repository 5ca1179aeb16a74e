package hub

import (
	"cmp"
	"strings"
	"time"
)

// AppOptions say what an app's channels are like.
type AppOptions struct {
	// Namespaces are by the part of a channel's name before its first colon.
	// The one called "" is of all other channels. Default: a zero Namespace.
	Namespaces map[string]Namespace
	// Limits bound what clients can do.
	Limits Limits
}

// A Namespace says what channels are like.
type Namespace struct {
	// Retention is how long history is kept. Default: 2 minutes.
	Retention time.Duration
	// Members bounds the members of one channel. Default: 250.
	Members int
}

// brief is how long the history of channels is kept without more being said.
const brief = 2 * time.Minute

// Limits bound what the clients of one app can do. The zero value of each is
// its default, and a negative one none.
type Limits struct {
	// MessageBytes is the size of what is published at once. Default: 65,536.
	MessageBytes int
	// MessagesAtOnce is how many messages that may be. Default: 1000.
	MessagesAtOnce int
	// Connections are those of the app at a time. Default: 100,000.
	Connections int
	// KeyConnections and ClientConnections are those that came by one key, and those
	// of one client, at a time. Default: none, and 10000.
	KeyConnections, ClientConnections int
	// Channels are those of one connection at a time. Default: 200.
	Channels int
	// AllChannels are those of the app that are in use at a time. Default: 100,000.
	AllChannels int
	// AttachRate is how many channels one connection attaches to in a second; as
	// many as it may have at once, or else twice as many. Default: 100.
	AttachRate int
	// Rate, KeyRate, ChannelRate and AppRate are how many messages in a second
	// one connection, one key, all who publish to one channel, and all of the app
	// publish; twice as many at once. Default: 1,000, none, 5,000 and none.
	Rate, KeyRate, ChannelRate, AppRate int
	// Calls, KeyCalls and ClientCalls are how much may be under way at a time that
	// is asked for beside connections: in the app, by one key, and by one client
	// whose token says who it is. The hub does not count it: who answers does.
	// Default: 1000, 500 and 100.
	Calls, KeyCalls, ClientCalls int
}

func (l Limits) complete() Limits {
	l.MessageBytes = cmp.Or(l.MessageBytes, 64<<10)
	l.MessagesAtOnce = cmp.Or(l.MessagesAtOnce, 1000)
	l.Connections = cmp.Or(l.Connections, 100_000)
	l.KeyConnections = cmp.Or(l.KeyConnections, -1)
	l.ClientConnections = cmp.Or(l.ClientConnections, 10000)
	l.Channels = cmp.Or(l.Channels, 200)
	l.AllChannels = cmp.Or(l.AllChannels, 100_000)
	l.AttachRate = cmp.Or(l.AttachRate, 100)
	l.Rate = cmp.Or(l.Rate, 1000)
	l.KeyRate = cmp.Or(l.KeyRate, -1)
	l.ChannelRate = cmp.Or(l.ChannelRate, 5000)
	l.AppRate = cmp.Or(l.AppRate, -1)
	l.Calls = cmp.Or(l.Calls, 1000)
	l.KeyCalls = cmp.Or(l.KeyCalls, 500)
	l.ClientCalls = cmp.Or(l.ClientCalls, 100)
	return l
}

// exceeds reports whether n is more than a limit allows.
func exceeds(n, limit int) bool { return limit > 0 && n > limit }

// namespace returns what a channel is like.
func (a *App) namespace(channel string) Namespace {
	o := a.options.Load()
	head, _, ok := strings.Cut(channel, ":")
	n, known := o.Namespaces[head]
	if !ok || !known {
		n = o.Namespaces[""]
	}
	n.Retention = cmp.Or(n.Retention, brief)
	n.Members = cmp.Or(n.Members, 250)
	return n
}

// name returns the full name of a channel.
func (a *App) name(channel string) Name {
	return Name{App: a.id, Channel: channel, Kept: a.namespace(channel).Retention > brief}
}
