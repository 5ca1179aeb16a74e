package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

var keyForm = regexp.MustCompile(`^usher_([a-z2-7]{12})_[A-Z2-7]{26}$`)

func TestKeyCreate(t *testing.T) {
	synctest.Test(t, keyCreate)
}

func keyCreate(t *testing.T) {
	b := newTestBucket()
	k := testKeys(t, b)
	before := time.Now().Truncate(time.Microsecond)
	expires := time.Now().Add(time.Hour)
	made, text := create(t, k, Key{
		ID: "mine", Name: "deploy é <b>", May: []string{"revocations", "connections", "revocations"},
		Created: time.Unix(0, 0), Expires: expires,
	})
	want := Key{
		ID: made.ID, Name: "deploy é <b>", May: []string{"connections", "revocations"},
		Created: made.Created, Expires: expires.UTC().Truncate(time.Microsecond),
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("made key (-want +got):\n%s", diff)
	}
	if made.Created.Before(before) || made.Created.After(time.Now()) {
		t.Errorf("Created: got %v, want now", made.Created)
	}
	match := keyForm.FindStringSubmatch(text.Reveal())
	if len(match) != 2 || match[1] != made.ID {
		t.Errorf("text: got the wrong form, want usher_%s_ and 26 characters", made.ID)
	}
	// This node, one that was there, and one that starts later know the same.
	for name, node := range map[string]*Keys{"this": k, "later": testKeys(t, b)} {
		if got, err := node.Verify(text); err != nil || !cmp.Equal(got, made) {
			t.Errorf("Verify on %s node: got %v, %v, want %v", name, got, err, made)
		}
		if got, ok := node.Find(made.ID); !ok || !cmp.Equal(got, made) {
			t.Errorf("Find on %s node: got %v, %t, want %v", name, got, ok, made)
		}
		if got := node.List(); !cmp.Equal(got, []Key{made}) {
			t.Errorf("List on %s node: got %v, want %v", name, got, made)
		}
	}
}

func TestKeyCreateRefuses(t *testing.T) {
	tests := []struct {
		name string
		key  Key
		want string
	}{
		{"an unknown permission", Key{May: []string{"keys", "everything"}}, `unknown permission "everything"`},
		{"a permission in capitals", Key{May: []string{"Keys"}}, `unknown permission "Keys"`},
		{"an empty permission", Key{May: []string{""}}, `unknown permission ""`},
		{"a name of 65 characters", Key{Name: strings.Repeat("é", 65)}, "more than 64 characters"},
		{"a name with a line break", Key{Name: "a\nb"}, "cannot be printed"},
		{"a name that runs backwards", Key{Name: "a\u202eb"}, "cannot be printed"},
		{"a name that is not UTF-8", Key{Name: "a\xff"}, "cannot be printed"},
		{"an expiry that has passed", Key{Expires: time.Now().Add(-time.Nanosecond)}, "has passed"},
		{"an expiry that cannot be written", Key{Expires: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "year 9999"},
		{"an expiry that overflows", Key{Expires: time.Unix(1<<62, 0)}, "expiry"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := testKeys(t, newTestBucket())
			made, text, err := k.Create(t.Context(), tt.key)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
			if made.ID != "" || !text.Empty() || len(k.List()) != 0 {
				t.Errorf("got a key %v, want none", made)
			}
		})
	}
}

func TestKeyNameOf64Characters(t *testing.T) {
	b := newTestBucket()
	name := strings.Repeat("<", 32) + strings.Repeat("\U0001F511", 32)
	made, _ := create(t, testKeys(t, b), Key{Name: name, May: slices.Clone(permissions)})
	if got, ok := testKeys(t, b).Find(made.ID); !ok || got.Name != name {
		t.Errorf("got name %q, want %q", got.Name, name)
	}
}

func TestKeyAllows(t *testing.T) {
	k := Key{May: []string{MayConnections, MayKeys}}
	for permission, want := range map[string]bool{
		MayConnections: true, MayKeys: true, MayRevocations: false, MayExplain: false, "": false, "KEYS": false,
	} {
		if got := k.Allows(permission); got != want {
			t.Errorf("Allows(%q): got %t, want %t", permission, got, want)
		}
	}
	if (Key{}).Allows("") {
		t.Error("a key that may do nothing: got allowed, want not")
	}
}

func TestKeyVerifyRefuses(t *testing.T) {
	k := testKeys(t, newTestBucket())
	made, secret := create(t, k, Key{May: []string{MayKeys}})
	_, other := create(t, k, Key{})
	text := secret.Reveal()
	rest := text[len("usher_")+12:]
	another := "A"
	if strings.HasSuffix(text, "A") {
		another = "B"
	}
	tests := []struct{ name, text, want string }{
		{"nothing", "", "not of the form"},
		{"the prefix", "usher_", "not of the form"},
		{"the id", made.ID, "not of the form"},
		{"without the secret", text[:len(text)-26], "not of the form"},
		{"the secret alone", rest[1:], "not of the form"},
		{"one character less", text[:len(text)-1], "not of the form"},
		{"one character more", text + "A", "not of the form"},
		{"a line break after it", text + "\n", "not of the form"},
		{"a space in front", " " + text[:len(text)-1], "not of the form"},
		{"another prefix", "Usher_" + text[6:], "not of the form"},
		{"other separators", strings.ReplaceAll(text, "_", "-"), "not of the form"},
		{"an id in capitals", "usher_" + strings.ToUpper(made.ID) + rest, "not of the form"},
		{"a secret in small letters", strings.ToLower(text), "not of the form"},
		{"a secret with a digit of none", text[:len(text)-1] + "1", "not of the form"},
		{"a secret with a NUL", text[:len(text)-1] + "\x00", "not of the form"},
		{"a letter that is not ASCII", text[:len(text)-2] + "é", "not of the form"},
		{"8 MB", strings.Repeat(text, 8<<20/len(text)), "not of the form"},
		{"an unknown id", "usher_aaaaaaaaaaaa" + rest, "no key has this id"},
		{"another last character", text[:len(text)-1] + another, "its secret is another"},
		{"the secret of another key", text[:len(text)-26] + other.Reveal()[len(text)-26:], "its secret is another"},
		{"only A", text[:len(text)-26] + strings.Repeat("A", 26), "its secret is another"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := k.Verify(usher.NewSecret(tt.text))
			if !errors.Is(err, ErrBadKey) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got error %v, want ErrBadKey with %q", err, tt.want)
			}
			if !cmp.Equal(got, Key{}) {
				t.Errorf("got key %v, want none", got)
			}
		})
	}
	if _, err := k.Verify(usher.Secret{}); !errors.Is(err, ErrBadKey) {
		t.Errorf("the zero secret: got %v, want ErrBadKey", err)
	}
	if _, err := k.Verify(secret); err != nil {
		t.Errorf("the key itself: got %v, want nil", err)
	}
}

func TestKeyExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := testKeys(t, newTestBucket())
		made, text := create(t, k, Key{Expires: time.Now().Add(time.Hour)})
		_, forever := create(t, k, Key{})
		time.Sleep(time.Hour - time.Nanosecond)
		if _, err := k.Verify(text); err != nil {
			t.Errorf("a nanosecond before: got %v, want nil", err)
		}
		time.Sleep(time.Nanosecond)
		if got, err := k.Verify(text); !errors.Is(err, ErrBadKey) || !strings.Contains(err.Error(), "expired") || got.ID != "" {
			t.Errorf("at its time: got %v, %v, want ErrBadKey that says so", got, err)
		}
		if got, ok := k.Find(made.ID); !ok || !cmp.Equal(got, made) {
			t.Errorf("Find: got %v, %t, want %v still", got, ok, made)
		}
		// It can be changed still, and that makes it no younger.
		if _, err := k.Disable(t.Context(), made.ID, false); err != nil {
			t.Errorf("Disable: got %v, want nil", err)
		}
		if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) {
			t.Errorf("enabled after its time: got %v, want ErrBadKey", err)
		}
		time.Sleep(100 * 365 * 24 * time.Hour)
		if _, err := k.Verify(forever); err != nil {
			t.Errorf("one that never expires: got %v, want nil", err)
		}
	})
}

func TestKeyList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBucket()
		k := testKeys(t, b)
		if got := k.List(); got == nil || len(got) != 0 {
			t.Errorf("got %#v, want an empty list", got)
		}
		var want []string
		for range 5 {
			made, _ := create(t, k, Key{May: []string{MayKeys}})
			want = append(want, made.ID)
			time.Sleep(time.Millisecond)
		}
		for name, node := range map[string]*Keys{"this": k, "later": testKeys(t, b)} {
			var got []string
			for _, one := range node.List() {
				got = append(got, one.ID)
				one.May[0] = MayRevocations // What is returned is the caller's.
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s node: got %v, want %v", name, got, want)
			}
			if got, _ := node.Find(want[0]); !got.Allows(MayKeys) || got.Allows(MayRevocations) {
				t.Errorf("%s node, after a caller's change: got permissions %v, want %v", name, got.May, MayKeys)
			}
		}
	})
}

func TestKeysAfterClose(t *testing.T) {
	b := newTestBucket()
	k, err := newKeys(t.Context(), b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, text := create(t, k, Key{})
	k.close()
	if _, err := k.Verify(text); !errors.Is(err, ErrBadKey) {
		t.Errorf("Verify: got %v, want ErrBadKey", err)
	}
	if got := len(k.List()); got != 0 {
		t.Errorf("got %d keys, want none", got)
	}
}
