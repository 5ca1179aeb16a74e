package apps

import (
	"time"

	"github.com/usher-ws/usher"
)

// secrets are those of the key that are good at now. What one has signed, or opened,
// ends with it, and so does what was asked for with that.
func (k *Key) secrets(now time.Time) []usher.Secret {
	if now.Before(k.OldUntil) {
		return []usher.Secret{k.Secret, k.Old}
	}
	return []usher.Secret{k.Secret}
}

// find returns the one of its secrets, good at now, that f says it is.
func (k *Key) find(now time.Time, f func(usher.Secret) bool) (usher.Secret, bool) {
	for _, s := range k.secrets(now) {
		if f(s) {
			return s, true
		}
	}
	return usher.Secret{}, false
}

// await has it told when the next secret ends that one of an app's keys had before.
// Callers hold mu.
func (r *Registry) await(a *App) {
	r.forgetEnd(a.ID)
	now := time.Now()
	var next time.Time
	for _, k := range a.Keys {
		if now.Before(k.OldUntil) && (next.IsZero() || k.OldUntil.Before(next)) {
			next = k.OldUntil
		}
	}
	if next.IsZero() {
		return
	}
	r.ends[a.ID] = time.AfterFunc(next.Sub(now)+time.Millisecond, func() {
		r.mu.Lock()
		same := r.apps[a.ID] == a
		if same {
			r.await(a)
		}
		r.mu.Unlock()
		if same {
			r.changed()
		}
	})
}

// forgetEnd ends what await began. Callers hold mu.
func (r *Registry) forgetEnd(app string) {
	if t := r.ends[app]; t != nil {
		t.Stop()
		delete(r.ends, app)
	}
}
