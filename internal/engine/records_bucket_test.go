package engine

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A slowBucket is one with a write of somebody else's under way, which the bucket
// refuses others for and which nobody can read before it is done.
type slowBucket struct {
	bucket
	until time.Time
	after func()
}

func (b *slowBucket) settle() bool {
	if b.after == nil {
		return true
	}
	if time.Now().Before(b.until) {
		return false
	}
	b.after()
	b.after = nil
	return true
}

func (b *slowBucket) create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	if !b.settle() {
		return 0, errExists
	}
	return b.bucket.create(ctx, key, value, ttl)
}

func (b *slowBucket) update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if !b.settle() {
		return 0, errConflict
	}
	return b.bucket.update(ctx, key, value, revision, ttl)
}

// False is said only when it is known that another write was faster: one that is
// under way may come to nothing.
func TestRecordsSettle(t *testing.T) {
	for name, comes := range map[string]bool{"it comes": true, "it comes to nothing": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				until := time.Now().Add(time.Hour)
				inner := newTestBucket()
				defer inner.close()
				secrets, err := newSecrets(t.Context(), secretsIn(t), testVault(t), slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				defer secrets.close()
				b := &slowBucket{bucket: inner}
				r := &Records{bucket: b, down: func() (time.Time, error) { return time.Time{}, nil }, secrets: secrets, log: slog.New(slog.DiscardHandler)}
				other := *r
				other.bucket = inner
				b.until, b.after = time.Now().Add(time.Second), func() {
					if comes {
						other.Create(t.Context(), "k", []byte("theirs"), until)
					}
				}
				if ok, err := r.Create(t.Context(), "k", []byte("ours"), until); err != nil || ok == comes {
					t.Errorf("create: got %t and %v, want %t", ok, err, !comes)
				}
				_, revision, err := r.Get(t.Context(), "k")
				if err != nil || revision == 0 {
					t.Fatalf("get: got revision %d and %v", revision, err)
				}
				b.until, b.after = time.Now().Add(time.Second), func() {
					if comes {
						other.Update(t.Context(), "k", []byte("theirs"), revision, until)
					}
				}
				if ok, err := r.Update(t.Context(), "k", []byte("ours"), revision, until); err != nil || ok == comes {
					t.Errorf("update: got %t and %v, want %t", ok, err, !comes)
				}
				b.until, b.after = time.Now().Add(time.Hour), func() {}
				begun := time.Now()
				if _, err := r.Update(t.Context(), "k", nil, revision+1, until); err == nil || time.Since(begun) > recordTime+recordPause {
					t.Errorf("never: got %v after %v, want an error after %v at most", err, time.Since(begun), recordTime)
				}
			})
		})
	}
}
