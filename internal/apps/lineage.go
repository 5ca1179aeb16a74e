package apps

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// A lineage is what a token can be taken back by, beside whose it is. One that is
// asked for with another has that of the other, too: else who is about to be
// taken back would make itself another.
type lineage struct {
	issued time.Time // Zero: it does not say.
	id     string
	groups []string
}

// groupsClaim is where a token has the groups of what it was asked for with.
const groupsClaim = "x-usher-groups"

// lineageOf is that of a token that allows p to a client.
func lineageOf(t *token, clientID string, p usher.Permissions) lineage {
	l := lineage{issued: t.time("iat"), id: t.claim("jti"), groups: ownGroups(clientID, p)}
	inherited, _ := t.claims[groupsClaim].([]any)
	for _, v := range inherited {
		if name, ok := v.(string); ok {
			l.groups = append(l.groups, name)
		}
	}
	return l
}

// anyoneGroup is the group of tokens that anybody may use, and of those that were
// asked for with one, whatever the client calls itself there.
const anyoneGroup = "client:*"

// ownGroups are those of a token by what it says itself.
func ownGroups(clientID string, p usher.Permissions) (list []string) {
	if clientID == Anyone {
		list = append(list, anyoneGroup)
	}
	var capability map[string][]string
	if json.Unmarshal([]byte(p.Capability()), &capability) != nil { // It allows nothing.
		return list
	}
	for resource := range capability {
		list = append(list, channelGroup(resource))
	}
	return list
}

// channelGroup names the group of all tokens whose capability has a resource, word
// for word: those that say more, as by a wildcard, are not in it.
func channelGroup(resource string) string { return "channel:" + resource }

// made is when a request for a token, by who has by, counts as made: no later than
// what entitles to it. It is zero where that does not say.
func made(r *ably.TokenRequest, by *Grant, now time.Time) time.Time {
	at := now.Truncate(time.Millisecond)
	if r.MAC != "" {
		at = earlier(at, time.UnixMilli(r.Timestamp))
	}
	if by != nil && !by.Basic {
		at = earlier(at, by.lineage.issued)
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// passOn has a token with these claims, and groups of its own, be taken back with
// the one that it is asked for with.
func (g *Grant) passOn(claims map[string]any, own []string) {
	if g.lineage.id != "" {
		claims["jti"] = g.lineage.id
	}
	if g.Group != "" {
		claims["x-ably-revocation-key"] = g.Group
	}
	given := slices.DeleteFunc(slices.Clone(g.lineage.groups), func(name string) bool { return slices.Contains(own, name) })
	if len(given) > 0 {
		claims[groupsClaim] = given
	}
}
