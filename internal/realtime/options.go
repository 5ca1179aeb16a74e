package realtime

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// An Access says what clients may do. Its errors are *ably.ErrorInfo, and others
// are internal ones.
type Access interface {
	// Grant says what the client of an admitted request may do.
	Grant(r *http.Request) (*Grant, error)
	// Renew judges a token that the client has sent on its connection, whose
	// context ctx is, and which is granted what now says. Where it says yes, the
	// connection's identity is the token's from then on.
	Renew(ctx context.Context, now *Grant, token usher.Secret) (*Grant, error)
	// Again says what the client of a live connection may do by now, whose context
	// ctx is, and which is granted what now says: its identity may be another, or
	// its key may allow something else.
	Again(ctx context.Context, now *Grant) (*Grant, error)
}

// A Grant is what one client may do. It is not changed.
type Grant struct {
	// App is the app whose client it is.
	App *hub.App
	// Key names the API key that vouches for it.
	Key string
	// Client is whom its credential names, whoever it says it is beside that. Empty:
	// nobody in particular.
	Client string
	// ClientID is who it is: "*" for one that may say so in each message, empty
	// for one that is nobody.
	ClientID string
	// Permissions are what it may do on channels.
	Permissions usher.Permissions
	// Expires is when its token ends. Zero for a key, which does not.
	Expires time.Time
	// Claims are what its token says of single channels. Nil: nothing.
	Claims Claims
	// Origin is that of its page (RFC 6454 §6.2), or empty.
	Origin string
	// InClear says that all on the way can read what it sends.
	InClear bool
}

// Claims are what a token says of its holder on single channels.
type Claims interface {
	// User is what it says to those on a channel, if anything.
	User(channel string) (text string, said bool)
	// MaxRate is how many messages in a second one connection may publish to a
	// channel, if that is limited.
	MaxRate(channel string) (perSecond float64, limited bool)
}

// owner is whose connections they are that the grant opens.
func (g *Grant) owner() hub.Owner { return hub.Owner{Key: g.Key, Client: g.Client} }

// claimed returns extras of what the client sends to a channel with what its
// token says of it.
func (g *Grant) claimed(extras, channel string) string {
	if g.Claims == nil {
		return ably.ClaimExtras(extras, "", false)
	}
	text, said := g.Claims.User(channel)
	return ably.ClaimExtras(extras, text, said)
}

// within reports whether n more messages are within what the token limits for the
// connection.
func (g *Grant) within(st *state, channel string, n int) bool {
	if g.Claims == nil {
		return true
	}
	perSecond, limited := g.Claims.MaxRate(channel)
	return !limited || st.limited().Take(ofToken, channel, n, perSecond)
}

// Options say how a Server works.
type Options struct {
	// Access says what clients may do. Required.
	Access Access
	// StateTTL is how long a connection can be resumed. Default: 2 minutes.
	StateTTL time.Duration
	// Grace is how long its members stay without it. Default: 15 s.
	Grace time.Duration
	// MaxIdle is how often a client hears from the server at least. Default: 15 s.
	MaxIdle time.Duration
	// MaxFrame is the size of a frame that is read, in bytes, or else twice that of
	// a publish of the app, which may be base64. Default: 524,288.
	MaxFrame int
	// WriteTimeout is how long a client may take to have all of what is written to
	// it at once, or up to a third less.
	// Default: 15 s.
	WriteTimeout time.Duration
	// ServerID names this node to clients. Default: "usher".
	ServerID string
	// Refused is told of each refusal that a client is told, by its code. It must
	// not block. Default: nobody is.
	Refused func(ably.Code)
	// Log is told of faults. Default: slog.Default().
	Log *slog.Logger
}

func (o Options) complete() Options {
	o.StateTTL = cmp.Or(o.StateTTL, 2*time.Minute)
	o.Grace = cmp.Or(o.Grace, 15*time.Second)
	o.MaxIdle = cmp.Or(o.MaxIdle, 15*time.Second)
	o.MaxFrame = cmp.Or(o.MaxFrame, 512<<10)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 15*time.Second)
	o.ServerID = cmp.Or(o.ServerID, "usher")
	if o.Refused == nil {
		o.Refused = func(ably.Code) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

const (
	// attachTimeout bounds how long an attach may wait for the log: less than the
	// 10 s that clients wait.
	attachTimeout = 8 * time.Second
	// promptAhead is how long before its token ends a client is asked for another:
	// not within promptApart of when that token came, and not at all where it
	// ended within promptLeast then.
	promptAhead = 30 * time.Second
	promptApart = 3 * time.Second
	promptLeast = 5500 * time.Millisecond
	// maxRemain bounds what a client may ask for as its grace.
	maxRemain = 10 * time.Minute
	// minIdle is the least that a client may ask for as MaxIdle.
	minIdle = time.Second
)

// may reports whether a grant has an operation on a channel.
func (g *Grant) may(operation, channel string) bool { return g.Permissions.May(operation, channel) }

// modes are what a grant lets an attachment do, of what is asked for.
func (g *Grant) modes(asked ably.Flags, channel string) (granted ably.Flags) {
	for _, need := range []struct {
		modes     ably.Flags
		operation string
	}{
		{ably.ModePublish, "publish"},
		{ably.ModeSubscribe | ably.ModePresenceSubscribe, "subscribe"},
		{ably.ModePresence, "presence"},
		{ably.ModeAnnotationPublish, "annotation-publish"},
		{ably.ModeAnnotationSubscribe, "annotation-subscribe"},
		{ably.ModeObjectPublish, "object-publish"},
		{ably.ModeObjectSubscribe, "object-subscribe"},
	} {
		if asked&need.modes != 0 && g.may(need.operation, channel) {
			granted |= asked & need.modes
		}
	}
	return granted
}

// hubModes are the hub's words for modes.
func hubModes(f ably.Flags) (m hub.Mode) {
	for _, pair := range []struct {
		flag ably.Flags
		mode hub.Mode
	}{
		{ably.ModePublish, hub.Publish},
		{ably.ModeSubscribe, hub.Subscribe},
		{ably.ModePresence, hub.BePresent},
		{ably.ModePresenceSubscribe, hub.SeePresence},
	} {
		if f.Has(pair.flag) {
			m |= pair.mode
		}
	}
	return m
}

// renewed is the grant of a connection whose client has sent another token: who
// it is does not change, but who was nobody, or anybody, may become somebody, or
// nobody.
func renewed(now, fresh *Grant) (*Grant, error) {
	switch {
	case fresh.ClientID == now.ClientID, now.ClientID == "", now.ClientID == "*":
		return fresh, nil
	case fresh.ClientID == "*":
		g := *fresh
		g.ClientID = now.ClientID
		return &g, nil
	}
	return nil, ably.Errorf(ably.IncompatibleCredential, "the token has another clientId than the connection")
}
