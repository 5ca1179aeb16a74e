package ably

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxChannelName is how long the name of a channel may be, in bytes.
const MaxChannelName = 2048

// A ChannelName is the name of a channel, as a client says it, taken apart.
type ChannelName struct {
	// Name is the channel.
	Name string
	// Params are what stood before it in brackets: "[?rewind=1]room".
	Params Params
}

// ParseChannelName takes a name apart, and refuses one that no channel has.
// Qualifiers that make another kind of channel are refused.
func ParseChannelName(s string) (ChannelName, *ErrorInfo) {
	bad := func(why string) (ChannelName, *ErrorInfo) {
		return ChannelName{}, Errorf(BadChannelName, "%s: %q", why, clip(s))
	}
	switch {
	case len(s) > MaxChannelName:
		return bad("longer than 2048 bytes")
	case !utf8.ValidString(s):
		return bad("no UTF-8")
	}
	c := ChannelName{Name: s}
	if inside, ok := strings.CutPrefix(s, "["); ok {
		qualifier, name, closed := strings.Cut(inside, "]")
		query, isQuery := strings.CutPrefix(qualifier, "?")
		if !closed || !isQuery {
			return bad("a qualifier that is not supported")
		}
		values, err := url.ParseQuery(query)
		if err != nil || len(values) > maxMembers {
			return bad("malformed params")
		}
		c = ChannelName{Name: name, Params: make(Params, len(values))}
		for key := range values {
			c.Params[key] = values.Get(key)
		}
	}
	first, _ := utf8.DecodeRuneInString(c.Name)
	switch {
	case c.Name == "":
		return bad("empty")
	case first == ':' || first == '[' || unicode.IsSpace(first):
		return bad("a name cannot begin so")
	case strings.ContainsAny(c.Name, "\n\r"):
		return bad("more than a line")
	}
	return c, nil
}
