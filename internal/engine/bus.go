package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// noticeSubject is what nodes tell each other of a renewal by. Of a revocation
	// they hear so too, sooner than by the bucket where that has just lost its
	// watcher.
	noticeSubject = "notice"
	// maxRevocations bounds how many revocations are kept at once.
	maxRevocations = 100_000
	// maxTokenRevocations bounds those that name a token: whoever has a token can
	// revoke it, and must not take the room that operators need.
	maxTokenRevocations = maxRevocations / 2
	// tokenKey begins the keys of revocations that name a token.
	tokenKey = "token-"
	// renewWait is how long the answers of other nodes are waited for.
	renewWait = 300 * time.Millisecond
	// revokeWait bounds how long a revocation is tried to be kept.
	revokeWait  = 3 * time.Second
	revokePause = 50 * time.Millisecond
)

// renewed is a node's answer to a renewal.
type renewed struct {
	Connections int `json:"connections"`
}

// Publish implements [usher.Bus]. A renewal waits for the other nodes' answers
// at most 300 ms; a revocation takes at most 3 s to be kept or to fail. A notice
// has at most 64 KiB as JSON.
func (e *Engine) Publish(ctx context.Context, n usher.Notice) (connections int, err error) {
	text, err := encodeNotice(n)
	if err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	if n.Revocation != nil {
		if err := e.keep(ctx, revocationKey(n.Revocation), text, n.Until); err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(ctx, renewWait)
		defer cancel()
		// Who does not hear of it here does by the bucket.
		if err := e.store.ask(ctx, noticeSubject, text, func([]byte) {}); err != nil {
			e.log.Debug("revocation not told at once", slog.Any("error", err))
		}
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	err = e.store.ask(ctx, noticeSubject, text, func(answer []byte) {
		var r renewed
		if err := json.Unmarshal(answer, &r); err != nil || r.Connections < 0 {
			e.log.Warn("answer to a renewal cannot be read")
			return
		}
		connections += r.Connections
	})
	if err != nil {
		return connections, fmt.Errorf("publish renewal: %w", err)
	}
	return connections, nil
}

// revocationKey is what a revocation is kept by. Of a token it follows from what
// is revoked, so that the same again takes no more room; else it is drawn at
// random.
func revocationKey(r *usher.Revocation) string {
	if r.Token == "" {
		return rand.Text()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %s %s", r.Issuer, r.Token,
		r.IssuedBefore.UTC().Format(time.RFC3339Nano), r.Applies.UTC().Format(time.RFC3339Nano)))
	return tokenKey + hex.EncodeToString(sum[:])
}

// roomFor reports that there is no room for one more by key.
func (e *Engine) roomFor(key string) error {
	if n := e.known.Load(); n >= maxRevocations {
		return fmt.Errorf("%w: %d are kept, which is the bound", errFull, n)
	}
	if n := e.knownTokens.Load(); n >= maxTokenRevocations && strings.HasPrefix(key, tokenKey) {
		return fmt.Errorf("%w: %d of tokens are kept, which is the bound", errFull, n)
	}
	return nil
}

// keep writes a revocation into the bucket that all nodes watch. A write whose
// answer was lost can be repeated: what exists by that key is it.
func (e *Engine) keep(ctx context.Context, key string, text []byte, until time.Time) error {
	if err := e.roomFor(key); err != nil {
		return fmt.Errorf("keep revocation: %w", err)
	}
	// A store that takes no more of one thing may have room for this.
	if _, err := e.store.down(); err != nil && !errors.Is(err, errFull) {
		return fmt.Errorf("keep revocation: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, revokeWait)
	defer cancel()
	for {
		left := until.Round(0).Sub(time.Now().Round(0))
		if left <= 0 {
			return errors.New("keep revocation: the time to keep it until has passed")
		}
		attempt, cancel := context.WithTimeout(ctx, revokeWait/3)
		_, err := e.revocations.create(attempt, key, text, left)
		cancel()
		switch {
		case err == nil, errors.Is(err, errExists):
			return nil
		case errors.Is(err, errFull), errors.Is(err, errCutOff), errors.Is(err, errTooLong):
			return fmt.Errorf("keep revocation: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("keep revocation: %w", err)
		case <-time.After(revokePause):
		}
	}
}

// Subscribe implements [usher.Bus]. It returns when all revocations that are
// kept were delivered, or when ctx ends, which after that means nothing to it.
// Of one engine there should be one subscription: another counts the same
// connections again. deliver must not call stop.
func (e *Engine) Subscribe(ctx context.Context, deliver func(usher.Notice) int) (stop func(), err error) {
	unserve, err := e.store.serve(noticeSubject, func(text []byte) []byte {
		n, err := decodeNotice(text)
		if err != nil {
			e.log.Warn("notice of another node cannot be read", slog.Any("error", err))
			return nil
		}
		answer, err := json.Marshal(renewed{Connections: deliver(n)})
		if err != nil {
			return nil
		}
		return answer
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	mending, stopMending := context.WithCancel(context.WithoutCancel(ctx))
	m := newMender(e.writeBack, e.log)
	unwatch, err := e.revocations.watch(ctx, func(r entry) {
		if r.removed { // Whoever heard of it knows until when it counts.
			m.removed(mending, r.key)
			e.count(m)
			return
		}
		n, err := decodeNotice(r.value)
		if err != nil || n.Revocation == nil {
			e.log.Warn("revocation cannot be read", slog.String("key", r.key), slog.Any("error", err))
			return
		}
		m.has(r.key, keptRevocation{r.value, n.Until})
		e.count(m)
		deliver(n)
	})
	if err != nil {
		unserve()
		stopMending()
		m.wait()
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return func() {
		unwatch()
		unserve()
		stopMending()
		m.wait()
	}, nil
}

// count notes how many revocations there are.
func (e *Engine) count(m *mender) {
	all, tokens := m.count()
	e.known.Store(all)
	e.knownTokens.Store(tokens)
}

// writeBack writes a revocation that the store has lost. Other nodes may as well:
// all have it under its key.
func (e *Engine) writeBack(ctx context.Context, key string, r keptRevocation) error {
	ctx, cancel := context.WithTimeout(ctx, revokeWait/3)
	defer cancel()
	left := r.until.Round(0).Sub(time.Now().Round(0))
	if left <= 0 {
		return nil
	}
	_, err := e.revocations.create(ctx, key, r.text, left)
	if errors.Is(err, errExists) {
		return nil
	}
	return err
}
