package engine_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

const canaryApp = "canary-of-an-app-with-its-secret"

// Apps are sealed, and sealed again where the key-encryption key has changed, so
// that the old one is needed once only.
func TestAppsSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	one, two := usher.NewSecret(strings.Repeat("1", 32)), usher.NewSecret(strings.Repeat("2", 32))
	for i, keys := range [][2]usher.Secret{{one, {}}, {two, one}, {two, {}}} {
		e, _, err := openSealed(t, engine.Options{Data: dir, Key: keys[0], OldKey: keys[1]})
		if err != nil {
			t.Fatal(err)
		}
		apps, book := enginetest.OpenApps(t, e)
		if i == 0 {
			if _, err := apps.Create(t.Context(), "a", []byte(canaryApp)); err != nil {
				t.Fatal(err)
			}
		}
		book.Await(t, "a", canaryApp)
		closeEngine(t, e)
	}
	read := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		read += len(text)
		if bytes.Contains(text, []byte("canary-of-an-app")) {
			t.Errorf("%s has an app in the clear", name)
		}
		return err
	})
	if err != nil || read < 1000 {
		t.Errorf("got %d bytes and %v: this proves nothing", read, err)
	}
}

// What is in the store counts only as a node has sealed it, for that app, under a
// key that not everybody has. What a node with another key writes is not heard.
func TestAppsForged(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	nats := &engine.NATS{URLs: c.URLs()}
	log := &notebook{}
	e := open(t, engine.Options{NATS: nats, Log: slog.New(slog.NewTextHandler(log, nil))})
	apps, book := enginetest.OpenApps(t, e)
	for _, id := range []string{"mine", "other", "third"} {
		if _, err := apps.Create(t.Context(), id, []byte(id+canaryApp)); err != nil {
			t.Fatal(err)
		}
		book.Await(t, id, id+canaryApp)
	}
	js, err := jetstream.New(c.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_usher_apps")
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.TrimSuffix(stream.CachedInfo().Config.Subjects[0], ">")
	sealed, err := stream.GetLastMsgForSubject(t.Context(), prefix+"other")
	if err != nil {
		t.Fatal(err)
	}
	otherKey := []byte(`{"v":2,"key":"0123456789abcdef","nonce":"AAAA","box":"AAAA"}`)
	for _, forged := range []struct {
		id   string
		text []byte
	}{{"third", otherKey}, {"mine", sealed.Data}, {"other", []byte(canaryApp)}} {
		if _, err := js.Publish(t.Context(), prefix+forged.id, forged.text); err != nil {
			t.Fatal(err)
		}
	}
	book.Await(t, "mine", "")
	book.Await(t, "other", "")
	refused, stays := log.count("an app cannot be read, and is refused"), log.count("as it was last it stays in use")
	if refused != 2 || stays != 1 {
		t.Errorf("got %d and %d errors in the log, want 2 and 1", refused, stays)
	}
	book.Await(t, "third", "third"+canaryApp)
	if _, err := apps.Create(t.Context(), "other", []byte("x")); err == nil {
		t.Error("made an app in the place of one that cannot be read")
	}
	if _, err := apps.Remove(t.Context(), "other", 0); err != nil {
		t.Errorf("remove one that cannot be read: %v", err)
	}
	if _, err := apps.Create(t.Context(), "other", []byte("x")); err != nil {
		t.Errorf("make it anew: %v", err)
	}
	book.Await(t, "other", "x")
}
