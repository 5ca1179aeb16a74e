package usher

import (
	"encoding/base64"
	"iter"
	"strings"
	"unicode/utf8"
)

// A candidate is a credential with the carrier that brought it, or with the
// reason why it cannot be one.
type candidate struct {
	carrier *Carrier
	cred    Credential
	err     error
}

// find names the credentials in what was cut out, in the order of the Guard's
// carriers: the deliberate ones, each different one once, and the ambient ones.
func (x *extractor) find(c *cutting, v *visit) (deliberate, ambient []candidate) {
	for i := range x.carriers {
		carrier := &x.carriers[i]
		all := carrier.find(c, v)
		for j := range all {
			found := &all[j]
			found.carrier = carrier
			found.cred.Carrier = carrier.name
			found.cred.Origin, found.cred.Route = v.origin, v.route
			switch {
			case carrier.ambient():
				ambient = add(ambient, all, j)
			case !known(deliberate, found):
				deliberate = add(deliberate, all, j)
			}
		}
	}
	return deliberate, ambient
}

// add appends all[i] to list. The first is not copied.
func add(list, all []candidate, i int) []candidate {
	if len(list) == 0 {
		return all[i : i+1 : i+1]
	}
	return append(list, all[i])
}

func known(list []candidate, c *candidate) bool {
	for i := range list {
		if list[i].err == nil && c.err == nil &&
			list[i].cred.Kind == c.cred.Kind && list[i].cred.Secret.Equal(c.cred.Secret) {
			return true
		}
	}
	return false
}

// find returns what came by this carrier.
func (c *Carrier) find(cut *cutting, v *visit) []candidate {
	switch c.name {
	case carrierTicket:
		found := plain(KindTicket, valuesOf(cut.params, c.param))
		for _, s := range cut.secret {
			if ticket, ok := strings.CutPrefix(s, ticketPrefix); ok {
				found = append(found, newCandidate(KindTicket, ticket))
			}
		}
		return found
	case carrierSubprotocol:
		return tokensIn(cut.secret)
	case carrierQuery:
		return plain(KindToken, valuesOf(cut.params, c.param))
	case carrierBearer, carrierBasic:
		return authorization(c.name, cut.auth)
	case carrierCookie:
		return cookieIn(valuesOf(cut.cookies, c.param), v)
	}
	return nil // A first message comes later.
}

func newCandidate(kind Kind, secret string) candidate {
	c := candidate{cred: Credential{Kind: kind, Secret: NewSecret(secret)}}
	if secret == "" || len(secret) > MaxToken {
		c.err = errMalformed
	}
	return c
}

func plain(kind Kind, values iter.Seq[string]) []candidate {
	var found []candidate
	for value := range values {
		found = append(found, newCandidate(kind, value))
	}
	return found
}

// tokensIn decodes the tokens among subprotocols. Phoenix uses the standard
// alphabet of base64, of which "/" cannot stand in a subprotocol.
func tokensIn(secret []string) []candidate {
	var found []candidate
	for _, s := range secret {
		text, ok := strings.CutPrefix(s, bearerPrefix)
		if !ok {
			text, ok = strings.CutPrefix(s, kubernetesPrefix)
		}
		if !ok {
			if text, ok = strings.CutPrefix(s, phoenixPrefix); ok {
				text = strings.ReplaceAll(text, "+", "-")
			}
		}
		if !ok {
			continue
		}
		c := candidate{err: errMalformed}
		if len(text) <= base64url.EncodedLen(MaxToken) {
			if token, ok := decodeBase64URL(text); ok && utf8.Valid(token) {
				c = newCandidate(KindToken, string(token))
			}
		}
		found = append(found, c)
	}
	return found
}

// authorization reads the header for Bearer or Basic. With more than one header
// it cannot be told which one was meant.
func authorization(carrier string, values []string) []candidate {
	var found []candidate
	for _, value := range values {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
		rest = strings.TrimSpace(rest)
		switch {
		case carrier == carrierBearer && strings.EqualFold(scheme, "Bearer"):
			found = append(found, newCandidate(KindToken, rest))
		case carrier == carrierBasic && strings.EqualFold(scheme, "Basic"):
			found = append(found, basicCandidate(rest))
		}
	}
	if len(found) > 0 && len(values) > 1 {
		return []candidate{{err: errMalformed}}
	}
	return found
}

func basicCandidate(text string) candidate {
	if len(text) > base64.StdEncoding.EncodedLen(MaxToken) {
		return candidate{err: errMalformed}
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	user, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || user == "" || !utf8.Valid(raw) {
		return candidate{err: errMalformed}
	}
	c := newCandidate(KindPassword, password)
	c.cred.Username = user
	return c
}

// cookieIn returns the cookie. Two different ones of a name are refused: which
// of them the site has set cannot be told. Where a foreign page could have sent
// it, a cookie without an Origin is refused.
func cookieIn(values iter.Seq[string], v *visit) []candidate {
	var found []candidate
	for value := range values {
		if len(found) == 0 {
			found = append(found, newCandidate(KindToken, value))
		} else if !found[0].cred.Secret.Equal(NewSecret(value)) {
			found[0].err = errMalformed
		}
	}
	if len(found) > 0 && v.strict && v.origin == "" {
		found[0].err = ErrForbidden
	}
	return found
}
