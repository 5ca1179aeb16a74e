package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/apps"
)

// An appKey is a key of an app, as the API shows it: without its secret.
type appKey struct {
	ID         string          `json:"id"`
	Name       string          `json:"name,omitempty"`
	Capability json.RawMessage `json:"capability"` // In its one form: see [usher.Permissions.Capability].
	Revocable  bool            `json:"revocable"`
	Disabled   bool            `json:"disabled"`
	Created    time.Time       `json:"created,omitzero"`
	OldUntil   time.Time       `json:"old_until,omitzero"` // When the secret before is good no more.
}

// A shownAppKey is a key as it is made: the only time that its secret is shown.
type shownAppKey struct {
	appKey
	Text string `json:"key"` // As the SDKs take it.
}

// keys are all keys of the app, also those that are disabled.
func (a *hubApp) keys() []appKey {
	list := []appKey{}
	if a.record == nil {
		for _, k := range a.Keys {
			list = append(list, appKey{ID: k.ID, Capability: capabilityOf(k.Permissions), Revocable: k.Revocable})
		}
		return list
	}
	for _, k := range a.record.Keys {
		list = append(list, k.appKey)
	}
	return list
}

// capabilityOf is a capability in JSON, which is never empty.
func capabilityOf(p usher.Permissions) json.RawMessage {
	return orEmpty(json.RawMessage(p.Capability()))
}

// listAppKeys lists the keys of an app.
func (a *api) listAppKeys(_ http.ResponseWriter, r *http.Request, c call, _ caller) (answer, error) {
	if r.URL.RawQuery != "" {
		return answer{}, badCall("this call has no parameters")
	}
	one, err := a.app(c.app)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, struct {
		Keys []appKey `json:"keys"`
	}{one.keys()}}, nil
}

// showAppKey shows a key of an app.
func (a *api) showAppKey(_ http.ResponseWriter, r *http.Request, c call, _ caller) (answer, error) {
	if r.URL.RawQuery != "" {
		return answer{}, badCall("this call has no parameters")
	}
	one, err := a.app(c.app)
	if err != nil {
		return answer{}, err
	}
	keys := one.keys()
	i := slices.IndexFunc(keys, func(k appKey) bool { return k.ID == c.id })
	if i < 0 {
		return answer{}, errNoAppKey
	}
	return answer{http.StatusOK, keys[i]}, nil
}

var errNoAppKey = denyf(http.StatusNotFound, "the app has no key with this id")

// createAppKey makes a key of an app, and shows its secret.
func (a *api) createAppKey(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	m, err := readMembers(w, r, "id", "name", "capability", "revocable", "disabled")
	if err != nil {
		return answer{}, err
	}
	id, err := m.hubID("id")
	if err != nil {
		return answer{}, err
	}
	key := appKeyRecord{appKey{
		ID: id, Capability: json.RawMessage(`{"*":["*"]}`), Created: time.Now().UTC().Truncate(time.Microsecond),
	}, sealedSecret{apps.NewSecret()}, nil}
	if err := m.changeAppKey(&key.appKey); err != nil {
		return answer{}, err
	}
	_, err = a.change(r, c.app, func(record *appRecord) (*hubApp, error) {
		switch {
		case record.key(id) >= 0:
			return nil, denyf(http.StatusConflict, "the app has a key with this id: choose another, or remove that one first")
		case len(record.Keys) >= maxAppKeys:
			return nil, denyf(http.StatusConflict, "the app has %d keys, which is the bound: remove some", maxAppKeys)
		}
		record.Keys = append(record.Keys, key)
		return record.app(c.app)
	})
	if err != nil {
		return answer{}, err
	}
	a.log.Info("key of an app created", "app", c.app, "id", id, "name", key.Name, "capability", string(key.Capability),
		"revocable", key.Revocable, "key_id", by.key.ID)
	return answer{http.StatusCreated, shownAppKey{key.appKey, c.app + "." + id + ":" + key.Secret.Reveal()}}, nil
}

// changeAppKey changes a key as the members say.
func (m members) changeAppKey(key *appKey) error {
	var errs [4]error
	key.Name, errs[0] = m.title("name", key.Name)
	key.Revocable, errs[1] = m.truth("revocable", key.Revocable)
	key.Disabled, errs[2] = m.truth("disabled", key.Disabled)
	key.Capability, errs[3] = m.capability(key.Capability)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// capability returns a member that is a capability, an object, in its one form; or
// fallback where there is none.
func (m members) capability(fallback json.RawMessage) (json.RawMessage, error) {
	raw, given := m["capability"]
	switch {
	case !given:
		return fallback, nil
	case raw[0] != '{':
		return nil, badCall("the member capability must be an object")
	}
	p, err := usher.NewPermissions("", string(raw))
	if err != nil {
		return nil, badCall("%v", err)
	}
	text := capabilityOf(p)
	if len(text) > maxAppCapability {
		return nil, badCall("the member capability has more than %d bytes", maxAppCapability)
	}
	return text, nil
}

// changeAppKey changes what the body names of a key.
func (a *api) changeAppKey(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	m, err := readMembers(w, r, "name", "capability", "revocable", "disabled")
	if err != nil {
		return answer{}, err
	}
	var changed appKey
	_, err = a.change(r, c.app, func(record *appRecord) (*hubApp, error) {
		i := record.key(c.id)
		if i < 0 {
			return nil, errNoAppKey
		}
		if err := m.changeAppKey(&record.Keys[i].appKey); err != nil {
			return nil, err
		}
		changed = record.Keys[i].appKey
		return record.app(c.app)
	})
	if err != nil {
		return answer{}, err
	}
	a.log.Info("key of an app changed", "app", c.app, "id", c.id, "name", changed.Name, "capability", string(changed.Capability),
		"revocable", changed.Revocable, "disabled", changed.Disabled, "key_id", by.key.ID)
	return answer{http.StatusOK, changed}, nil
}

// rotateAppKey gives a key another secret, and shows it. What the one before has
// opened ends when that does.
func (a *api) rotateAppKey(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	m, err := readMembers(w, r, "overlap")
	if err != nil {
		return answer{}, err
	}
	overlap, err := m.seconds("overlap", keyOverlap, maxKeyOverlap)
	if err != nil {
		return answer{}, err
	}
	secret, until := sealedSecret{apps.NewSecret()}, time.Now().UTC().Truncate(time.Microsecond).Add(overlap)
	var changed appKey
	_, err = a.change(r, c.app, func(record *appRecord) (*hubApp, error) {
		i := record.key(c.id)
		if i < 0 {
			return nil, errNoAppKey
		}
		k := &record.Keys[i]
		old := k.Secret
		k.Old, k.Secret, k.OldUntil = &old, secret, until
		changed = k.appKey
		return record.app(c.app)
	})
	if err != nil {
		return answer{}, err
	}
	a.log.Info("key of an app rotated", "app", c.app, "id", c.id, "name", changed.Name, "old_until", until, "key_id", by.key.ID)
	return answer{http.StatusOK, shownAppKey{changed, c.app + "." + c.id + ":" + secret.Reveal()}}, nil
}

// removeAppKey removes a key of an app.
func (a *api) removeAppKey(_ http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	_, err := a.change(r, c.app, func(record *appRecord) (*hubApp, error) {
		i := record.key(c.id)
		if i < 0 {
			return nil, errNoAppKey
		}
		record.Keys = slices.Delete(record.Keys, i, i+1)
		return record.app(c.app)
	})
	if err != nil {
		return answer{}, err
	}
	a.log.Info("key of an app removed", "app", c.app, "id", c.id, "key_id", by.key.ID)
	return answer{status: http.StatusNoContent}, nil
}
