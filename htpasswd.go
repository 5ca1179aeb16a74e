package usher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxPasswordFile = 16 << 20 // Bytes.
	maxUserName     = 255      // Bytes, as in Apache's htpasswd.
	// maxPasswordsWaiting is how many passwords wait for their turn at most.
	maxPasswordsWaiting = 1024

	defaultPasswordLifetime = 24 * time.Hour
)

// Htpasswd judges user names and passwords by a file of lines "user:hash". It
// is a [Verifier] for KindPassword, for [Basic]. Make one with ReadHtpasswd; the
// zero value knows nobody. Its fields must not be changed once Verify was
// called, and it must not be copied.
//
// The hashes are bcrypt ("$2a$", "$2b$", "$2y$"; made by htpasswd -B) with a
// cost of at most 15, and argon2id ("$argon2id$v=19$m=…,t=…,p=…$salt$hash") with
// at most 256 MiB, 16 passes and 16 lanes. Empty lines, and lines that begin
// with "#", are passed over.
type Htpasswd struct {
	// Lifetime is how long an answer counts. After it the Guard asks again,
	// so that who is taken out of the file is out after this time and a
	// Reload. Default, also of a negative one: 24 h.
	Lifetime time.Duration
	// MaxConcurrent is how many hashes are computed at once, which bounds the
	// processors and the memory that a flood of passwords takes: argon2id
	// needs its "m" for each. As many more are for those who are inside and
	// are asked about again. Others wait their turn, 1024 at most; the newest
	// is then ErrUnavailable. Default, also of a negative one: GOMAXPROCS.
	MaxConcurrent int

	path  string // Immutable after ReadHtpasswd.
	users atomic.Pointer[passwordFile]

	once    sync.Once
	turns   chan struct{} // Immutable after once.
	again   chan struct{} // The turns of those inside. Immutable after once.
	waiting atomic.Int64
}

// A passwordFile is what was read of a file. It does not change.
type passwordFile struct {
	hashes map[string]passwordHash
	// decoys are the hashes once more, for who is not in the file: by seed each
	// unknown name has one of them.
	decoys []passwordHash
	seed   maphash.Seed
}

// ReadHtpasswd reads a file of at most 16 MiB. A line that is malformed, of
// another scheme, or names a user for the second time is an error that says
// which.
func ReadHtpasswd(path string) (*Htpasswd, error) {
	h := &Htpasswd{path: path}
	if err := h.Reload(); err != nil {
		return nil, err
	}
	return h, nil
}

// Reload reads the file again. On an error the users stay as they were. It may
// be called while passwords are judged.
func (h *Htpasswd) Reload() error {
	text, err := readBounded(h.path, maxPasswordFile)
	if err != nil {
		return fmt.Errorf("read htpasswd: %w", err)
	}
	users, err := parseHtpasswd(text)
	if err != nil {
		return fmt.Errorf("read htpasswd %s: %w", h.path, err)
	}
	h.users.Store(users)
	return nil
}

// Verify judges a user name and password. Its identity has the user name as
// Subject and as claim "sub", and is to be rechecked after Lifetime. A user who
// is not in the file takes as long as a wrong password, and the error is the
// same. Where ctx ends before it is known, or too many wait, the error is
// ErrUnavailable.
func (h *Htpasswd) Verify(ctx context.Context, c Credential) (*Identity, error) {
	if c.Kind != KindPassword {
		return nil, ErrUnrecognized
	}
	users := h.users.Load()
	if users == nil {
		return nil, errWrongPassword
	}
	hash, known := users.find(c.Username)
	if hash == nil {
		return nil, errWrongPassword // The file is empty: there is nothing to hide.
	}
	leave, err := h.enter(ctx, c.Recheck)
	if err != nil {
		return nil, fmt.Errorf("verify password: %w: %w", ErrUnavailable, err)
	}
	matches := hash.matches([]byte(c.Secret.Reveal()))
	leave()
	if !matches || !known {
		return nil, errWrongPassword
	}
	return &Identity{
		Subject: c.Username,
		Expires: time.Now().Add(cmp.Or(max(h.Lifetime, 0), defaultPasswordLifetime)),
		Recheck: true,
		Claims:  Claims{"sub": c.Username},
	}, nil
}

var errWrongPassword = errors.New("unknown user or wrong password")

// enter waits for a turn, which the function it returns gives back. A recheck
// does not wait behind those at the door.
func (h *Htpasswd) enter(ctx context.Context, recheck bool) (leave func(), err error) {
	h.once.Do(func() {
		n := cmp.Or(max(h.MaxConcurrent, 0), runtime.GOMAXPROCS(0))
		h.turns, h.again = make(chan struct{}, n), make(chan struct{}, n)
	})
	if recheck {
		select {
		case h.again <- struct{}{}:
			return func() { <-h.again }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > maxPasswordsWaiting {
		return nil, errors.New("too many passwords at once")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// find returns the hash of a user. For one who is not in the file it returns
// somebody else's, always the same, so that the time that is spent on it tells
// nothing, not even where the hashes of the file differ in cost.
func (f *passwordFile) find(user string) (hash passwordHash, known bool) {
	if hash, known = f.hashes[user]; known || len(f.decoys) == 0 {
		return hash, known
	}
	return f.decoys[maphash.String(f.seed, user)%uint64(len(f.decoys))], false
}

func parseHtpasswd(text []byte) (*passwordFile, error) {
	f := &passwordFile{hashes: make(map[string]passwordHash), seed: maphash.MakeSeed()}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		entry := strings.TrimRight(string(line), "\r\n")
		if strings.TrimSpace(entry) == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		user, hash, err := parseEntry(entry)
		if err == nil {
			if _, ok := f.hashes[user]; ok {
				err = errors.New("user named a second time")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		f.hashes[user] = hash
		f.decoys = append(f.decoys, hash)
	}
	return f, nil
}

// parseEntry reads one line. Its errors quote nothing of it: what is malformed
// may be a password.
func parseEntry(entry string) (string, passwordHash, error) {
	user, text, ok := strings.Cut(entry, ":")
	switch {
	case !ok:
		return "", nil, errors.New(`not of the form "user:hash"`)
	case user == "" || len(user) > maxUserName || !utf8.ValidString(user):
		return "", nil, errors.New("malformed user name")
	case strings.ContainsFunc(entry, unicode.IsControl):
		return "", nil, errors.New("control character")
	}
	hash, err := parseHash(text)
	return user, hash, err
}
