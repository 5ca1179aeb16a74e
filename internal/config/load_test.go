package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/usher-ws/usher/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// canary is in every secret of the test data, wherever it was put.
const canary = "canary"

// unpack writes the files of a txtar archive into a new directory, makes that
// the working directory, and returns the path of the configuration and the
// environment that the archive has.
func unpack(t *testing.T, archive *txtar.Archive) (path string, environ []string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range archive.Files {
		switch f.Name {
		case "want":
			continue
		case "env":
			environ = strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
			continue
		case "usher.yaml":
			path = f.Name
		}
		if err := os.WriteFile(f.Name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, environ
}

// Each archive of testdata/bad is a configuration that is refused, with all
// that is said about it.
func TestBad(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d archives and %v, want some", len(names), err)
	}
	for _, name := range names {
		full, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(full)
			if err != nil {
				t.Fatal(err)
			}
			path, environ := unpack(t, archive)
			c, err := config.Load(path, environ)
			if _, ok := errors.AsType[config.Problems](err); !ok || c != nil {
				t.Fatalf("got %v and the error %v, want problems", c, err)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("got an error with a secret in it:\n%v", err)
			}
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "want" {
				t.Fatalf("got %q as the last file, want \"want\"", last.Name)
			}
			got := err.Error() + "\n"
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(full, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal([]byte(got), last.Data) {
				t.Errorf("got\n%swant\n%s", got, last.Data)
			}
		})
	}
}
