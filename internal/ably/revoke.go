package ably

import "strings"

// MaxTargets is how many targets one request to revoke may have.
const MaxTargets = 100

// A RevokeRequest takes back tokens of one key.
type RevokeRequest struct {
	// Targets say whose: "clientId:me", "revocationKey:group", "channel:room".
	Targets []string
	// IssuedBefore spares tokens that are younger, in milliseconds since 1970. 0:
	// now.
	IssuedBefore int64
	// Margin gives clients half a minute to get another token.
	Margin bool
}

func (r *RevokeRequest) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "targets":
			r.Targets = d.textOrTexts()
		case "issuedBefore":
			r.IssuedBefore = d.integer()
		case "allowReauthMargin":
			r.Margin = d.boolean()
		default:
			d.skip()
		}
	}
}

func (r *RevokeRequest) encode(e *encoder) {
	e.begin()
	e.texts("targets", r.Targets)
	e.integer("issuedBefore", r.IssuedBefore)
	e.boolean("allowReauthMargin", r.Margin)
	e.end()
}

// ParseTarget takes a target apart, or says why there is none of this kind.
func ParseTarget(s string) (kind, name string, bad *ErrorInfo) {
	kind, name, found := strings.Cut(s, ":")
	if !found || name == "" {
		return "", "", Errorf(BadRequest, "a target is its kind, a colon and a name")
	}
	switch kind {
	case "clientId", "revocationKey", "channel":
		return kind, name, nil
	}
	return "", "", Errorf(BadRequest, "unknown kind of target %q", clip(kind))
}
