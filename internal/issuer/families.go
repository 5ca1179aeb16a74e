package issuer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/usher-ws/usher"
)

// maxTries is how often a change is tried that others were faster with.
const maxTries = 8

// errBusy: others change the same record all the time.
var errBusy = fmt.Errorf("%w: the record is changed all the time", usher.ErrUnavailable)

// create keeps a new family.
func (i *Issuer) create(ctx context.Context, id familyID, f *family) error {
	value, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode family: %w", err)
	}
	made, err := i.o.Grants.Create(ctx, id.key(), value, f.until(i.o.RefreshIdle))
	if err == nil && !made {
		err = errors.New("there is one with this random id")
	}
	if err != nil {
		return fmt.Errorf("keep family: %w", err)
	}
	return nil
}

// family returns a family, nil where there is none, with its revision.
func (i *Issuer) family(ctx context.Context, id familyID) (*family, uint64, error) {
	value, revision, err := i.o.Grants.Get(ctx, id.key())
	if err != nil {
		return nil, 0, fmt.Errorf("read family: %w", err)
	}
	if value == nil {
		return nil, 0, nil
	}
	f := new(family)
	if err := json.Unmarshal(value, f); err != nil || len(f.Nonce) != nonceSize || f.Subject == "" {
		return nil, 0, errors.New("read family: malformed record")
	}
	return f, revision, nil
}

// update replaces a family, and reports whether it has: false where somebody else
// was faster. Where the answer is lost, it asks what is there now.
func (i *Issuer) update(ctx context.Context, id familyID, f *family, revision uint64) (bool, error) {
	value, err := json.Marshal(f)
	if err != nil {
		return false, fmt.Errorf("encode family: %w", err)
	}
	done, err := i.o.Grants.Update(ctx, id.key(), value, revision, f.until(i.o.RefreshIdle))
	if err == nil {
		return done, nil
	}
	now, _, again := i.o.Grants.Get(ctx, id.key())
	if again != nil || !bytes.Equal(now, value) {
		return false, fmt.Errorf("change family: %w", err) // It is not known, or others have been there.
	}
	return true, nil
}

// end takes a family back, whichever of its tokens p is, and ends the connections
// of its session. Whatever it cannot do is an error, and whoever comes with one
// of the family's tokens again has it done then.
func (i *Issuer) end(ctx context.Context, p *parsed, why string) error {
	for range maxTries {
		f, revision, err := i.family(ctx, p.id)
		if err != nil || f == nil {
			return err
		}
		if f.Told {
			return nil
		}
		if f.Ended.IsZero() {
			f.Ended = time.Now().Round(0)
			if done, err := i.update(ctx, p.id, f, revision); err != nil {
				return err
			} else if !done {
				continue
			}
			// No token is made from now on: what was made before is what Revoke
			// takes for issued before.
			if _, revision, err = i.family(ctx, p.id); err != nil {
				return err
			}
		}
		closed, err := i.o.Live.Revoke(ctx, usher.Revocation{Session: f.Session, Issuer: i.o.Name, Reason: why})
		i.o.Log.Debug("refresh tokens ended", "session", f.Session, "subject", f.Subject, "client_id", f.Client,
			"reason", why, "connections", closed, "error", err)
		if err != nil {
			return fmt.Errorf("end connections: %w", err)
		}
		f.Told = true
		_, err = i.update(ctx, p.id, f, revision)
		return err
	}
	return errBusy
}

// Remember has families of refresh tokens end with a revocation: those that began
// before it, for as long as one may live, which is longer than [usher.Sessions]
// remember anything. Call it before Sessions.Revoke, with an IssuedBefore only if
// one was asked for: then no token is made between the two that neither knows of.
// A revocation of one token, of a group, and of another issuer's, is none of a
// family.
// With ErrUnavailable it is not known whether it is remembered: try again.
func (i *Issuer) Remember(ctx context.Context, r usher.Revocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if r.Token != "" || r.Group != "" || r.Issuer != "" && r.Issuer != i.o.Name {
		return nil
	}
	at := r.IssuedBefore
	if at.IsZero() {
		at = time.Now()
	}
	key := revokedKey("issuer", r.Issuer)
	switch {
	case r.Subject != "":
		key = revokedKey("subject", r.Subject)
	case r.Session != "":
		key = revokedKey("session", r.Session)
	}
	if err := i.remember(ctx, key, at.Round(0)); err != nil {
		return fmt.Errorf("remember revocation: %w", err)
	}
	return nil
}

// A revoked is what is kept of a revocation.
type revoked struct {
	Before time.Time `json:"before"`
}

// revokedKey is the key of what is revoked: of its digest, since its text could
// be any.
func revokedKey(by, what string) string {
	sum := sha256.Sum256([]byte(what))
	return "revoked." + by + "." + base64.RawURLEncoding.EncodeToString(sum[:])
}

func (i *Issuer) remember(ctx context.Context, key string, before time.Time) error {
	value, err := json.Marshal(revoked{before})
	if err != nil {
		return err
	}
	now := time.Now().Round(0)
	if before.After(now) {
		now = before
	}
	until := now.Add(i.o.RefreshLifetime)
	for range maxTries {
		if made, err := i.o.Grants.Create(ctx, key, value, until); made || err != nil {
			return err
		}
		last, revision, err := i.revokedBefore(ctx, key)
		if err != nil {
			return err
		}
		if !last.Before(before) {
			return nil // Which is kept for as long as what it is about can live.
		}
		if done, err := i.o.Grants.Update(ctx, key, value, revision, until); done || err != nil {
			return err
		}
	}
	return errBusy
}

// revokedBefore returns the time before which something is revoked; zero if it
// is not.
func (i *Issuer) revokedBefore(ctx context.Context, key string) (time.Time, uint64, error) {
	value, revision, err := i.o.Grants.Get(ctx, key)
	if err != nil || value == nil {
		return time.Time{}, 0, err
	}
	var r revoked
	if err := json.Unmarshal(value, &r); err != nil || r.Before.IsZero() {
		return time.Time{}, 0, errors.New("malformed record of a revocation")
	}
	return r.Before, revision, nil
}

// isRevoked reports whether a family began before a revocation that is about it.
func (i *Issuer) isRevoked(ctx context.Context, f *family) (bool, error) {
	keys := []string{revokedKey("session", f.Session), revokedKey("subject", f.Subject), revokedKey("issuer", i.o.Name)}
	for _, key := range keys {
		before, _, err := i.revokedBefore(ctx, key)
		if err != nil {
			return false, fmt.Errorf("look for revocations: %w", err)
		}
		if f.Created.Before(before) {
			return true, nil
		}
	}
	return false, nil
}
