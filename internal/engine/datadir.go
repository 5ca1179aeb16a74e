package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
)

const (
	lockName = "usher.lock"
	// storeName is where the server puts everything.
	storeName = "jetstream"
	// roomName is a file by which room is looked for, of roomSize bytes: for the
	// server to start there must be some.
	roomName = "usher.room"
	roomSize = 1 << 20
	// keyName is the key-encryption key that is made where none is given.
	keyName = "usher.key"
)

// A dataDir is a data directory that is ours until close.
type dataDir struct {
	name string // Absolute: errors tell it to who does not know where this process runs.
	lock *os.File
}

// openDir makes the directory where it does not exist, and locks it. It closes
// it to other users where there is nothing else in it; what is inside is closed
// to them in any case.
func openDir(given string) (*dataDir, error) {
	name, err := filepath.Abs(given)
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be found: %w", given, cause(err))
	}
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s cannot be made: %w", name, cause(err))
	}
	if err := closeDir(name); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(name, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be written to: %w", name, cause(err))
	}
	switch err := lockFile(lock); {
	case errors.Is(err, errLocked):
		lock.Close()
		return nil, fmt.Errorf("data directory %s is in use by another process: give each its own", name)
	case err != nil:
		lock.Close()
		return nil, fmt.Errorf("data directory %s cannot be locked: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Join(name, storeName), 0o700); err != nil {
		lock.Close()
		return nil, fmt.Errorf("data directory %s cannot be written to: %w", name, cause(err))
	}
	return &dataDir{name: name, lock: lock}, nil
}

// closeDir sets mode 0700, unless the directory has what is not ours.
func closeDir(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("data directory %s cannot be read: %w", name, cause(err))
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	list, err := os.ReadDir(name)
	if err != nil {
		return fmt.Errorf("data directory %s cannot be read: %w", name, cause(err))
	}
	for _, e := range list {
		if !slices.Contains([]string{lockName, storeName, roomName, keyName}, e.Name()) {
			return nil
		}
	}
	// It may belong to somebody else, as the root of a mounted volume does.
	err = os.Chmod(name, 0o700) //nolint:gosec // It is a directory.
	if err != nil && !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("data directory %s cannot be closed to others: %w", name, cause(err))
	}
	return nil
}

// cause is err without the path, which the message has already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// room reports why nothing can be written into the directory.
func (d *dataDir) room() error {
	name := filepath.Join(d.name, roomName)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, roomSize))
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
	}
	if err != nil {
		return fmt.Errorf("data directory %s cannot be written to: %w", d.name, cause(err))
	}
	return nil
}

// key returns the key-encryption key that was made here, or an empty one.
func (d *dataDir) key() (usher.Secret, error) {
	name := filepath.Join(d.name, keyName)
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usher.Secret{}, nil
	case err != nil:
		return usher.Secret{}, fmt.Errorf("key-encryption key %s cannot be read: %w", name, cause(err))
	}
	key := usher.NewSecret(strings.TrimRight(string(text), "\r\n"))
	if len(key.Reveal()) < MinKey {
		return usher.Secret{}, fmt.Errorf("key-encryption key %s has less than %d bytes", name, MinKey)
	}
	return key, nil
}

// makeKey makes the key-encryption key. It is on disk before anything is sealed
// under it.
func (d *dataDir) makeKey() (usher.Secret, error) {
	name := filepath.Join(d.name, keyName)
	key := rand.Text() + rand.Text()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(key + "\n")
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if dir, openErr := os.Open(d.name); openErr == nil {
		_ = dir.Sync() // Where a system has no such thing, the file's must do.
		_ = dir.Close()
	}
	if err != nil {
		return usher.Secret{}, fmt.Errorf("key-encryption key %s cannot be made: %w", name, cause(err))
	}
	return usher.NewSecret(key), nil
}

// close gives the directory back. The lock file stays: to remove it would let
// two processes lock two files of one name.
func (d *dataDir) close() error { return d.lock.Close() }

var errLocked = errors.New("locked by another process")
