package login

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// namelessPrefix begins the keys of notes about people who have sessions that the
// provider did not name ("sid"). A logout there that names another session is
// theirs too, since it may be the one that has no name here (OpenID Connect
// Back-Channel Logout §2.7).
const namelessPrefix = "nameless."

func namelessKey(subject string) string {
	sum := sha256.Sum256([]byte(subject))
	return namelessPrefix + text64.EncodeToString(sum[:])
}

// noteNameless notes that somebody has such a session, for as long as it may live.
func (l *Login) noteNameless(ctx context.Context, subject string) error {
	key, until := namelessKey(subject), time.Now().Add(l.options.Lifetime+time.Minute)
	made, err := l.options.Sessions.Create(ctx, key, []byte("1"), until)
	if err != nil {
		return fmt.Errorf("note session: %w", err)
	}
	for !made {
		value, revision, err := l.options.Sessions.Get(ctx, key)
		switch {
		case err != nil:
		case value == nil: // Its time was over just now.
			made, err = l.options.Sessions.Create(ctx, key, []byte("1"), until)
		default:
			made, err = l.options.Sessions.Update(ctx, key, value, revision, until)
		}
		if err != nil {
			return fmt.Errorf("note session: %w", err)
		}
	}
	return nil
}

// hasNameless reports whether somebody may have such a session, also where that
// cannot be found out: too many logouts are better than one that is missed.
func (l *Login) hasNameless(ctx context.Context, subject string) bool {
	value, _, err := l.options.Sessions.Get(ctx, namelessKey(subject))
	return value != nil || err != nil
}
