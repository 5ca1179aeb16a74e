package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/observe"
)

// A keyAnswer is an API key as it is made: the only time that its text is shown.
type keyAnswer struct {
	engine.Key
	Text string `json:"key"`
}

// listKeys lists the API keys, without their texts.
func (a *api) listKeys(_ http.ResponseWriter, r *http.Request, _ call, _ caller) (answer, error) {
	if r.URL.RawQuery != "" {
		return answer{}, badCall("this call has no parameters")
	}
	list := a.engine.Keys().List()
	if list == nil {
		list = []engine.Key{}
	}
	return answer{http.StatusOK, struct {
		Keys []engine.Key `json:"keys"`
	}{list}}, nil
}

// createKey makes an API key.
func (a *api) createKey(w http.ResponseWriter, r *http.Request, _ call, by caller) (answer, error) {
	m, err := readMembers(w, r, "name", "may", "scope", "capability", "audiences", "expires_in")
	if err != nil {
		return answer{}, err
	}
	want, err := m.key(time.Now())
	if err != nil {
		return answer{}, err
	}
	if want.Expires.IsZero() { // So long as the caller's own, if that ends.
		want.Expires = by.key.Expires
	}
	if err := by.mayGive(want); err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	made, text, err := a.engine.Keys().Create(ctx, want)
	if err != nil {
		return answer{}, err
	}
	a.log.Info("api key created", "id", made.ID, "name", made.Name, "may", made.May, "scope", made.Scope,
		"capability", string(made.Capability), "audiences", made.Audiences, "expires", made.Expires, "key_id", by.key.ID)
	return answer{http.StatusCreated, keyAnswer{made, text.Reveal()}}, nil
}

// maxKeyLife bounds expires_in, in seconds: 100 years.
const maxKeyLife = 100 * 365 * 24 * 3600

// key reads the key that is to be made.
func (m members) key(now time.Time) (engine.Key, error) {
	var k engine.Key
	var err error
	if k.Name, err = m.text("name"); err != nil {
		return k, err
	}
	if observe.Redact(k.Name) != k.Name { // A name is shown and logged.
		return k, badCall("the member name looks like a credential")
	}
	if k.May, err = m.texts("may"); err != nil {
		return k, err
	}
	if len(k.May) == 0 {
		return k, badCall("the member may must name what the key may do")
	}
	if k.Scope, err = m.text("scope"); err != nil {
		return k, err
	}
	if k.Capability = m["capability"]; len(k.Capability) > 0 && k.Capability[0] != '{' {
		return k, badCall("the member capability must be an object")
	}
	if k.Audiences, err = m.texts("audiences"); err != nil {
		return k, err
	}
	if text := k.Scope + " " + string(k.Capability) + " " + strings.Join(k.Audiences, " "); observe.Redact(text) != text {
		return k, badCall("one of scope, capability and audiences looks like a credential")
	}
	if _, given := m["expires_in"]; given {
		seconds, err := m.number("expires_in")
		if err != nil || seconds < 1 || seconds > maxKeyLife {
			return k, badCall("the member expires_in must be in seconds, from 1 to %d", maxKeyLife)
		}
		k.Expires = now.Round(0).Add(time.Duration(seconds * float64(time.Second)))
	}
	if err := k.Validate(); err != nil {
		return k, badCall("%v", err)
	}
	return k, nil
}

// mayGive refuses to make or enable a key that may more than the caller's own, or
// for longer. To disable or remove one gives nobody anything.
func (by caller) mayGive(k engine.Key) error {
	if by.local {
		return nil
	}
	if slices.ContainsFunc(k.May, func(one string) bool { return !by.key.Allows(one) }) {
		return denyf(http.StatusForbidden, "this API key can give no permission that it lacks itself")
	}
	if !within(k, by.key) {
		return denyf(http.StatusForbidden, "this API key can give no scope, capability or audience that it lacks itself")
	}
	if end := by.key.Expires; !end.IsZero() && (k.Expires.IsZero() || k.Expires.After(end)) {
		return denyf(http.StatusForbidden, "this API key can give nothing for longer than it lasts itself")
	}
	return nil
}

// within reports whether tokens of k can have no more than those of other.
func within(k, other engine.Key) bool {
	mine, err := k.Permissions()
	theirs, otherErr := other.Permissions()
	if err != nil || otherErr != nil {
		return false
	}
	both := mine.Intersect(theirs)
	if both.Scope() != mine.Scope() || both.Capability() != mine.Capability() {
		return false
	}
	tokens := k.Allows(engine.MayTokens) || k.Allows(engine.MayExchange) || k.Allows(engine.MayIntrospect)
	if tokens && len(k.Audiences) == 0 {
		return len(other.Audiences) == 0 // Both are for the site's own.
	}
	return !slices.ContainsFunc(k.Audiences, func(one string) bool { return !slices.Contains(other.Audiences, one) })
}

// changeKey disables or enables an API key.
func (a *api) changeKey(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	m, err := readMembers(w, r, "disabled")
	if err != nil {
		return answer{}, err
	}
	disabled := string(m["disabled"]) == "true"
	if !disabled && string(m["disabled"]) != "false" {
		return answer{}, badCall("the member disabled must be there, true or false")
	}
	if !disabled {
		if err := a.mayGive(c.id, by); err != nil {
			return answer{}, err
		}
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	k, err := a.engine.Keys().Disable(ctx, c.id, disabled)
	if err != nil {
		return answer{}, asNoKey(err)
	}
	a.log.Info("api key changed", "id", k.ID, "disabled", k.Disabled, "key_id", by.key.ID)
	return answer{http.StatusOK, k}, nil
}

// mayGive refuses what gives somebody a key that is there.
func (a *api) mayGive(id string, by caller) error {
	if by.local {
		return nil
	}
	// What a key may and until when never changes, so what is known here is right.
	k, ok := a.engine.Keys().Find(id)
	if !ok { // Or not heard of yet: then it is not known what it may.
		return asNoKey(engine.ErrNoKey)
	}
	return by.mayGive(k)
}

const (
	// keyOverlap is how long the secret before a rotation is good unless the caller
	// says, and maxKeyOverlap how long at most, in seconds.
	keyOverlap    = 24 * time.Hour
	maxKeyOverlap = 30 * 24 * 3600
)

// rotateKey gives an API key another secret.
func (a *api) rotateKey(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	m, err := readMembers(w, r, "overlap")
	if err != nil {
		return answer{}, err
	}
	overlap, err := m.seconds("overlap", keyOverlap, maxKeyOverlap)
	if err != nil {
		return answer{}, err
	}
	if err := a.mayGive(c.id, by); err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	k, text, err := a.engine.Keys().Rotate(ctx, c.id, overlap)
	if err != nil {
		return answer{}, asNoKey(err)
	}
	a.log.Info("api key rotated", "id", k.ID, "old_until", k.OldUntil, "key_id", by.key.ID)
	return answer{http.StatusOK, keyAnswer{k, text.Reveal()}}, nil
}

// removeKey removes an API key.
func (a *api) removeKey(_ http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	if err := a.engine.Keys().Remove(ctx, c.id); err != nil {
		return answer{}, asNoKey(err)
	}
	a.log.Info("api key removed", "id", c.id, "key_id", by.key.ID)
	return answer{status: http.StatusNoContent}, nil
}

func asNoKey(err error) error {
	if errors.Is(err, engine.ErrNoKey) {
		return denyf(http.StatusNotFound, "there is no API key with this id")
	}
	return err
}
