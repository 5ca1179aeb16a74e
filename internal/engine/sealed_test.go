package engine_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

var signing = engine.SigningOptions{Algorithm: "ES256", Every: 720 * time.Hour, Life: time.Hour}

// openSealed opens an engine on a directory, which the caller closes, and returns
// its id of signing key too.
func openSealed(t *testing.T, o engine.Options) (e *engine.Engine, key engine.SigningKey, err error) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if e, err = engine.Open(t.Context(), o); err != nil {
		return nil, key, err
	}
	s, err := e.Signing(t.Context(), signing)
	if err != nil {
		return nil, key, errors.Join(err, e.Close())
	}
	return e, s.Keys()[0], nil
}

// secretsOf are all that must not be seen in a store.
func secretsOf(t *testing.T, e *engine.Engine, key engine.SigningKey) (all [][]byte) {
	t.Helper()
	err := e.Secrets().UseTickets(func(keys ...usher.Secret) error {
		for _, k := range keys {
			all = append(all, []byte(k.Reveal()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Private)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, []byte(e.Secrets().CSRF().Reveal()), der, der[36:68], []byte("canary-of-a-record"))
}

// A directory has a key-encryption key of its own unless one is given, and nothing
// in it that is not sealed.
func TestSealedDirectory(t *testing.T) {
	dir, log := filepath.Join(t.TempDir(), "data"), &notebook{}
	e, key, err := openSealed(t, engine.Options{Data: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := openFamilies(t, e).Create(t.Context(), "k", []byte("canary-of-a-record"), minute()); err != nil || !ok {
		t.Fatalf("got %t and %v", ok, err)
	}
	hidden := secretsOf(t, e, key)
	closeEngine(t, e)
	if info, err := os.Stat(filepath.Join(dir, "usher.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v and %v, want a key of mode 0600", info, err)
	}
	if n := log.count("a key-encryption key was made"); n != 1 {
		t.Errorf("got %d warnings that a key was made, want 1", n)
	}
	read := 0
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		read += len(text)
		for i, secret := range hidden {
			for _, form := range [][]byte{secret, []byte(base64.StdEncoding.EncodeToString(secret))} {
				if bytes.Contains(text, form) {
					t.Errorf("%s has secret %d", name, i)
				}
			}
		}
		return err
	})
	if err != nil || read < 1000 {
		t.Errorf("got %d bytes and %v: this proves nothing", read, err)
	}
	log = &notebook{}
	again, same, err := openSealed(t, engine.Options{Data: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, again)
	if same.ID != key.ID || log.count("key-encryption") != 0 {
		t.Errorf("after a restart: got signing key %s, want %s, and no warning", same.ID, key.ID)
	}
	if got, _, err := openFamilies(t, again).Get(t.Context(), "k"); err != nil || string(got) != "canary-of-a-record" {
		t.Errorf("after a restart: got %q and %v, want the record", got, err)
	}
}

// Keys can be changed, and a wrong one changes nothing.
func TestSealedKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := filepath.Join(dir, "usher.key")
	one, two := usher.NewSecret(strings.Repeat("1", 32)), usher.NewSecret(strings.Repeat("2", 32))
	var first string
	for _, step := range []struct {
		name     string
		key, old usher.Secret
		before   func() error
		wrong    bool
	}{
		{name: "the first start"},
		{name: "the key is gone", before: func() error { return os.Rename(made, made+".away") }, wrong: true},
		{name: "another one is given", key: one, wrong: true},
		{name: "it is back, beside another", key: one, before: func() error { return os.Rename(made+".away", made) }},
		{name: "it goes", key: one, before: func() error { return os.Remove(made) }},
		{name: "none is given", wrong: true},
		{name: "a new one without the old", key: two, wrong: true},
		{name: "a new one", key: two, old: one},
		{name: "the old one without the new", key: one, wrong: true},
		{name: "the new one alone", key: two},
	} {
		if step.before != nil {
			if err := step.before(); err != nil {
				t.Fatal(err)
			}
		}
		e, key, err := openSealed(t, engine.Options{Data: dir, Key: step.key, OldKey: step.old})
		switch {
		case step.wrong && (!errors.Is(err, engine.ErrOtherKey) || strings.Contains(err.Error(), "1111") || strings.Contains(err.Error(), "2222")):
			t.Fatalf("%s: got %v, want ErrOtherKey without a key", step.name, err)
		case !step.wrong && err != nil:
			t.Fatalf("%s: got %v, want it open", step.name, err)
		case !step.wrong:
			if first == "" {
				first = key.ID
			}
			if key.ID != first {
				t.Errorf("%s: got signing key %s, want %s", step.name, key.ID, first)
			}
			closeEngine(t, e)
		}
		if _, err := os.Stat(made); step.wrong && err == nil && step.name != "another one is given" {
			t.Errorf("%s: a key was made", step.name)
		}
	}
	short := engine.Options{Data: dir, Key: usher.NewSecret("short")}
	if _, _, err := openSealed(t, short); err == nil {
		t.Error("a short key: got nil, want an error")
	}
}

// Nodes of a cluster without a key are warned. What they have kept, which whoever
// reads the store can open, is not taken by one that has a key; nor by one without
// what is sealed.
func TestSealedCluster(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	nats := &engine.NATS{URLs: c.URLs()}
	log := &notebook{}
	e, first, err := openSealed(t, engine.Options{NATS: nats, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil || log.count("no key-encryption key") != 1 {
		t.Fatalf("no key: got %v and %d warnings, want 1", err, log.count("no key-encryption key"))
	}
	closeEngine(t, e)
	e, second, err := openSealed(t, engine.Options{NATS: nats})
	if err != nil || second.ID != first.ID {
		t.Fatalf("no key again: got %v and signing key %s, want %s", err, second.ID, first.ID)
	}
	closeEngine(t, e)
	log = &notebook{}
	e, third, err := openSealed(t, engine.Options{NATS: nats, Key: siteKey, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil || third.ID == first.ID || log.count("was kept unsealed") != 2 {
		t.Fatalf("a key: got %v, signing key %s and %d warnings, want another key and 2", err, third.ID, log.count("was kept unsealed"))
	}
	defer closeEngine(t, e)
	for name, key := range map[string]usher.Secret{"another key": usher.NewSecret(strings.Repeat("x", 32)), "no key any more": {}} {
		if _, _, err := openSealed(t, engine.Options{NATS: nats, Key: key}); !errors.Is(err, engine.ErrOtherKey) {
			t.Errorf("%s: got %v, want ErrOtherKey", name, err)
		}
	}
	if err := e.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Secrets of a version before there were seals may be known to anybody: they are
// not used any more. A node that runs takes none that are not sealed.
func TestUnsealed(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	e := open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}})
	csrf := e.Secrets().CSRF()
	js, err := jetstream.New(c.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_usher_secrets")
	if err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("c"), 32))
	old := `{"v":1,"csrf":"` + key + `","tickets":[{"key":"` + key + `","from":"2026-03-01T10:00:00Z"}]}`
	if _, err := js.Publish(t.Context(), strings.TrimSuffix(stream.CachedInfo().Config.Subjects[0], ">")+"site", []byte(old)); err != nil {
		t.Fatal(err)
	}
	log := &notebook{}
	late := open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}, Log: slog.New(slog.NewTextHandler(log, nil))})
	if got := late.Secrets().CSRF(); got.Reveal() == strings.Repeat("c", 32) || got.Equal(csrf) {
		t.Error("got secrets that were not sealed, want new ones")
	}
	if n := log.count("was kept unsealed"); n != 1 {
		t.Errorf("got %d warnings, want 1", n)
	}
	if !e.Secrets().CSRF().Equal(csrf) {
		t.Error("the node that ran has other secrets, want its own until a restart")
	}
}
