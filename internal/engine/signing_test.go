package engine

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const day = 24 * time.Hour

var monthly = SigningOptions{Algorithm: "ES256", Every: 30 * day, Life: time.Hour}

func signingOn(t *testing.T, b bucket, o SigningOptions) *Signing {
	t.Helper()
	s, err := newSigning(t.Context(), b, testVault(t), slog.New(slog.DiscardHandler), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signingIDs(s *Signing) (ids []string) {
	for _, k := range s.Keys() {
		ids = append(ids, k.ID)
	}
	return ids
}

// A tokenBook has the tokens that are good, and checks that all nodes can judge
// them.
type tokenBook struct {
	nodes    []*Signing
	tokens   []signedToken
	seen     map[string]time.Time // When each key was published.
	signed   []string             // Keys, in the order of their turn.
	earliest time.Duration        // The least time between the two.
}

type signedToken struct {
	key     string
	expires time.Time
}

// turn signs a token on each node, and has all nodes judge all tokens.
func (b *tokenBook) turn(t *testing.T) {
	t.Helper()
	now := time.Now()
	for _, n := range b.nodes {
		for _, id := range signingIDs(n) {
			if _, ok := b.seen[id]; !ok {
				b.seen[id] = now
			}
		}
	}
	for _, n := range b.nodes {
		k := n.Keys()[0]
		if i := slices.Index(b.signed, k.ID); i >= 0 && i < len(b.signed)-2 {
			t.Fatal("an old key signs again")
		} else if i < 0 {
			if len(b.signed) > 0 {
				b.earliest = min(b.earliest, now.Sub(b.seen[k.ID]))
			}
			b.signed = append(b.signed, k.ID)
		}
		b.tokens = append(b.tokens, signedToken{k.ID, now.Add(n.current().Life)})
	}
	b.tokens = slices.DeleteFunc(b.tokens, func(s signedToken) bool { return !now.Before(s.expires) })
	for _, n := range b.nodes {
		ids := signingIDs(n)
		for _, one := range b.tokens {
			if !slices.Contains(ids, one.key) {
				t.Fatalf("after %d rotations a token that is good for %v more has no key", len(b.signed)-1, one.expires.Sub(now))
			}
		}
		if len(ids) > 3 {
			t.Fatalf("got %d keys, want old ones to go", len(ids))
		}
	}
}

// TestSigningRotates: over 200 days each node can judge every token of the other,
// for as long as that lives, and new keys are known long before they sign.
func TestSigningRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := signingOn(t, b, monthly)
		defer one.close()
		time.Sleep(17 * time.Second) // Their looks after the keys are at other times.
		two := signingOn(t, b, monthly)
		defer two.close()
		book := &tokenBook{nodes: []*Signing{one, two}, seen: make(map[string]time.Time), earliest: time.Hour}
		for range 200 * 24 * 12 {
			book.turn(t)
			time.Sleep(5 * time.Minute)
		}
		if n := len(book.signed); n < 6 || n > 8 {
			t.Errorf("got %d keys in 200 days, want one a month", n)
		}
		if book.earliest < SigningSettle-5*time.Minute {
			t.Errorf("a key was known for %v before it signed, want about %v", book.earliest, SigningSettle)
		}
		if n := len(one.Keys()); n != 1 {
			t.Errorf("got %d keys in the end, want old ones gone", n)
		}
	})
}

// By hand: a new key for at once or later, and no more than there may be.
func TestSigningByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := signingOn(t, b, monthly)
		defer one.close()
		two := signingOn(t, b, monthly)
		defer two.close()
		first := one.Keys()[0]
		next, err := two.Rotate(t.Context(), SigningSettle)
		if err != nil {
			t.Fatal(err)
		}
		again, err := one.Rotate(t.Context(), SigningSettle)
		if err != nil || again.ID != next.ID {
			t.Errorf("once more: got key %s and %v, want %s, which waits already", again.ID, err, next.ID)
		}
		synctest.Wait()
		if got := signingIDs(one); !slices.Equal(got, []string{first.ID, next.ID}) {
			t.Errorf("got %v, want the first to sign and the next known", got)
		}
		sooner, err := one.Rotate(t.Context(), time.Second)
		if err != nil || sooner.ID != next.ID {
			t.Errorf("sooner: got key %s and %v, want %s", sooner.ID, err, next.ID)
		}
		time.Sleep(2 * time.Second)
		for _, n := range []*Signing{one, two} {
			got := n.Keys()
			if len(got) != 2 || got[0].ID != next.ID || got[1].ID != first.ID || got[1].Until.IsZero() {
				t.Errorf("got %v, want the next to sign and the first published until %v", signingIDs(n), got[1].Until)
			}
		}
		time.Sleep(monthly.Life)
		if got := signingIDs(one); len(got) != 2 {
			t.Errorf("got %v, want the first while its tokens may be good", got)
		}
		time.Sleep(signingMargin)
		if got := signingIDs(two); !slices.Equal(got, []string{next.ID}) {
			t.Errorf("got %v, want the first gone", got)
		}
		for err = nil; err == nil && len(one.Keys()) < 100; {
			_, err = one.Rotate(t.Context(), 0)
			time.Sleep(time.Second)
		}
		if !errors.Is(err, ErrManySigningKeys) || len(one.Keys()) != maxSigningKeys {
			t.Errorf("got %v with %d keys, want an error at %d", err, len(one.Keys()), maxSigningKeys)
		}
	})
}

// A key that is removed is gone on all nodes, and there is always one that signs.
func TestSigningRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := signingOn(t, b, monthly)
		defer one.close()
		two := signingOn(t, b, monthly)
		defer two.close()
		remove := func(id string) []string {
			t.Helper()
			if err := two.Remove(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got, other := signingIDs(one), signingIDs(two); !slices.Equal(got, other) || slices.Contains(got, id) || len(got) == 0 {
				t.Fatalf("got %v and %v, want the same without %s", got, other, id)
			}
			return signingIDs(one)
		}
		first := one.Keys()[0].ID
		second := remove(first)[0] // The only one: another was made.
		next, err := one.Rotate(t.Context(), SigningSettle)
		if err != nil {
			t.Fatal(err)
		}
		if got := remove(second); !slices.Equal(got, []string{next.ID}) {
			t.Errorf("got %v, want the key that waited to sign", got)
		}
		if k := one.Keys()[0]; k.From.After(time.Now()) {
			t.Errorf("it signs from %v, which is later than now", k.From)
		}
		last, err := one.Rotate(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := remove(last.ID); slices.Equal(got, []string{next.ID}) || got[0] == next.ID {
			t.Errorf("got %v, want a new key to sign and not an old one", got)
		}
		if err := one.Remove(t.Context(), first); !errors.Is(err, ErrNoSigningKey) {
			t.Errorf("remove it again: got %v, want ErrNoSigningKey", err)
		}
	})
}

// Tokens that live longer keep the keys published for longer, from then on.
func TestSigningLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		one := signingOn(t, b, monthly)
		defer one.close()
		two := signingOn(t, b, monthly)
		defer two.close()
		long := monthly
		long.Life, long.Algorithm = 10*time.Hour, "EdDSA"
		if err := two.Use(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		first := one.Keys()[0].ID
		next, err := two.Rotate(t.Context(), 0)
		if err != nil || next.Algorithm != "EdDSA" {
			t.Fatalf("got a key of %s and %v, want EdDSA", next.Algorithm, err)
		}
		time.Sleep(long.Life)
		if got := signingIDs(one); !slices.Contains(got, first) {
			t.Errorf("got %v, want the first as long as a token of the other node may be good", got)
		}
		time.Sleep(signingMargin + time.Second)
		if got := signingIDs(one); slices.Contains(got, first) {
			t.Errorf("got %v, want the first gone", got)
		}
		if err := one.Use(t.Context(), SigningOptions{Algorithm: "none"}); err == nil {
			t.Error("another algorithm: got nil, want an error")
		}
	})
}

// Racing first nodes agree, and put back what the store has lost.
func TestSigningRaceAndLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := secretsIn(t)
		nodes := make([]*Signing, 8)
		var starting sync.WaitGroup
		for i := range nodes {
			starting.Go(func() { nodes[i] = signingOn(t, b, monthly) })
		}
		starting.Wait()
		for _, n := range nodes {
			t.Cleanup(n.close)
			if n.Keys()[0].ID != nodes[0].Keys()[0].ID {
				t.Error("two nodes sign with different keys")
			}
		}
		if err := b.remove(t.Context(), signingKey, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(tendEvery + time.Second)
		late := signingOn(t, b, monthly)
		defer late.close()
		if got := late.Keys()[0].ID; got != nodes[0].Keys()[0].ID {
			t.Errorf("a node that came later signs with %s, want the same", got)
		}
	})
}

func TestSigningMalformed(t *testing.T) {
	record := signingRecord{}.with(mustSigningKey(monthly, time.Now(), time.Now()))
	good, err := record.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeSigning(good); err != nil {
		t.Fatalf("got %v for a good one", err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no keys": `{"keys":[]}`, "no id": strings.Replace(string(good), record.Keys[0].ID, "", 1),
		"another algorithm": strings.Replace(string(good), "ES256", "EdDSA", 1),
		"an unknown one":    strings.Replace(string(good), "ES256", "none", 1),
		"no key in it":      strings.Replace(string(good), `"pkcs8":"`, `"pkcs8":"AAAA`, 1),
		"an unknown member": strings.Replace(string(good), `"keys"`, `"more":1,"keys"`, 1),
	} {
		if _, err := decodeSigning([]byte(text)); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	if _, err := newSigning(t.Context(), secretsIn(t), testVault(t), slog.New(slog.DiscardHandler), SigningOptions{Algorithm: "RS256"}); err == nil {
		t.Error("RS256: got nil, want an error")
	}
}
