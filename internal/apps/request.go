package apps

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// minNonce is how long the nonce of a token request is at least.
const minNonce = 16

// RequestToken makes the token that is asked for, of the key called keyName. by
// is what the asker's own credential allows, or nil if it brought none: then the
// request must be signed.
func (a *Authority) RequestToken(ctx context.Context, keyName string, r *ably.TokenRequest, by *Grant) (*ably.TokenDetails, error) {
	if r.KeyName != "" && r.KeyName != keyName {
		return nil, ably.Errorf(ably.BadRequest, "the key of the request is not that of the path")
	}
	key, _, err := a.registry.key(keyName)
	if err != nil {
		return nil, ably.Err(ably.BadCredential)
	}
	if by != nil && by.Key != keyName {
		return nil, ably.Errorf(ably.BadCredential, "they are of another key")
	}
	now, signs := time.Now(), key.Secret
	if by != nil {
		signs = by.signed // With which the token ends.
	}
	switch {
	case r.MAC != "":
		var mac usher.Secret
		if mac, err = a.checkSigned(r, key, now); err == nil {
			err = a.spendNonce(ctx, keyName, r)
		}
		if !mac.Equal(key.Secret) {
			signs = mac
		}
	case by == nil:
		err = ably.Errorf(ably.BadCredential, "a token request without a mac needs the key")
	}
	if err != nil {
		return nil, err
	}
	signing := *key
	signing.Secret = signs
	return grantToken(keyName, &signing, r, by, now)
}

// checkSigned checks what a signature needs to count for once and no longer. It
// returns the secret of the key that has signed.
func (a *Authority) checkSigned(r *ably.TokenRequest, key *Key, now time.Time) (usher.Secret, error) {
	if strings.Contains(r.KeyName+r.ClientID+r.Nonce, "\n") {
		// What is signed are lines: one field could pass for several.
		return usher.Secret{}, ably.Errorf(ably.BadRequest, "a line break in a token request")
	}
	signed, good := key.find(now, func(s usher.Secret) bool { return r.SignedBy(s.Reveal()) })
	if !good {
		return usher.Secret{}, ably.Errorf(ably.BadCredential, "the mac does not match")
	}
	made := time.UnixMilli(r.Timestamp)
	switch {
	case made.Before(now.Add(-leeway)), made.After(now.Add(leeway)):
		return usher.Secret{}, ably.Err(ably.BadTokenTimestamp)
	case len(r.Nonce) < minNonce:
		return usher.Secret{}, ably.Errorf(ably.BadRequest, "the nonce has fewer than %d characters", minNonce)
	}
	if made.Before(a.nonceSince().Truncate(time.Millisecond)) {
		// Of what came before nothing is remembered: it may have been used.
		return usher.Secret{}, ably.Errorf(ably.BadTokenTimestamp, "it was made before the server began")
	}
	return signed, nil
}

// spendNonce has a nonce count for once, within the share of its app: one that asks
// for tokens without end must not leave no room for others, nor for tickets.
func (a *Authority) spendNonce(ctx context.Context, keyName string, r *ably.TokenRequest) error {
	name, _ := ably.ParseKeyName(keyName) // There is such a key.
	if !a.asked.take(name.App, time.Now(), keepAsked) {
		return ably.Errorf(ably.RateLimited, "as many token requests of the app were answered as may be in %v", keepAsked)
	}
	sum := sha256.Sum256([]byte("ably token request\x00" + keyName + "\x00" + r.Nonce))
	err := a.nonces.Spend(ctx, [16]byte(sum[:16]), time.UnixMilli(r.Timestamp).Add(2*leeway))
	if err == nil {
		return nil
	}
	a.asked.giveBack(name.App)
	if errors.Is(err, usher.ErrSpent) {
		return ably.Err(ably.NonceReplayed)
	}
	return fmt.Errorf("spend the nonce: %w: %w", err, ably.Err(ably.Unavailable))
}

// grantToken makes the token of a request that may be answered.
func grantToken(name string, key *Key, r *ably.TokenRequest, by *Grant, now time.Time) (*ably.TokenDetails, error) {
	ttl := time.Duration(r.TTL) * time.Millisecond
	switch {
	case r.TTL == 0:
		ttl = min(defaultTTL, key.longest())
	case r.TTL < 0, r.TTL > key.longest().Milliseconds():
		return nil, ably.Errorf(ably.BadParameter, "ttl is from 1 to %d", key.longest().Milliseconds())
	}
	if by != nil && !by.Expires.IsZero() { // It ends with the token that it is asked for with.
		if ttl = min(ttl, by.Expires.Sub(now)); ttl < time.Millisecond {
			return nil, ably.Err(ably.TokenExpired)
		}
	}
	clientID, bad := tokenClient(r, by)
	if bad != nil {
		return nil, bad
	}
	allowed, err := tokenPermissions(key, r, by)
	if err != nil {
		return nil, err
	}
	now = now.Truncate(time.Millisecond)
	issued, expires := made(r, by, now), now.Add(ttl)
	claims := map[string]any{"jti": rand.Text()}
	if !issued.IsZero() {
		expires = earlier(expires, issued.Add(key.longest()))
		claims["iat"] = seconds(issued)
	}
	claims["exp"] = seconds(expires)
	if r.Capability != "" || by != nil && !by.Basic {
		claims["x-ably-capability"] = allowed.Capability()
	}
	if clientID != "" {
		claims["x-ably-clientId"] = clientID
	}
	if by != nil {
		by.Claims.copyTo(claims)
		by.passOn(claims, ownGroups(clientID, allowed))
	}
	text, err := mint(name, key.Secret, claims)
	if err != nil {
		return nil, err
	}
	if len(text) > usher.MaxToken {
		return nil, ably.Errorf(ably.BadRequest, "client id and capability are too large for a token")
	}
	return &ably.TokenDetails{
		Token: text, KeyName: name, Issued: expires.Add(-ttl).UnixMilli(), Expires: expires.UnixMilli(),
		Capability: allowed.Capability(), ClientID: clientID,
	}, nil
}

// tokenClient returns whose the token is. Who asks with a token gets one for
// itself only.
func tokenClient(r *ably.TokenRequest, by *Grant) (string, *ably.ErrorInfo) {
	if by == nil || by.ClientID == Anyone {
		return r.ClientID, nil
	}
	if r.ClientID != "" && r.ClientID != by.ClientID {
		return "", ably.Errorf(ably.IncompatibleCredential, "the client id is not that of the token")
	}
	return by.ClientID, nil
}

// tokenPermissions returns what the token allows: what is asked for, as far as
// the key allows it, and the credential of who asks.
func tokenPermissions(key *Key, r *ably.TokenRequest, by *Grant) (usher.Permissions, error) {
	allowed := key.Permissions
	if by != nil {
		allowed = allowed.Intersect(by.Permissions)
	}
	if r.Capability != "" {
		asked, err := usher.NewPermissions("", r.Capability)
		if err != nil {
			return usher.Permissions{}, ably.Errorf(ably.BadRequest, "%v", err)
		}
		allowed = asked.Intersect(allowed)
	}
	if allowed.IsZero() {
		return usher.Permissions{}, ably.Errorf(ably.NotPermitted, "the key allows nothing of what is asked for")
	}
	return allowed, nil
}
