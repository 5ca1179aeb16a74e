package apps

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	strictjson "github.com/go-jose/go-jose/v4/json"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// What the names of claims begin with that are about channels. The rest is a
// resource, as in a capability.
const (
	userPrefix = "ably.channel."
	ratePrefix = "ably.limits.publish.perAttachment.maxRate."
)

// Claims are what a token says of its holder on single channels. Of several that
// are about a channel the narrowest counts. They are not changed; nil says
// nothing.
type Claims struct {
	users, rates []claim // The narrowest first.
}

// A claim is about the channels that a resource stands for.
type claim struct {
	resource string
	on       usher.Permissions // Something on the resource.
	rank     [3]int            // How many of its segments are no wildcards, how many there are, and 1 where it is of ordinary channels only.
	user     string
	rate     float64
}

// readClaims reads what claims say of channels. An error is an *ably.ErrorInfo:
// a limit that is not understood is not passed over.
func readClaims(all map[string]any) (*Claims, error) {
	var c Claims
	for name, value := range all {
		if resource, ok := strings.CutPrefix(name, userPrefix); ok {
			text, isText := value.(string)
			one, err := newClaim(resource)
			if err != nil || !isText {
				return nil, ably.Errorf(ably.BadRequest, "the token's claim %.80q: it is a text, for a resource", name)
			}
			one.user = text
			c.users = append(c.users, one)
		}
		if resource, ok := strings.CutPrefix(name, ratePrefix); ok {
			rate, isRate := rateOf(value)
			one, err := newClaim(resource)
			if err != nil || !isRate {
				return nil, ably.Errorf(ably.BadRequest, "the token's claim %.80q: it is how many messages in a second, for a resource", name)
			}
			one.rate = rate
			c.rates = append(c.rates, one)
		}
	}
	if len(c.users)+len(c.rates) == 0 {
		return nil, nil
	}
	slices.SortFunc(c.users, narrower)
	slices.SortFunc(c.rates, narrower)
	return &c, nil
}

// rateOf reads a number that is a rate.
func rateOf(value any) (float64, bool) {
	var text string
	switch n := value.(type) {
	case json.Number:
		text = string(n)
	case strictjson.Number:
		text = string(n)
	}
	rate, err := strconv.ParseFloat(text, 64)
	return rate, err == nil && rate >= 0 && !math.IsInf(rate, 0)
}

func newClaim(resource string) (claim, error) {
	text, err := json.Marshal(map[string][]string{resource: {"*"}})
	if err != nil {
		return claim{}, err
	}
	on, err := usher.NewPermissions("", string(text))
	if err != nil {
		return claim{}, err
	}
	name, ordinary := resource, 1
	if _, rest, qualified := strings.Cut(resource, "]"); qualified && resource[0] == '[' {
		name, ordinary = rest, 0
	}
	segments := strings.Split(name, ":")
	words := len(segments)
	for _, s := range segments {
		if s == "*" {
			words--
		}
	}
	return claim{resource: resource, on: on, rank: [3]int{words, len(segments), ordinary}}, nil
}

// narrower orders claims: of two resources of which one covers the other, the
// covered one comes first.
func narrower(a, b claim) int {
	return cmp.Or(slices.Compare(b.rank[:], a.rank[:]), cmp.Compare(a.resource, b.resource))
}

func find(list []claim, channel string) (claim, bool) {
	for _, c := range list {
		if c.on.May("publish", channel) {
			return c, true
		}
	}
	return claim{}, false
}

// User is what the token says of its holder to those on a channel, if anything.
func (c *Claims) User(channel string) (text string, said bool) {
	if c == nil {
		return "", false
	}
	one, said := find(c.users, channel)
	return one.user, said
}

// MaxRate is how many messages in a second the holder may publish to a channel,
// by each connection, if the token limits that.
func (c *Claims) MaxRate(channel string) (perSecond float64, limited bool) {
	if c == nil {
		return 0, false
	}
	one, limited := find(c.rates, channel)
	return one.rate, limited
}

// copyTo has another token say the same.
func (c *Claims) copyTo(claims map[string]any) {
	if c == nil {
		return
	}
	for _, one := range c.users {
		claims[userPrefix+one.resource] = one.user
	}
	for _, one := range c.rates {
		claims[ratePrefix+one.resource] = one.rate
	}
}
