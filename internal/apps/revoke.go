package apps

import (
	"cmp"
	"context"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// reauthMargin is how long clients have to get another token, where they are
// given the time: a little more than half a minute.
const reauthMargin = 30*time.Second + 500*time.Millisecond

// Revoke takes back tokens of the key called keyName. by is what the credential
// of who asks allows, which must be that key itself.
func (a *Authority) Revoke(ctx context.Context, keyName string, r *ably.RevokeRequest, by *Grant) (*ably.BatchResult, error) {
	key, name, err := a.registry.key(keyName)
	now := time.Now()
	before := time.UnixMilli(r.IssuedBefore)
	switch {
	case !by.Basic:
		return nil, ably.Err(ably.RevocationNeedsKey)
	case err != nil, by.Key != keyName:
		return nil, ably.Err(ably.WrongKey)
	case !key.Revocable:
		return nil, ably.Err(ably.RevocationDisabled)
	case len(r.Targets) == 0 || len(r.Targets) > ably.MaxTargets:
		return nil, ably.Errorf(ably.BadRequest, "from 1 to %d targets", ably.MaxTargets)
	case r.IssuedBefore == 0:
		before = now.Truncate(time.Millisecond)
	case before.After(now), before.Before(now.Add(-maxRevocableTTL)):
		return nil, ably.Errorf(ably.BadParameter, "issuedBefore is within the last hour")
	}
	var applies time.Time
	if r.Margin {
		applies = now.Add(reauthMargin)
	}
	result := new(ably.BatchResult)
	for _, target := range r.Targets {
		part := &ably.BatchPart{Target: target, IssuedBefore: before.UnixMilli()}
		part.Error = a.revoke(ctx, name.App, target, usher.Revocation{Issuer: Issuer(keyName), IssuedBefore: before, Applies: applies})
		part.AppliesAt = max(applies.UnixMilli(), now.UnixMilli())
		result.Results = append(result.Results, part)
	}
	return result, nil
}

// revoke takes back the tokens of one target of an app, all else being said in r.
func (a *Authority) revoke(ctx context.Context, app, target string, r usher.Revocation) *ably.ErrorInfo {
	kind, name, bad := ably.ParseTarget(target)
	switch {
	case bad != nil:
		return bad
	case kind == "clientId" && name == Anyone:
		r.Group = anyoneGroup
	case kind == "clientId":
		r.Subject = name
	case kind == "revocationKey":
		r.Session = revocationSession(name)
	default:
		r.Group = channelGroup(name)
	}
	if err := r.Validate(); err != nil {
		return ably.Errorf(ably.BadRequest, "%v", err)
	}
	if !a.revoked.take(app, time.Now(), cmp.Or(max(a.sessions.Keep, 0), keepRevoked)) {
		return ably.Errorf(ably.RateLimited, "the app has taken back as many as it may at a time")
	}
	if _, err := a.sessions.Revoke(ctx, r); err != nil {
		return ably.Errorf(ably.Unavailable, "other nodes may not know of it: try again")
	}
	return nil
}
