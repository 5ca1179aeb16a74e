package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// A key is an OAuth client by its id and the last part of its text.
func TestKeyAsClient(t *testing.T) {
	k := testKeys(t, newTestBucket())
	made, text := create(t, k, Key{
		May: []string{MayTokens, MayExchange}, Scope: "write chat chat", Capability: json.RawMessage(`{ "room:*" : ["publish", "subscribe"] }`),
		Audiences: []string{"chat", "https://api.example.com"},
	})
	if made.Scope != "chat write" || len(made.Capability) == 0 || strings.Contains(string(made.Capability), " ") {
		t.Errorf("got scope %q and capability %s, want them in their one form", made.Scope, made.Capability)
	}
	p, err := made.Permissions()
	if err != nil || !p.HasScope("chat") || !p.May("publish", "room:1") {
		t.Errorf("got %v and %v, want what was given", p, err)
	}
	other, _ := create(t, k, Key{})
	secret := text.Reveal()[keySecretAt:]
	for name, tt := range map[string]struct {
		id, secret string
		want       error
	}{
		"the last part":      {made.ID, secret, nil},
		"all of it":          {made.ID, text.Reveal(), nil},
		"another's id":       {other.ID, secret, ErrBadKey},
		"another's id, all":  {other.ID, text.Reveal(), ErrBadKey},
		"no id":              {"", secret, ErrBadKey},
		"no secret":          {made.ID, "", ErrBadKey},
		"a shorter secret":   {made.ID, secret[1:], ErrBadKey},
		"a wrong secret":     {made.ID, strings.Repeat("A", keySecret), ErrBadKey},
		"an id that is none": {"x_" + made.ID, secret, ErrBadKey},
	} {
		got, err := k.VerifyClient(tt.id, usher.NewSecret(tt.secret))
		if !errors.Is(err, tt.want) || err == nil && got.ID != made.ID {
			t.Errorf("%s: got key %s and %v, want %v", name, got.ID, err, tt.want)
		}
	}
	if got, err := k.Usable(made.ID); err != nil || got.ID != made.ID {
		t.Errorf("usable: got %s and %v", got.ID, err)
	}
	if _, err := k.Disable(t.Context(), made.ID, true); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{made.ID, "aaaaaaaaaaaa", ""} {
		if _, err := k.Usable(id); !errors.Is(err, ErrBadKey) {
			t.Errorf("usable %q: got %v, want ErrBadKey", id, err)
		}
	}
}

func TestClientKeyBad(t *testing.T) {
	tokens := []string{MayTokens}
	for name, key := range map[string]Key{
		"a scope of no use":       {May: []string{MayKeys}, Scope: "chat"},
		"a capability of no use":  {May: []string{MayIntrospect}, Capability: json.RawMessage(`{"*":["*"]}`)},
		"audiences of no use":     {May: []string{MayExplain}, Audiences: []string{"a"}},
		"a malformed scope":       {May: tokens, Scope: `a"b`},
		"a malformed capability":  {May: tokens, Capability: json.RawMessage(`{"*":`)},
		"a capability of a list":  {May: tokens, Capability: json.RawMessage(`["*"]`)},
		"a long scope":            {May: tokens, Scope: strings.Repeat("a", 2049)},
		"an empty audience":       {May: tokens, Audiences: []string{""}},
		"a long audience":         {May: tokens, Audiences: []string{strings.Repeat("a", 257)}},
		"an unprintable audience": {May: tokens, Audiences: []string{"a\n"}},
		"an audience twice":       {May: tokens, Audiences: []string{"a", "a"}},
		"nine audiences":          {May: tokens, Audiences: strings.Split("abcdefghi", "")},
	} {
		if err := key.Validate(); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	if err := (Key{May: []string{MayIntrospect}, Audiences: []string{"a"}}).Validate(); err != nil {
		t.Errorf("audiences to introspect: got %v, want nil", err)
	}
}

// A rotated key has a new secret at once, on all nodes, and the old one for as long
// as was said.
func TestKeyRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBucket()
		k, other := testKeys(t, b), testKeys(t, b)
		made, first := create(t, k, Key{May: []string{MayTokens}})
		good := func(text usher.Secret) bool {
			t.Helper()
			synctest.Wait()
			_, err := k.Verify(text)
			_, otherErr := other.Verify(text)
			if (err == nil) != (otherErr == nil) {
				t.Fatalf("got %v here and %v on the other node", err, otherErr)
			}
			return err == nil
		}
		rotated, second, err := other.Rotate(t.Context(), made.ID, time.Hour)
		if err != nil || rotated.OldUntil.IsZero() || rotated.ID != made.ID {
			t.Fatalf("got %+v and %v, want the key with the end of the old secret", rotated, err)
		}
		if first.Equal(second) || !good(first) || !good(second) {
			t.Error("want both secrets good for an hour")
		}
		if _, err := k.VerifyClient(made.ID, usher.NewSecret(first.Reveal()[keySecretAt:])); err != nil {
			t.Errorf("the old one as a client: got %v, want nil", err)
		}
		_, third, err := k.Rotate(t.Context(), made.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if good(first) || !good(second) || !good(third) {
			t.Error("once more: want the last two good, and the first no more")
		}
		time.Sleep(time.Hour)
		if good(second) || !good(third) {
			t.Error("after an hour: want the newest good alone")
		}
		rotated, fourth, err := k.Rotate(t.Context(), made.ID, 0)
		if err != nil || !rotated.OldUntil.IsZero() || good(third) || !good(fourth) {
			t.Errorf("at once: got %v until %v, want the newest good alone", err, rotated.OldUntil)
		}
		if _, err := k.Disable(t.Context(), made.ID, true); err != nil {
			t.Fatal(err)
		}
		if good(fourth) {
			t.Error("disabled: want it refused")
		}
		if _, _, err := k.Rotate(t.Context(), "aaaaaaaaaaaa", 0); !errors.Is(err, ErrNoKey) {
			t.Errorf("no such key: got %v, want ErrNoKey", err)
		}
		if _, _, err := k.Rotate(t.Context(), first.Reveal(), 0); !errors.Is(err, ErrNoKey) || strings.Contains(err.Error(), first.Reveal()) {
			t.Errorf("a text for an id: got %v, want ErrNoKey", err)
		}
	})
}

// A rotation that did not come through leaves the secret before good.
func TestKeyRotateUnavailable(t *testing.T) {
	w := &wireBucket{bucket: newTestBucket(), open: true}
	k := testKeys(t, w)
	made, text := create(t, k, Key{})
	w.before = func(call string) error {
		if call == "update" {
			return errWire
		}
		return nil
	}
	if _, got, err := k.Rotate(t.Context(), made.ID, time.Hour); !errors.Is(err, usher.ErrUnavailable) || !got.Empty() {
		t.Errorf("got %v, want ErrUnavailable and no text", err)
	}
	if _, err := k.Verify(text); err != nil {
		t.Errorf("the secret before: got %v, want it good", err)
	}
}
