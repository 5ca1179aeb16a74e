package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

// A key's secret is in no list, log, error or record, in no form; its digest is
// in the record alone.
func TestKeySecretStaysSecret(t *testing.T) {
	synctest.Test(t, keySecretStaysSecret)
}

func keySecretStaysSecret(t *testing.T) {
	b := newTestBucket()
	w := &wireBucket{bucket: b, open: true}
	var seen bytes.Buffer
	k, err := newKeys(t.Context(), w, slog.New(slog.NewJSONHandler(&seen, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	show := func(what ...any) {
		for _, one := range what {
			fmt.Fprintf(&seen, "%v %+v %#v\n", one, one, one)
			text, _ := json.Marshal(one)
			seen.Write(text)
		}
		k.log.Info("seen", slog.Any("what", what))
	}
	made, text := create(t, k, Key{Name: "n", May: permissions})
	secret := text.Reveal()[keySecretAt:]
	sum := sha256.Sum256([]byte(text.Reveal()))
	found, _ := k.Find(made.ID)
	verified, err := k.Verify(text)
	show(made, text, found, verified, err, k.List())
	for _, wrong := range []string{secret, text.Reveal() + "\n", strings.ToLower(text.Reveal()), "usher_aaaaaaaaaaaa_" + secret} {
		_, err := k.Verify(usher.NewSecret(wrong))
		if err == nil {
			t.Errorf("Verify of what is not the key: got nil")
		}
		show(err)
	}
	disabled, err := k.Disable(t.Context(), made.ID, true)
	_, refused := k.Verify(text)
	show(disabled, err, refused)
	record, err := b.get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{text.Reveal(), `{"v":1,"` + text.Reveal() + `":1}`, string(record.value) + text.Reveal()} {
		e, _ := b.get(t.Context(), made.ID)
		if _, err := b.update(t.Context(), made.ID, []byte(bad), e.revision, 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err := k.Disable(t.Context(), made.ID, false)
		show(err)
	}
	synctest.Wait()
	w.before = func(string) error { return errWire }
	_, none, err := k.Create(t.Context(), Key{})
	show(none, err)

	if !strings.Contains(seen.String(), "skipped an API key") || !strings.Contains(seen.String(), "[redacted]") {
		t.Errorf("got %q, want the log and the redacted text in it", seen.String())
	}
	for _, form := range formsOf(secret) {
		if strings.Contains(seen.String(), form) || bytes.Contains(record.value, []byte(form)) {
			t.Errorf("got the secret in the form %q, want it nowhere", form)
		}
	}
	for _, form := range formsOf(string(sum[:])) {
		if strings.Contains(seen.String(), form) {
			t.Errorf("got the digest in the form %q, want it in the bucket only", form)
		}
	}
	if !bytes.Contains(record.value, []byte(base64.StdEncoding.EncodeToString(sum[:]))) {
		t.Error("got a record without the digest: what is searched for is not what is stored")
	}
}

// formsOf is how something may look where it leaks.
func formsOf(secret string) []string {
	numbers := strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]") // As %v shows bytes.
	return []string{
		secret, strings.ToLower(secret), hex.EncodeToString([]byte(secret)), numbers,
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

// FuzzKeyVerify: whatever comes as a key is refused, unless it is one. The
// secret half stays out of the error.
func FuzzKeyVerify(f *testing.F) {
	k := testKeys(f, newTestBucket())
	made, text := create(f, k, Key{May: []string{MayKeys}})
	f.Add("", false)
	f.Add("usher_", false)
	f.Add("usher_aaaaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAA", false)
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAA", true)
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAA\xff", true)
	f.Add(strings.Repeat("usher_", 1<<12), true)
	f.Fuzz(func(t *testing.T, given string, known bool) {
		if known {
			given = "usher_" + made.ID + "_" + given
		}
		got, err := k.Verify(usher.NewSecret(given))
		if !errors.Is(err, ErrBadKey) || !cmp.Equal(got, Key{}) {
			t.Errorf("Verify of %q: got %v, %v, want ErrBadKey", given, got, err)
		}
		if len(given) > keySecretAt && strings.Contains(fmt.Sprint(err), given[keySecretAt:]) && len(given) == keySize {
			t.Errorf("got %q, want nothing of what was given", err)
		}
		if got, err := k.Verify(text); err != nil || !cmp.Equal(got, made) {
			t.Errorf("Verify of the key: got %v, %v, want %v", got, err, made)
		}
	})
}

func BenchmarkKeyVerify(b *testing.B) {
	k := testKeys(b, newTestBucket())
	var made Key
	var text usher.Secret
	for range 1000 {
		var err error
		if made, text, err = k.Create(context.Background(), Key{May: []string{MayConnections, MayRevocations}}); err != nil {
			b.Fatal(err)
		}
	}
	wrong := "usher_" + made.ID + "_" + strings.Repeat("A", keySecret)
	unknown := "usher_aaaaaaaaaaaa_" + strings.Repeat("A", keySecret)
	for _, bb := range []struct {
		name  string
		text  usher.Secret
		valid bool
	}{
		{"valid", text, true},
		{"wrong_secret", usher.NewSecret(wrong), false},
		{"unknown_id", usher.NewSecret(unknown), false},
		{"no_key", usher.NewSecret("Bearer"), false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Verify(bb.text); (err == nil) != bb.valid {
					b.Fatalf("got %v, valid %t", err, bb.valid)
				}
			}
		})
	}
}
