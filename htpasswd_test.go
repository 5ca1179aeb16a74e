package usher_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/usher-ws/usher"
)

// Hashes that other implementations made, so that not only our own are read.
const (
	// Of "password": Argon2's reference implementation.
	argonVector = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	// Of "U*U": crypt_blowfish.
	bcryptVector = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
)

func bcryptOf(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func argonOf(password string, memory, passes uint32, lanes uint8) string {
	salt := make([]byte, 16)
	rand.Read(salt)
	hash := argon2.IDKey([]byte(password), salt, passes, memory, lanes, 32)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(hash))
}

func password(user, text string) usher.Credential {
	return usher.Credential{
		Carrier: "basic", Kind: usher.KindPassword, Username: user, Secret: usher.NewSecret(text),
	}
}

func htpasswd(t testing.TB, lines ...string) *usher.Htpasswd {
	t.Helper()
	h, err := usher.ReadHtpasswd(writeFile(t, strings.Join(lines, "\n")))
	if err != nil {
		t.Fatalf("ReadHtpasswd: got %v, want nil", err)
	}
	return h
}

func TestHtpasswd(t *testing.T) {
	long := strings.Repeat("x", 72)
	h := htpasswd(
		t,
		"# who may come in", "",
		"alice:"+bcryptOf(t, "wonder", 4),
		"bob:"+argonOf("builder", 64, 1, 2)+"\r",
		"2b:"+strings.Replace(bcryptOf(t, "b", 4), "$2a$", "$2b$", 1),
		"2y:"+strings.Replace(bcryptOf(t, "y", 4), "$2a$", "$2y$", 1),
		"vector:"+argonVector,
		"blowfish:"+bcryptVector,
		"long:"+bcryptOf(t, long, 4),
		"Ünï cödé:"+bcryptOf(t, "pässwörd", 4),
		"   ",
	)
	tests := []struct {
		name, user, password string
		want                 bool
	}{
		{"bcrypt", "alice", "wonder", true},
		{"argon2id", "bob", "builder", true},
		{"2b", "2b", "b", true},
		{"2y", "2y", "y", true},
		{"argon2id of others", "vector", "password", true},
		{"bcrypt of others", "blowfish", "U*U", true},
		{"72 bytes", "long", long, true},
		{"73 bytes, of which 72 are right", "long", long + "x", false},
		{"not ascii", "Ünï cödé", "pässwörd", true},
		{"wrong password", "alice", "wander", false},
		{"wrong password, argon2id", "bob", "breaker", false},
		{"a longer one", "alice", "wonder ", false},
		{"a beginning", "alice", "wonde", false},
		{"empty", "alice", "", false},
		{"another's", "alice", "builder", false},
		{"nul behind", "alice", "wonder\x00", false},
		{"the hash itself", "blowfish", bcryptVector, false},
		{"user in upper case", "Alice", "wonder", false},
		{"user unknown", "carol", "wonder", false},
		{"user empty", "", "wonder", false},
		{"user of the comment", "# who may come in", "wonder", false},
		{"user with a colon", "alice:" + bcryptVector, "wonder", false},
		{"user of 1 MB", strings.Repeat("u", 1<<20), "wonder", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := h.Verify(t.Context(), password(tt.user, tt.password))
			if (err == nil) != tt.want || (id != nil) != tt.want {
				t.Fatalf("Verify: got %v and %v, want admitted: %v", id, err, tt.want)
			}
			if err != nil && meaning(err) != sayNo {
				t.Errorf("Verify: got %v, want an error that says no more than no", err)
			}
		})
	}
}

// Every decoy's own password is refused for a name that is not in the file.
func TestHtpasswdUnknownUserNeverMatches(t *testing.T) {
	h := htpasswd(t, "alice:"+bcryptOf(t, "same", 4))
	for i := range 20 {
		if _, err := h.Verify(t.Context(), password(fmt.Sprint("user", i), "same")); err == nil {
			t.Fatal("Verify of an unknown user: got nil, want an error")
		}
	}
}

func TestHtpasswdIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := htpasswd(t, "alice:"+bcryptOf(t, "wonder", 4))
		for _, lifetime := range []time.Duration{0, time.Hour} {
			h.Lifetime = lifetime
			got, err := h.Verify(t.Context(), password("alice", "wonder"))
			if err != nil {
				t.Fatal(err)
			}
			want := &usher.Identity{Subject: "alice", Recheck: true, Claims: usher.Claims{"sub": "alice"}}
			want.Expires = time.Now().Add(24 * time.Hour)
			if lifetime > 0 {
				want.Expires = time.Now().Add(lifetime)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	})
}

func TestHtpasswdKinds(t *testing.T) {
	h := htpasswd(t, "alice:"+bcryptOf(t, "wonder", 4))
	for _, kind := range []usher.Kind{usher.KindTicket, usher.KindToken, ""} {
		c := password("alice", "wonder")
		c.Kind = kind
		if _, err := h.Verify(t.Context(), c); !errors.Is(err, usher.ErrUnrecognized) {
			t.Errorf("Verify of kind %q: got %v, want ErrUnrecognized", kind, err)
		}
	}
}

func TestHtpasswdRefusesFiles(t *testing.T) {
	good, argon := bcryptOf(t, "wonder", 4), argonOf("builder", 64, 1, 1)
	replaced := func(old, by string) string { return "bob:" + strings.Replace(argon, old, by, 1) }
	tests := []struct {
		name, line, want string
	}{
		{"plain password", "bob:hunter2", "plain password"},
		{"password without user", "hunter2", "user:hash"},
		{"user without hash", "bob:", "neither"},
		{"no user", ":" + good, "user name"},
		{"long user", strings.Repeat("u", 256) + ":" + good, "user name"},
		{"user not utf-8", "b\xffb:" + good, "user name"},
		{"user with a tab", "b\tb:" + good, "control"},
		{"user twice", "alice:" + good, "second time"},
		{"apr1", "bob:$apr1$hunter2$abcdefgh", "apr1"},
		{"sha", "bob:{SHA}hunter2", "SHA-1"},
		{"ssha", "bob:{SSHA}hunter2", "salted SHA-1"},
		{"crypt md5", "bob:$1$hunter2", "MD5"},
		{"crypt sha256", "bob:$5$hunter2", "SHA-256"},
		{"crypt sha512", "bob:$6$hunter2", "SHA-512"},
		{"crypt des", "bob:hunter2abcdef", "neither"},
		{"bcrypt 2x", "bob:$2x$05$hunter2", "broken"},
		{"argon2i", "bob:$argon2i$v=19$hunter2", "argon2i"},
		{"argon2d", "bob:$argon2d$v=19$hunter2", "argon2d"},
		{"bcrypt cut off", "bob:" + good[:59], "malformed"},
		{"bcrypt with more", "bob:" + good + "x", "malformed"},
		{"bcrypt with a field more", "bob:" + good + ":x", "malformed"},
		{"bcrypt of other letters", "bob:" + good[:40] + "!" + good[41:], "malformed"},
		{"bcrypt without cost", "bob:$2a$xx$" + good[7:], "malformed"},
		{"bcrypt of cost 3", "bob:$2a$03$" + good[7:], "cost 3"},
		{"bcrypt of cost 16", "bob:$2a$16$" + good[7:], "cost 16"},
		{"bcrypt of cost 31", "bob:$2a$31$" + good[7:], "cost 31"},
		{"argon2id of 257 MiB", replaced("m=64", "m=263168"), "argon2id m"},
		{"argon2id of all memory", replaced("m=64", "m=4294967295"), "argon2id m"},
		{"argon2id beyond 32 bits", replaced("m=64", "m=4294967296"), "parameters"},
		{"argon2id of little memory", replaced("m=64", "m=7"), "less than"},
		{"argon2id of no memory", replaced("m=64", "m=0"), "argon2id m"},
		{"argon2id of no pass", replaced("t=1", "t=0"), "argon2id t"},
		{"argon2id of 17 passes", replaced("t=1", "t=17"), "argon2id t"},
		{"argon2id of no lane", replaced("p=1", "p=0"), "argon2id p"},
		{"argon2id of 17 lanes", replaced("p=1", "p=17"), "argon2id p"},
		{"argon2id of 257 lanes", replaced("p=1", "p=257"), "argon2id p"},
		{"argon2id with a sign", replaced("t=1", "t=+1"), "parameters"},
		{"argon2id with a zero", replaced("t=1", "t=01"), "parameters"},
		{"argon2id in another order", replaced("m=64,t=1", "t=1,m=64"), "parameters"},
		{"argon2id with another parameter", replaced("p=1", "p=1,keyid=x"), "malformed"},
		{"argon2id of an old version", replaced("v=19", "v=16"), "malformed"},
		{"argon2id without version", replaced("v=19$", ""), "malformed"},
		{"argon2id of a short salt", "bob:$argon2id$v=19$m=64,t=1,p=1$AAAA$" + strings.Repeat("A", 43), "malformed"},
		{"argon2id of a short hash", "bob:$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 22) + "$AAAA", "malformed"},
		{"argon2id of a long hash", "bob:$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 1000), "malformed"},
		{"argon2id with padding", "bob:" + argon + "=", "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, "# users\nalice:"+good+"\n"+tt.line+"\n")
			h, err := usher.ReadHtpasswd(path)
			if err == nil || h != nil {
				t.Fatalf("ReadHtpasswd: got %v and %v, want an error", h, err)
			}
			for _, want := range []string{path, "line 3", tt.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("ReadHtpasswd: got %q, want it to have %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), good[7:]) {
				t.Errorf("ReadHtpasswd: the error has the hash in it: %v", err)
			}
		})
	}
	if _, err := usher.ReadHtpasswd(t.TempDir() + "/absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadHtpasswd of no file: got %v, want os.ErrNotExist", err)
	}
	if _, err := usher.ReadHtpasswd(writeFile(t, strings.Repeat("#\n", 8<<20)+"#")); err == nil {
		t.Error("ReadHtpasswd of more than 16 MiB: got nil, want an error")
	}
}

func TestHtpasswdReload(t *testing.T) {
	path := writeFile(t, "alice:"+bcryptOf(t, "wonder", 4))
	h, err := usher.ReadHtpasswd(path)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	admitted := func(user, text string, want bool) {
		t.Helper()
		if _, err := h.Verify(t.Context(), password(user, text)); (err == nil) != want {
			t.Errorf("Verify of %s: got %v, want admitted: %v", user, err, want)
		}
	}
	replace("bob:hunter2")
	if err := h.Reload(); err == nil {
		t.Error("Reload of a broken file: got nil, want an error")
	}
	admitted("alice", "wonder", true)
	replace("bob:" + bcryptOf(t, "builder", 4))
	admitted("alice", "wonder", true)
	if err := h.Reload(); err != nil {
		t.Fatalf("Reload: got %v, want nil", err)
	}
	admitted("alice", "wonder", false)
	admitted("bob", "builder", true)
	replace("# nobody\n")
	if err := h.Reload(); err != nil {
		t.Fatalf("Reload of a file without users: got %v, want nil", err)
	}
	admitted("bob", "builder", false)
}

func TestHtpasswdZeroKnowsNobody(t *testing.T) {
	var h usher.Htpasswd
	if id, err := h.Verify(t.Context(), password("alice", "wonder")); err == nil || id != nil {
		t.Errorf("Verify: got %v and %v, want an error", id, err)
	}
	if err := h.Reload(); err == nil {
		t.Error("Reload: got nil, want an error")
	}
}

func TestHtpasswdContextEnds(t *testing.T) {
	h := htpasswd(t, "alice:"+bcryptOf(t, "wonder", 4))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, user := range []string{"alice", "unknown"} {
		_, err := h.Verify(ctx, password(user, "wonder"))
		if !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("Verify of %s: got %v, want ErrUnavailable and the context's error", user, err)
		}
	}
}

// A name that is not in the file must not be told by its time. The shortest of
// many is compared, which a busy machine does not make shorter, of hashes that
// are quick enough to be computed without an interruption; of more, where that
// machine interrupts most.
func TestHtpasswdTime(t *testing.T) {
	h := htpasswd(t, "alice:"+bcryptOf(t, "wonder", 6), "bob:"+bcryptOf(t, "builder", 6))
	shortest := map[string]time.Duration{"alice": time.Hour, "nobody": time.Hour}
	there, absent, same := time.Duration(0), time.Duration(0), false
	for until, n := time.Now().Add(patience), 0; n < 20 || !same && time.Now().Before(until); n++ {
		for user, best := range shortest {
			began := time.Now()
			if _, err := h.Verify(t.Context(), password(user, "wrong")); err == nil {
				t.Fatal("Verify: got nil, want an error")
			}
			shortest[user] = min(best, time.Since(began))
		}
		there, absent = shortest["alice"], shortest["nobody"]
		same = absent >= there/2 && absent <= there*2
	}
	if !same {
		t.Errorf("a user who is not in the file took %v, one who is %v: want the same", absent, there)
	}
}
