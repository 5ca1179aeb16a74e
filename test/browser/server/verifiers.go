package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/usher-ws/usher"
	"golang.org/x/crypto/bcrypt"
)

// What a token must say; the tests make theirs after it.
const (
	issuer   = "https://login.test"
	audience = "chat"
)

// newVerifier judges tokens. One that is good may ask by its claim "verdict"
// for one of the answers that only a user's own verifier gives.
func newVerifier(secret string) (usher.Verifier, error) {
	keys, err := usher.HS256(usher.NewSecret(secret))
	if err != nil {
		return nil, err
	}
	jwt := &usher.JWT{Issuer: issuer, Audience: audience, Keys: keys}
	return usher.VerifierFunc(func(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
		id, err := jwt.Verify(ctx, c)
		if err != nil {
			return nil, err
		}
		return id, verdictOn(id.Claims.String("verdict"))
	}), nil
}

// newPasswords judges passwords: that of everybody is "correct horse". The
// users "banned" and "unlucky" get the answers that the claim asks for above.
func newPasswords() (usher.Verifier, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "usher-users-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "users")
	text := fmt.Sprintf("ann:%[1]s\nbanned:%[1]s\nunlucky:%[1]s\n", hash)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	users, err := usher.ReadHtpasswd(file)
	if err != nil {
		return nil, err
	}
	verdicts := map[string]string{"banned": "forbidden", "unlucky": "unavailable"}
	return usher.VerifierFunc(func(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
		id, err := users.Verify(ctx, c)
		if err != nil {
			return nil, err
		}
		return id, verdictOn(verdicts[id.Subject])
	}), nil
}

func verdictOn(verdict string) error {
	switch verdict {
	case "":
		return nil
	case "forbidden":
		return usher.ErrForbidden
	case "unavailable":
		return usher.ErrUnavailable
	}
	return errors.New("no such verdict")
}

// brokenSpender is a memory of used tickets that is down.
type brokenSpender struct{}

func (brokenSpender) Spend(context.Context, [16]byte, time.Time) error {
	return errors.New("store is down")
}
