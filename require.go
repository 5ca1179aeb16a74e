package usher

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Requirement is what a Guard asks of an identity beside who it is. The zero
// value asks nothing.
type Requirement struct {
	// Scope are names that must all be in its scope: see
	// [Identity.Permissions]. Default: none.
	Scope []string
	// Claims are the values that a claim may have, by its name: it must be one
	// of them, or an array with one of them in it. A number is compared as it
	// is written, true and false by these words. Default: none.
	Claims map[string][]string
}

// An unmetError is a credential that is good, and not enough.
type unmetError struct {
	scope string // What is required, as RFC 6750 §3 writes it; empty: no scope.
	what  string
}

func (e *unmetError) Error() string { return e.what }

func (e *unmetError) Unwrap() error { return ErrForbidden }

// challenge says in WWW-Authenticate what would be enough (RFC 6750 §3.1).
func (e *unmetError) challenge() string {
	if e.scope == "" {
		return `Bearer error="insufficient_scope"`
	}
	return `Bearer error="insufficient_scope", scope="` + e.scope + `"`
}

// unmet says why an identity is not enough, or nil.
func (q *Requirement) unmet(id *Identity) error {
	if len(q.Scope) > 0 {
		has, err := claimedScope(id.Claims)
		if err != nil || !(Permissions{scope: has}).HasScope(q.Scope...) {
			return &unmetError{strings.Join(q.Scope, " "), "the scope is not what the route requires"}
		}
	}
	for name, values := range q.Claims {
		if !slices.ContainsFunc(claimTexts(id.Claims[name]), func(has string) bool { return slices.Contains(values, has) }) {
			return &unmetError{"", fmt.Sprintf("the claim %q is not what the route requires", name)}
		}
	}
	return nil
}

// validate says what is wrong with the fields.
func (q *Requirement) validate() error {
	for _, name := range q.Scope {
		if !isScopeName(name) {
			return fmt.Errorf("Require: %q is not a name of a scope", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.Claims)) {
		if name == "" || len(q.Claims[name]) == 0 {
			return errors.New("Require: a claim without a name or without a value that it may have")
		}
	}
	return nil
}

// claimTexts returns the values of a claim as texts.
func claimTexts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case bool:
		return []string{strconv.FormatBool(v)}
	case json.Number:
		return []string{string(v)}
	case []string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			if _, list := one.([]any); !list {
				all = append(all, claimTexts(one)...)
			}
		}
		return all
	}
	return nil
}
