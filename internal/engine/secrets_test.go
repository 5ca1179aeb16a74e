package engine

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// A sealer is what a node does with the secrets.
type sealer struct {
	*Secrets
	tickets *usher.Tickets
	mu      sync.Mutex
	keys    []usher.Secret
}

// newSealer is a node on the bucket.
func newSealer(t *testing.T, b bucket) *sealer {
	t.Helper()
	n := &sealer{tickets: &usher.Tickets{TTL: 10 * time.Minute}}
	var err error
	if n.Secrets, err = newSecrets(t.Context(), b, testVault(t), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	err = n.UseTickets(func(keys ...usher.Secret) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.keys = keys
		return n.tickets.Rotate(keys...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// testVault returns a vault with the same key each time.
func testVault(t testing.TB) *vault {
	t.Helper()
	v, err := newVault(usher.NewSecret(strings.Repeat("k", MinKey)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (n *sealer) first() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.keys[0].Reveal()
}

func (n *sealer) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.keys)
}

// opens reports whether n takes a ticket that other makes now.
func (n *sealer) opens(t *testing.T, other *sealer) bool {
	t.Helper()
	ticket, _, err := other.tickets.Make(&usher.Identity{Subject: "alice"}, "", "/chat")
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.tickets.Verify(t.Context(), usher.Credential{Kind: usher.KindTicket, Secret: ticket, Route: "/chat"})
	return err == nil
}

func secretsIn(t *testing.T) bucket {
	t.Helper()
	b, err := newMemory(0).bucket(t.Context(), secretsBucket, watched)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSecretsRotate: over ten days and whoever rotates, nodes open each other's
// tickets at every moment, and old keys go.
func TestSecretsRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := newSealer(t, b)
		time.Sleep(17 * time.Second) // Their looks after the keys are at other times.
		two := newSealer(t, b)
		defer one.close()
		defer two.close()
		if !one.CSRF().Equal(two.CSRF()) || len(one.CSRF().Reveal()) != secretSize {
			t.Fatal("the keys of csrf tokens differ")
		}
		var seals []string
		for range 10 * 24 * 60 * 4 {
			if !one.opens(t, two) || !two.opens(t, one) {
				t.Fatalf("a ticket was not opened after %d rotations", len(seals))
			}
			if k := one.first(); !slices.Contains(seals, k) {
				seals = append(seals, k)
			} else if k != seals[len(seals)-1] {
				t.Fatal("an old key seals again")
			}
			if n := one.count(); n > 3 {
				t.Fatalf("got %d keys, want old ones to go", n)
			}
			time.Sleep(15 * time.Second)
		}
		if n := len(seals); n < 9 || n > 11 {
			t.Errorf("got %d keys in ten days, want one a day", n)
		}
		if n := one.count(); n > 2 {
			t.Errorf("got %d keys at the end, want old ones gone", n)
		}
	})
}

// A ticket of the last moment of a key is opened for as long as it lives.
func TestSecretsRetire(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	r := newSecretsRecord(now)
	first := r.keys(now)[0].Reveal()
	rotated := func(r secretsRecord, at time.Time) *secretsRecord {
		if next, due := r.rotated(at); due {
			return &next
		}
		return nil
	}
	has := func(r secretsRecord, at time.Time) bool {
		return slices.ContainsFunc(r.keys(at), func(k usher.Secret) bool { return k.Reveal() == first })
	}
	if rotated(r, now.Add(rotateEvery-time.Second)) != nil {
		t.Error("rotated before its time")
	}
	at := now.Add(rotateEvery)
	next := rotated(r, at)
	if next == nil || next.keys(at)[0].Reveal() != first || next.keys(at.Add(settleTime))[0].Reveal() == first {
		t.Fatal("the new key must be known before it seals")
	}
	at = at.Add(settleTime)
	if still := rotated(*next, at.Add(retireTime)); still != nil {
		t.Error("the old key went too soon")
	}
	gone := rotated(*next, at.Add(retireTime+time.Second))
	if gone == nil || has(*gone, at) || len(gone.Tickets) != 1 {
		t.Error("the old key did not go")
	}
	// A clock that was far ahead has left a key that would never be replaced.
	ahead := rotated(*next, now.Add(-48*time.Hour))
	if ahead == nil || len(ahead.Tickets) != 1 || ahead.Tickets[0].From.After(now) {
		t.Errorf("got %d keys after the clock was put right, want a new one", len(ahead.Tickets))
	}
}

// Racing first nodes agree.
func TestSecretsRace(t *testing.T) {
	b := secretsIn(t)
	nodes := make([]*sealer, 16)
	var starting sync.WaitGroup
	for i := range nodes {
		starting.Go(func() { nodes[i] = newSealer(t, b) })
	}
	starting.Wait()
	for _, n := range nodes {
		t.Cleanup(n.close)
		if n.first() != nodes[0].first() || !n.CSRF().Equal(nodes[0].CSRF()) {
			t.Error("two nodes have different secrets")
		}
	}
}

// Where the store has lost the secrets, the nodes that have them put them back.
func TestSecretsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := newSealer(t, b)
		defer one.close()
		if err := b.remove(t.Context(), secretsKey, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tendEvery + time.Second)
		two := newSealer(t, b)
		defer two.close()
		if !one.opens(t, two) || !one.CSRF().Equal(two.CSRF()) {
			t.Error("a node that came later has other secrets")
		}
	})
}

// A record that cannot be read stops a node from starting, and one that runs goes
// on; what is in it is told to nobody, and it stays as it is.
func TestSecretsMalformed(t *testing.T) {
	good, err := newSecretsRecord(time.Now()).encode()
	if err != nil {
		t.Fatal(err)
	}
	noKeys, _, _ := strings.Cut(string(good), "[")
	sealedAs := func(name, plain string) string {
		text, err := testVault(t).seal(name, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	whole := sealedAs(secretsKey, string(good))
	for name, text := range map[string]string{
		"nothing": "", "no json": "canary", "another version": strings.Replace(whole, `"v":2`, `"v":3`, 1),
		"trailing": whole + whole, "of another name": sealedAs(signingKey, string(good)),
		"changed":  strings.Replace(whole, `"box":"`, `"box":"AAAA`, 1),
		"no csrf":  sealedAs(secretsKey, strings.Replace(string(good), "csrf", "other", 1)),
		"no root":  sealedAs(secretsKey, strings.Replace(string(good), `"root"`, `"csrf"`, 1)),
		"no keys":  sealedAs(secretsKey, noKeys+"[]}"),
		"not json": sealedAs(secretsKey, "canary"), "twice": sealedAs(secretsKey, string(good)+string(good)),
		"short key": sealedAs(secretsKey, `{"csrf":"Y2FuYXJ5","root":"Y2FuYXJ5","tickets":[{"key":"Y2FuYXJ5","from":"2026-03-01T10:00:00Z"}]}`),
	} {
		b := secretsIn(t)
		if _, err := b.create(t.Context(), secretsKey, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
		_, err := newSecrets(t.Context(), b, testVault(t), slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "Y2FuYXJ5") {
			t.Errorf("%s: got %v, want an error that quotes nothing", name, err)
		}
		if e, err := b.get(t.Context(), secretsKey); err != nil || string(e.value) != text {
			t.Errorf("%s: the record was changed", name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := newSealer(t, b)
		defer one.close()
		e, err := b.get(context.Background(), secretsKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.update(t.Context(), secretsKey, []byte("canary"), e.revision, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * tendEvery)
		if !one.opens(t, one) {
			t.Error("the node lost its keys")
		}
	})
}
