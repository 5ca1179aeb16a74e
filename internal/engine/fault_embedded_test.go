package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

func minute() time.Time { return time.Now().Add(time.Minute) }

// openHere opens an embedded engine that the test closes by itself.
func openHere(t *testing.T, dir string) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Options{Data: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func closeEngine(t *testing.T, e *engine.Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// fill leaves something of each kind in e, and returns an API key's text.
func fill(t *testing.T, e *engine.Engine) usher.Secret {
	t.Helper()
	if err := e.Spend(t.Context(), [16]byte{1}, minute()); err != nil {
		t.Fatal(err)
	}
	if err := enginetest.Revoke(t.Context(), e, "ann", time.Minute); err != nil {
		t.Fatal(err)
	}
	_, text, err := e.Keys().Create(t.Context(), engine.Key{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wantFilled checks that what fill has left is there.
func wantFilled(t *testing.T, e *engine.Engine, text usher.Secret) {
	t.Helper()
	if err := e.Spend(t.Context(), [16]byte{1}, minute()); !errors.Is(err, usher.ErrSpent) {
		t.Errorf("an id that was spent: got %v, want ErrSpent", err)
	}
	var r enginetest.Recorder
	r.Subscribe(t, e)()
	if !r.Revoked("ann") {
		t.Error("the revocation is gone")
	}
	await(t, 20*time.Second, "the key is valid", func() bool { _, err := e.Keys().Verify(text); return err == nil })
}

func TestEmbeddedRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	e := openHere(t, dir)
	since := e.Since()
	text := fill(t, e)
	closeEngine(t, e)
	e = openHere(t, dir)
	defer closeEngine(t, e)
	wantFilled(t, e, text)
	if got := e.Since(); !got.Equal(since) {
		t.Errorf("since: got %v, want %v as before", got, since)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: got %v and %v, want mode 0700", info.Mode(), err)
	}
}

func TestEmbeddedDiskLost(t *testing.T) {
	dir := t.TempDir()
	e := openHere(t, dir)
	since := e.Since()
	fill(t, e)
	closeEngine(t, e)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	e = openHere(t, dir)
	defer closeEngine(t, e)
	if got := e.Since(); !got.After(since) || got.Before(lost.Truncate(time.Microsecond)) {
		t.Errorf("since: got %v, want a time after %v, when the disk was lost", got, lost)
	}
}

// A copy of the directory of a live server is what a killed one would leave.
func TestEmbeddedKilled(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	e := openHere(t, dir)
	defer closeEngine(t, e)
	since := e.Since()
	text := fill(t, e)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	after := openHere(t, copied)
	defer closeEngine(t, after)
	wantFilled(t, after, text)
	if got := after.Since(); !got.Equal(since) {
		t.Errorf("since: got %v, want %v as before", got, since)
	}
}

func TestEmbeddedInUse(t *testing.T) {
	dir := t.TempDir()
	e := openHere(t, dir)
	_, err := engine.Open(t.Context(), engine.Options{Data: dir})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("got %v, want an error that names %s and says that it is in use", err, dir)
	}
	closeEngine(t, e)
	closeEngine(t, openHere(t, dir))
}

// A directory that somebody else uses too is left as it is.
func TestEmbeddedForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, openHere(t, dir))
	for name, want := range map[string]os.FileMode{dir: 0o755, filepath.Join(dir, "jetstream"): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v and %v, want mode %v", name, info.Mode(), err, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nats := func(n engine.NATS) engine.Options { return engine.Options{NATS: &n} }
	for _, tt := range []struct {
		name string
		o    engine.Options
		want string
	}{
		{"nothing", engine.Options{}, "exactly one of Memory, Data and NATS"},
		{"two", engine.Options{Memory: true, Data: file}, "exactly one of Memory, Data and NATS"},
		{"a file for a directory", engine.Options{Data: file}, file},
		{"a directory in a file", engine.Options{Data: filepath.Join(file, "x")}, "cannot be made"},
		{"no URL", nats(engine.NATS{}), "no URL"},
		{"a URL of HTTP", nats(engine.NATS{URLs: []string{"http://127.0.0.1"}}), `scheme "http"`},
		{"a URL that is none", nats(engine.NATS{URLs: []string{"nats://a:b:s3cret"}}), "cannot be parsed"},
		{"a URL without host", nats(engine.NATS{URLs: []string{"nats:///x"}}), "without a host"},
		{"six replicas", nats(engine.NATS{URLs: []string{"nats://127.0.0.1"}, Replicas: 6}), "6 replicas"},
		{"no credentials", nats(engine.NATS{URLs: []string{"nats://127.0.0.1"}, Credentials: file + "x"}), "credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := engine.Open(ctx, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || ctx.Err() != nil) {
				t.Errorf("got %v: it has a secret, or came late", err)
			}
		})
	}
}

// Whoever reads the error may not know where the process was started.
func TestRelativeDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "./file/x"} {
		_, err := engine.Open(t.Context(), engine.Options{Data: name})
		if want := "data directory " + filepath.Join(dir, name) + " "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
	e := openHere(t, "data")
	_, err := engine.Open(t.Context(), engine.Options{Data: "data"})
	if want := filepath.Join(dir, "data"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("in use: got %v, want an error with %q", err, want)
	}
	closeEngine(t, e)
}

func TestEmbeddedFull(t *testing.T) {
	o := engine.Options{Data: t.TempDir()}
	o.SetMaxBytes(16 << 10)
	e := open(t, o)
	wantFull(t, e)
}

// wantFull fills e and checks what it says then.
func wantFull(t *testing.T, e *engine.Engine) {
	t.Helper()
	var spent int
	var err error
	for spent = 0; spent < 100_000 && err == nil; spent++ {
		err = e.Spend(t.Context(), [16]byte{1, byte(spent >> 8), byte(spent)}, minute())
	}
	if !errors.Is(err, usher.ErrUnavailable) || errors.Is(err, usher.ErrSpent) {
		t.Fatalf("spend number %d: got %v, want ErrUnavailable", spent, err)
	}
	t.Logf("spend number %d: %v", spent, err)
	await(t, 20*time.Second, "Down", func() bool { return !e.Down().IsZero() })
	if err := e.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "takes no more") {
		t.Errorf("check: got %v, want that the store takes no more", err)
	}
	start := time.Now()
	if err := e.Spend(t.Context(), [16]byte{2}, minute()); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("spend: got %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("spend took %v, want no wait", took)
	}
	for n := 0; err == nil && n < 100_000; n++ {
		err = enginetest.Revoke(t.Context(), e, strings.Repeat("x", 4096), time.Minute)
	}
	if err == nil {
		for n := 0; err == nil && n < 10_000; n++ {
			err = enginetest.Revoke(t.Context(), e, strings.Repeat("x", 4096), time.Minute)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "takes no more") {
		t.Errorf("revoke: got %v, want that the store takes no more", err)
	}
}

func await(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
