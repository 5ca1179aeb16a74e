package usher_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

// changingKeys is a key set whose keys, and whether it answers, change.
type changingKeys struct {
	mu   sync.Mutex
	keys []usher.Key
	err  error
}

func (c *changingKeys) Keys(context.Context, string) ([]usher.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys, c.err
}

func (c *changingKeys) set(err error, keys ...usher.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys, c.err = keys, err
}

func publicKey(id string, key *ecdsa.PrivateKey) usher.Key {
	return usher.Key{ID: id, Public: &key.PublicKey}
}

// TestJWTCacheFollowsKeys has a token that was good once judged again after its
// key has changed: what is remembered must not outlive it.
func TestJWTCacheFollowsKeys(t *testing.T) {
	p256, p384 := jwtKeys().p256, jwtKeys().p384
	token := compact(`{"alg":"ES256","kid":"k1"}`, claims(nil), signECDSA(p256))
	secret := usher.NewSecret(jwtSecret)
	tests := []struct {
		name string
		then []usher.Key
		err  error
		want string // See meaning; empty for a yes.
	}{
		{"the same", []usher.Key{publicKey("k1", p256)}, nil, ""},
		{"beside a new one", []usher.Key{publicKey("k2", p384), publicKey("k1", p256)}, nil, ""},
		{"gone", nil, nil, "no"},
		{"another of its name", []usher.Key{publicKey("k1", p384)}, nil, "no"},
		{"a secret of its name", []usher.Key{{ID: "k1", Secret: secret}}, nil, "no"},
		{"for another algorithm", []usher.Key{{ID: "k1", Public: &p256.PublicKey, Algorithm: "ES384"}}, nil, "no"},
		{"out of reach", nil, errors.New("down"), "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := &changingKeys{keys: []usher.Key{publicKey("k1", p256)}}
			v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}
			admits(t, v, token)
			keys.set(tt.err, tt.then...)
			if tt.want == "" {
				admits(t, v, token)
				return
			}
			refuses(t, v, token, tt.want)
			keys.set(nil, publicKey("k1", p256))
			admits(t, v, token)
		})
	}
}

// TestJWTCacheFollowsTime has a token that was good once expire.
func TestJWTCacheFollowsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := hs256(t)
		token := compact(`{"alg":"HS256"}`, claims(map[string]any{"exp": time.Now().Add(time.Minute).Unix()}), signHS256(jwtSecret))
		admits(t, v, token)
		time.Sleep(59 * time.Second)
		admits(t, v, token)
		time.Sleep(time.Second)
		refuses(t, v, token, "expired")
	})
}

// TestJWTCacheIsNotShared has a caller write into the claims that it got.
func TestJWTCacheIsNotShared(t *testing.T) {
	v := hs256(t)
	rights := map[string]any{"roles": []any{"user", map[string]any{"name": "guest"}}}
	token := compact(`{"alg":"HS256"}`, claims(map[string]any{"rights": rights}), signHS256(jwtSecret))
	first, want := admits(t, v, token), admits(t, v, token)
	first.Subject = "mallory"
	first.Claims["admin"] = true
	roles := first.Claims["rights"].(map[string]any)["roles"].([]any)
	roles[1].(map[string]any)["name"] = "root"
	roles[0] = "admin"
	if diff := cmp.Diff(want, admits(t, v, token)); diff != "" {
		t.Errorf("another caller has changed the identity (-want +got):\n%s", diff)
	}
}

// TestJWTCacheOnlyOfGoodTokens has each part of a remembered token changed.
func TestJWTCacheOnlyOfGoodTokens(t *testing.T) {
	v := hs256(t)
	token := compact(`{"alg":"HS256"}`, claims(nil), signHS256(jwtSecret))
	admits(t, v, token)
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if _, err := v.Verify(t.Context(), bearer(string(changed))); err == nil {
			t.Errorf("byte %d changed: got a yes", i)
		}
	}
}

// TestJWTCacheTurnsOver has more tokens than are remembered, each twice, from
// many goroutines.
func TestJWTCacheTurnsOver(t *testing.T) {
	for _, most := range []int{-1, 1, 2, 7} {
		v := hs256(t)
		v.Cache = most
		var asking sync.WaitGroup
		for i := range 4 {
			asking.Go(func() {
				for n := range 50 {
					subject := fmt.Sprintf("user-%d", (n+i)%20)
					token := compact(`{"alg":"HS256"}`, claims(map[string]any{"sub": subject}), signHS256(jwtSecret))
					for range 2 {
						id, err := v.Verify(t.Context(), bearer(token))
						if err != nil || id.Subject != subject {
							t.Errorf("cache of %d: got %v %v, want %s", most, id, err, subject)
						}
					}
				}
			})
		}
		asking.Wait()
	}
}
