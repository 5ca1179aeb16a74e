package usher

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

// FuzzJWT: whatever comes as a token is refused without a panic, and whatever
// is signed with the right key gives an identity that is whole, or an error.
// Private with its neighbors for what parsers return.
func FuzzJWT(f *testing.F) {
	secret := strings.Repeat("s", minSecret)
	keys, err := HS256(NewSecret(secret))
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		f.Fatal(err)
	}
	v := &JWT{Issuer: "i", Audience: "a", Keys: keys}
	f.Add(`{"iss":"i","aud":"a","sub":"s","exp":9e99}`, true)
	f.Add(`{"iss":"i","aud":["a"],"sub":"s","exp":32503680000,"iat":1.5,"nbf":-1,"sid":"x","jti":"y"}`, true)
	f.Add(`{"iss":"i","aud":"a","sub":"s","exp":1}`, true)
	f.Add(`{"iss":"i","aud":"a","sub":"s","sub":"t","exp":9e99}`, true)
	f.Add(`{"iss":"i","a":[[[{"b":{}}]]]}`, true)
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJpIn0.", false)
	f.Add("..", false)
	f.Fuzz(func(t *testing.T, text string, signed bool) {
		if signed {
			jws, err := signer.Sign([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = jws.CompactSerialize(); err != nil {
				t.Fatal(err)
			}
		}
		id, err := v.Verify(context.Background(), Credential{Kind: KindToken, Secret: NewSecret(text)})
		if (id == nil) == (err == nil) {
			t.Fatalf("Verify: got %v and %v, want one of them", id, err)
		}
		if err != nil {
			if errors.Is(err, ErrUnavailable) {
				t.Errorf("Verify: got %v, but nothing was unavailable", err)
			}
			return
		}
		if !signed {
			t.Errorf("Verify admitted %q, which nobody signed", text)
		}
		if id.Subject == "" || id.Issuer != "i" || !id.Expires.After(time.Now()) || id.Expires.Year() > 9999 {
			t.Errorf("Verify: got %+v, want it whole", id)
		}
		if _, err := json.Marshal(id); err != nil {
			t.Errorf("the identity does not encode: %v", err)
		}
	})
}

// FuzzKeySet: whatever is in a file of keys, what is read of it is keys that
// verify, and of a URL public ones.
func FuzzKeySet(f *testing.F) {
	f.Add(`{"keys":[{"kty":"oct","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}]}`)
	f.Add(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k","use":"sig","key_ops":["verify"]}`)
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)
	f.Add(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQ"},{},null]}`)
	f.Add("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys([]byte(text))
		checkKeys(t, keys, err)
		keys, err = parseKeySet([]byte(text), false)
		checkKeys(t, keys, err)
		for i := range keys {
			if keys[i].Public == nil || !keys[i].Secret.Empty() {
				t.Errorf("a key that is not public came from a public key set")
			}
		}
	})
}

func checkKeys(t *testing.T, keys []Key, err error) {
	if (len(keys) == 0) == (err == nil) || len(keys) > maxKeys {
		t.Fatalf("got %d keys and %v, want one of them", len(keys), err)
	}
	for i := range keys {
		if _, err := keys[i].algorithms(); err != nil || len(keys[i].ID) > maxKeyID {
			t.Errorf("key %d: got %v, want a key that verifies", i+1, err)
		}
	}
}

// FuzzHtpasswd: whatever is in the file, it is refused, or every hash in it is
// within bounds: nothing is computed here that a file could make expensive.
func FuzzHtpasswd(f *testing.F) {
	for _, line := range []string{
		"alice:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n",
		"bob:$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\r\n# end",
		"bob:$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"carol:hunter2", "a:$apr1$x$y\n", ":", "\n\n", "dave:{SHA}", "x:$2b$99$",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parseHtpasswd(text)
		if err != nil {
			if !utf8.ValidString(err.Error()) || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("got error %q, want it to name the line", err)
			}
			return
		}
		if len(file.hashes) != len(file.decoys) {
			t.Errorf("got %d users and %d decoys, want as many", len(file.hashes), len(file.decoys))
		}
		for user, hash := range file.hashes {
			if user == "" || strings.ContainsAny(user, ":\r\n") {
				t.Errorf("got user %q", user)
			}
			h, ok := hash.(*argonHash)
			if ok && (h.memory > maxArgonMemory || h.passes > maxArgonPasses || h.passes < 1 || h.lanes < 1 || h.lanes > maxArgonLanes) {
				t.Errorf("got argon2id parameters out of bounds: %d, %d, %d", h.memory, h.passes, h.lanes)
			}
			// A cost of 4 is quick enough to see that no hash makes it panic.
			if h, ok := hash.(bcryptHash); ok && strings.HasPrefix(string(h[4:]), "04$") {
				h.matches([]byte("x"))
			}
		}
	})
}

// The seeds that are committed exist: without them CI would fuzz from nothing.
func TestFuzzCorpusIsCommitted(t *testing.T) {
	for _, target := range []string{"FuzzJWT", "FuzzKeySet", "FuzzHtpasswd"} {
		entries, err := os.ReadDir("testdata/fuzz/" + target)
		if err != nil || len(entries) == 0 {
			t.Errorf("corpus of %s: got %d files and %v, want some", target, len(entries), err)
		}
	}
}
