package server

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/usher-ws/usher/internal/engine"
)

// A signingKey is a signing key, as the API shows it.
type signingKey struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"` // "signing", "next" or "old".
	Created   time.Time `json:"created"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until,omitzero"`
}

// signingKeysOf are the keys in the order of their turns, the latest first.
func signingKeysOf(keys []engine.SigningKey) []signingKey {
	list := make([]signingKey, len(keys))
	for i, k := range keys {
		list[i] = signingKey{k.ID, k.Algorithm, "old", k.Created, k.From, k.Until}
		switch {
		case i == 0:
			list[i].State = "signing"
		case k.From.After(time.Now()):
			list[i].State = "next"
		}
	}
	slices.SortStableFunc(list, func(a, b signingKey) int { return b.From.Compare(a.From) })
	return list
}

// signingOf returns the signing keys, or the caller's error where there are none.
func (a *api) signingOf() (*engine.Signing, error) {
	if signing := a.tokens.signing.Load(); signing != nil {
		return signing, nil
	}
	return nil, denyf(http.StatusNotFound, "there are no signing keys: the configuration has no issuer")
}

// listSigning lists the signing keys that are published.
func (a *api) listSigning(_ http.ResponseWriter, r *http.Request, _ call, _ caller) (answer, error) {
	if r.URL.RawQuery != "" {
		return answer{}, badCall("this call has no parameters")
	}
	signing, err := a.signingOf()
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, struct {
		Keys []signingKey `json:"signing_keys"`
	}{signingKeysOf(signing.Keys())}}, nil
}

// maxSigningWait bounds how long a new key may wait for its turn, in seconds.
const maxSigningWait = 3600

// rotateSigning makes a new signing key.
func (a *api) rotateSigning(w http.ResponseWriter, r *http.Request, _ call, by caller) (answer, error) {
	m, err := readMembers(w, r, "after")
	if err != nil {
		return answer{}, err
	}
	after, err := m.seconds("after", engine.SigningSettle, maxSigningWait)
	if err != nil {
		return answer{}, err
	}
	signing, err := a.signingOf()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	k, err := signing.Rotate(ctx, after)
	if errors.Is(err, engine.ErrManySigningKeys) {
		return answer{}, denyf(http.StatusConflict, "%v", engine.ErrManySigningKeys)
	}
	if err != nil {
		return answer{}, err
	}
	a.log.Info("signing key made", "id", k.ID, "algorithm", k.Algorithm, "from", k.From, "key_id", by.key.ID)
	return answer{http.StatusOK, signingKey{k.ID, k.Algorithm, "next", k.Created, k.From, k.Until}}, nil
}

// removeSigning ends a signing key, and all tokens that it has signed.
func (a *api) removeSigning(_ http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	if err := noBody(r); err != nil {
		return answer{}, err
	}
	signing, err := a.signingOf()
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := changeContext(r)
	defer cancel()
	err = signing.Remove(ctx, c.id)
	if errors.Is(err, engine.ErrNoSigningKey) {
		return answer{}, denyf(http.StatusNotFound, "there is no signing key with this id")
	}
	if err != nil {
		return answer{}, err
	}
	a.log.Warn("signing key removed: what it has signed is refused", "id", c.id, "key_id", by.key.ID)
	return answer{status: http.StatusNoContent}, nil
}
