package engine

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// signingMargin is how far clocks may differ about when a key has signed its last
// token, and when that has expired.
const signingMargin = 2 * clocksApart

// A signingRecord is what the store has of the signing keys, the latest From first.
type signingRecord struct {
	Keys []storedSigningKey `json:"keys"`
}

// A storedSigningKey signs from a time on, until that of another.
type storedSigningKey struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"alg"`
	Private   []byte    `json:"pkcs8"`
	Created   time.Time `json:"created"`
	From      time.Time `json:"from"`
	// Life is the longest that a token may be good which it has signed.
	Life time.Duration `json:"life"`

	signer crypto.Signer // Private, as it is used.
}

// newSigningKey makes a private key.
func newSigningKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("signing keys: algorithm %.20q, want ES256 or EdDSA", algorithm)
}

// mustSigningKey makes a key by options that were checked.
func mustSigningKey(o SigningOptions, now, from time.Time) storedSigningKey {
	signer, err := newSigningKey(o.Algorithm)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		panic(err) // Both kinds of key have a form.
	}
	return storedSigningKey{
		ID: rand.Text()[:16], Algorithm: o.Algorithm, Private: der, Created: now.UTC(), From: from.UTC(), Life: o.Life, signer: signer,
	}
}

// with returns the record with one more key. Of two from one time it is the later.
func (r signingRecord) with(k storedSigningKey) signingRecord {
	return signingRecord{sortedKeys(append([]storedSigningKey{k}, r.Keys...))}
}

func sortedKeys(keys []storedSigningKey) []storedSigningKey {
	slices.SortStableFunc(keys, func(a, b storedSigningKey) int { return b.From.Compare(a.From) })
	return keys
}

// signing returns the index of the key that signs at now.
func (r signingRecord) signing(now time.Time) int {
	i := slices.IndexFunc(r.Keys, func(k storedSigningKey) bool { return !now.Before(k.From) })
	if i < 0 { // The clock was put back.
		return len(r.Keys) - 1
	}
	return i
}

// until returns when the last token of key i has expired; zero for the latest.
func (r signingRecord) until(i int) time.Time {
	if i == 0 {
		return time.Time{}
	}
	return r.Keys[i-1].From.Add(r.Keys[i].Life + signingMargin)
}

// view returns the keys that are published at now, that which signs first, and
// until when that is right.
func (r signingRecord) view(now time.Time) (keys []SigningKey, until time.Time) {
	sooner := func(t time.Time) {
		if t.After(now) && (until.IsZero() || t.Before(until)) {
			until = t
		}
	}
	first := r.signing(now)
	for i, k := range r.Keys {
		end := r.until(i)
		sooner(k.From)
		sooner(end)
		if i != first && !end.IsZero() && !now.Before(end) {
			continue
		}
		one := SigningKey{
			ID: k.ID, Algorithm: k.Algorithm, Private: k.signer, Created: k.Created, From: k.From, Until: end,
		}
		if i == first {
			keys = slices.Insert(keys, 0, one)
		} else {
			keys = append(keys, one)
		}
	}
	return keys, until
}

// tidied returns the record without the keys that have ended, and those of a clock
// that was wrong.
func (r signingRecord) tidied(now time.Time) signingRecord {
	next := signingRecord{slices.DeleteFunc(slices.Clone(r.Keys), func(k storedSigningKey) bool {
		return k.From.Sub(now) > farAhead+SigningSettle
	})}
	var left []storedSigningKey
	for i, k := range next.Keys {
		if end := next.until(i); end.IsZero() || now.Before(end) {
			left = append(left, k)
		}
	}
	return signingRecord{left}
}

// rotated returns the record as it should be at now, or false if it is that.
func (r signingRecord) rotated(o SigningOptions, now time.Time) (signingRecord, bool) {
	next := r.tidied(now)
	switch {
	case len(next.Keys) == 0:
		next = next.with(mustSigningKey(o, now, now))
	case now.Sub(next.Keys[0].From) >= o.Every && len(next.Keys) < maxSigningKeys:
		next = next.with(mustSigningKey(o, now, now.Add(SigningSettle)))
	case len(next.Keys) == len(r.Keys):
		return r.raised(o.Life, now)
	}
	next, _ = next.raised(o.Life, now)
	return next, true
}

// raised returns the record in which the keys that sign, or will, may sign tokens
// of this life.
func (r signingRecord) raised(life time.Duration, now time.Time) (signingRecord, bool) {
	keys, changed := slices.Clone(r.Keys), false
	for i := range r.Keys {
		// One that another node takes for the signing one still.
		if i > 0 && now.Sub(r.Keys[i-1].From) > signingMargin {
			break
		}
		if keys[i].Life < life {
			keys[i].Life, changed = life, true
		}
	}
	return signingRecord{keys}, changed
}

// next returns the record with a key that signs after some time.
func (r signingRecord) next(o SigningOptions, now time.Time, after time.Duration) (signingRecord, bool, error) {
	from := now.Add(after).UTC()
	r = r.tidied(now)
	if len(r.Keys) > 1 && r.Keys[0].From.After(now) {
		waiting := r.Keys[0]
		if !waiting.From.After(from) {
			return r, false, nil
		}
		keys := slices.Clone(r.Keys)
		keys[0].From = from
		return signingRecord{sortedKeys(keys)}, true, nil
	}
	if len(r.Keys) >= maxSigningKeys {
		return r, false, ErrManySigningKeys
	}
	return r.with(mustSigningKey(o, now, from)), true, nil
}

// without returns the record without a key, and one that signs.
func (r signingRecord) without(id string, o SigningOptions, now time.Time) (signingRecord, bool) {
	keys := slices.DeleteFunc(slices.Clone(r.Keys), func(k storedSigningKey) bool { return k.ID == id })
	if len(keys) == len(r.Keys) {
		return r, false
	}
	next := signingRecord{keys}
	switch signs := r.Keys[r.signing(now)].ID == id; {
	case signs && len(keys) > 0 && keys[0].From.After(now):
		i := slices.IndexFunc(keys, func(k storedSigningKey) bool { return !k.From.After(now) })
		if i < 0 {
			i = len(keys)
		}
		keys[i-1].From = now.UTC() // Of those that wait, the one whose turn is next.
	case signs:
		// A key that signs no more does not begin again: it may have ended for others.
		next = next.with(mustSigningKey(o, now, now))
	}
	return next, true
}

func (r signingRecord) encode() ([]byte, error) { return json.Marshal(r) }

// decodeSigning reads a record, with the keys as they are used.
func decodeSigning(text []byte) (signingRecord, error) {
	var r signingRecord
	if err := strictJSON(text, &r); err != nil {
		return r, err
	}
	if len(r.Keys) == 0 || len(r.Keys) > maxSigningKeys {
		return r, errors.New("no key, or too many")
	}
	for i := range r.Keys {
		k := &r.Keys[i]
		parsed, err := x509.ParsePKCS8PrivateKey(k.Private)
		if err != nil {
			return r, errors.New("a key that cannot be read")
		}
		switch key := parsed.(type) {
		case *ecdsa.PrivateKey:
			if k.Algorithm == "ES256" && key.Curve == elliptic.P256() {
				k.signer = key
			}
		case ed25519.PrivateKey:
			if k.Algorithm == "EdDSA" {
				k.signer = key
			}
		}
		if k.signer == nil || k.ID == "" || k.Life < 0 || k.From.IsZero() {
			return r, errors.New("a key that is not for its algorithm, or not whole")
		}
	}
	sortedKeys(r.Keys)
	return r, nil
}
