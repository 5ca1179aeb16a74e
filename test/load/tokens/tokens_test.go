package tokens_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/test/load/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a Signer makes is good by the check and by Usher's own, and a token of
// another key by neither: both do the same work.
func TestCheck(t *testing.T) {
	for _, algorithm := range tokens.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			dir := t.TempDir()
			signer, err := tokens.NewSigner(algorithm, dir)
			if err != nil {
				t.Fatal(err)
			}
			stranger, err := tokens.NewSigner(algorithm, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			set, err := tokens.Load(algorithm, dir)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := set.Keys(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			check, err := tokens.NewCheck(algorithm, keys)
			if err != nil {
				t.Fatal(err)
			}
			login := &usher.JWT{Issuer: tokens.Issuer, Audience: tokens.Audience, Keys: set}
			for name, s := range map[string]*tokens.Signer{"ours": signer, "stranger": stranger} {
				token, err := s.Token("alice")
				if err != nil {
					t.Fatal(err)
				}
				subject, err := check.Verify(token)
				if good := err == nil && subject == "alice"; good != (name == "ours") {
					t.Errorf("check of a token of %s: got %q, %v", name, subject, err)
				}
				id, err := login.Verify(t.Context(), usher.Credential{Kind: usher.KindToken, Secret: usher.NewSecret(token)})
				if good := err == nil && id.Subject == "alice"; good != (name == "ours") {
					t.Errorf("verify a token of %s: got %v, %v", name, id, err)
				}
			}
			for name, token := range map[string]string{"nothing": "", "too long": strings.Repeat("x", usher.MaxToken+1), "no token": "a.b.c"} {
				if _, err := check.Verify(token); err == nil {
					t.Errorf("%s: got no error", name)
				}
			}
		})
	}
	if _, err := tokens.NewSigner("none", t.TempDir()); err == nil {
		t.Error("got a signer of the algorithm none")
	}
}

// A request must be one that servers understand, with the token where its
// carrier has it.
func TestRequest(t *testing.T) {
	for _, carrier := range append(tokens.Carriers, "none") {
		head, message := tokens.Request(carrier, "the-token")
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			t.Fatalf("%s: %v", carrier, err)
		}
		if r.URL.Path != "/chat" || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Origin") != tokens.Origin {
			t.Errorf("%s: got %s %v", carrier, r.URL, r.Header)
		}
		plain, _ := tokens.Request("none", "")
		if differs := !bytes.Equal(head, plain) || message != nil; differs != (carrier != "none") {
			t.Errorf("%s: got a request that differs from one without a credential: %t", carrier, differs)
		}
	}
}
