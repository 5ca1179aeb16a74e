package usher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxPermissions is the size of the largest scope and of the largest
// capability, in bytes: 8 KiB, as much as a token has room for.
const MaxPermissions = MaxToken

// Permissions are what a credential allows: the scope of OAuth (RFC 6749 §3.3),
// which is a set of names, and a capability, which says for each resource what
// may be done there. The zero value allows nothing. It is a value that does not
// change, made ready once: asking it allocates nothing.
//
// A capability is a JSON object of lists of operations by resource:
//
//	{"news:*": ["subscribe", "history"], "chat:alice": ["*"]}
//
// A resource is a name in segments, with colons between them. The segment "*"
// stands for any one segment, and as the last for one or more: "news:*" is
// "news:uk" and "news:uk:london", not "news"; "new*" is only itself. A name may
// begin with a qualifier in brackets, "[meta]log", which only a resource with
// the same covers: "*" are the ordinary names, "[meta]*" those with that
// qualifier, "[*]*" all. "[filter]" covers "[filter=…]" too.
//
// The operations are "subscribe", "publish", "presence", "history", "stats",
// "push-subscribe", "push-admin", "channel-metadata", "privileged-headers",
// "object-subscribe", "object-publish", "annotation-subscribe",
// "annotation-publish", "message-update-own", "message-update-any",
// "message-delete-own" and "message-delete-any", or "*" alone for all of them.
type Permissions struct {
	scope  []string // Sorted, each once.
	grants grants
}

// NewPermissions reads a scope, names with single spaces between them, and a
// capability, JSON; empty is none. It is strict: what it does not know, or what
// is written in a way that others might understand otherwise, is an error. That
// quotes what was found, since permissions are no secret.
func NewPermissions(scope, capability string) (Permissions, error) {
	names, err := parseScope(scope)
	if err != nil {
		return Permissions{}, fmt.Errorf("scope: %w", err)
	}
	list, err := parseCapability(capability)
	if err != nil {
		return Permissions{}, fmt.Errorf("capability: %w", err)
	}
	return Permissions{scope: names, grants: list}, nil
}

// Permissions returns what the claims of the identity say it may do: "scope"
// (RFC 8693 §4.2), or else "scp", each a text or an array of names, and
// "capability", an object or its JSON. It reads them each time: ask once for
// each identity, of which a renewal makes another. An error means that one of
// them is malformed: it allows nothing.
func (id *Identity) Permissions() (Permissions, error) {
	names, err := claimedScope(id.Claims)
	if err != nil {
		return Permissions{}, fmt.Errorf("claim scope: %w", err)
	}
	text, err := capabilityText(id.Claims["capability"])
	if err != nil {
		return Permissions{}, fmt.Errorf("claim capability: %w", err)
	}
	list, err := parseCapability(text)
	if err != nil {
		return Permissions{}, fmt.Errorf("claim capability: %w", err)
	}
	return Permissions{scope: names, grants: list}, nil
}

// claimedScope returns the names in the claim "scope", or else in "scp".
func claimedScope(claims Claims) ([]string, error) {
	claim, ok := claims["scope"]
	if !ok {
		claim = claims["scp"]
	}
	text, err := scopeText(claim)
	if err != nil {
		return nil, err
	}
	return parseScope(text)
}

// Scope returns the names, sorted, with spaces between them.
func (p Permissions) Scope() string { return strings.Join(p.scope, " ") }

// Capability returns the capability as JSON: the same text for the same
// capability. It is empty where there is none.
func (p Permissions) Capability() string { return p.grants.String() }

// IsZero reports whether nothing is allowed.
func (p Permissions) IsZero() bool { return len(p.scope) == 0 && len(p.grants.list) == 0 }

// HasScope reports whether all the names are in the scope.
func (p Permissions) HasScope(names ...string) bool {
	for _, name := range names {
		if _, ok := slices.BinarySearch(p.scope, name); !ok {
			return false
		}
	}
	return true
}

// May reports whether the capability allows the operation on a resource. Of a
// resource with wildcards it reports whether one grant allows it on all that
// the resource covers.
func (p Permissions) May(operation, resource string) bool {
	return p.grants.may(operation, resource)
}

// Intersect returns what both allow. Where two resources overlap and neither
// covers the other, nothing there is allowed.
func (p Permissions) Intersect(other Permissions) Permissions {
	both := Permissions{grants: p.grants.intersect(other.grants)}
	for _, name := range p.scope {
		if other.HasScope(name) {
			both.scope = append(both.scope, name)
		}
	}
	return both
}

// parseScope reads a scope by the grammar of RFC 6749 §3.3.
func parseScope(text string) ([]string, error) {
	switch {
	case text == "":
		return nil, nil
	case len(text) > MaxPermissions:
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), MaxPermissions)
	}
	names := strings.Split(text, " ")
	for _, name := range names {
		if !isScopeName(name) {
			return nil, fmt.Errorf("%.40q is not a name; there must be one space between names", name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// isScopeName reports whether name is a scope-token.
func isScopeName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return name != ""
}

// scopeText returns a claim as the text of a scope.
func scopeText(claim any) (string, error) {
	switch v := claim.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []string:
		return joinNames(v)
	case []any:
		names := make([]string, len(v))
		for i := range v {
			names[i], _ = v[i].(string) // Which is no name if it is none.
		}
		return joinNames(names)
	}
	return "", errors.New("neither a text nor an array of texts")
}

func joinNames(names []string) (string, error) {
	for _, name := range names {
		if !isScopeName(name) { // A space in one would make two of it.
			return "", fmt.Errorf("%.40q is not a name", name)
		}
	}
	return strings.Join(names, " "), nil
}

// capabilityText returns a claim as the text of a capability.
func capabilityText(claim any) (string, error) {
	switch v := claim.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	text, err := json.Marshal(claim)
	if err != nil {
		return "", errors.New("not JSON")
	}
	return string(text), nil
}
