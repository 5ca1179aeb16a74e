package engine_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// permissions are the ones that the package comment names.
func permissions(t *testing.T) (publish, subscribe []string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "//\tpublish:\n")
	list, _, ok := strings.Cut(list, "//\n")
	first, second, both := strings.Cut(list, "//\tsubscribe:\n")
	if !ok || !both {
		t.Fatal("doc.go has no list of permissions")
	}
	subjects := func(s string) (all []string) {
		for _, one := range regexp.MustCompile(`[^\s/]\S+`).FindAllString(s, -1) {
			if before, after, ok := strings.Cut(one, "KV_usher_*"); ok {
				for _, bucket := range []string{"spent", "revocations", "keys", "secrets", "families", "logins", "apps"} {
					all = append(all, before+"KV_usher_"+bucket+after)
				}
				continue
			}
			all = append(all, one)
		}
		return all
	}
	return subjects(first), subjects(second)
}

// With what is documented, and no more, all works.
func TestPermissions(t *testing.T) {
	publish, subscribe := permissions(t)
	t.Logf("publish %v, subscribe %v", publish, subscribe)
	c := enginetest.NewCluster(t, 1, func(o *server.Options) {
		o.Users = []*server.User{{Username: "usher", Password: "pw", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: subscribe},
		}}}
	})
	url := strings.Replace(c.URLs()[0], "//", "//usher:pw@", 1)
	round := 0
	for ; round < 2; round++ { // The second time the buckets are there already.
		e := open(t, engine.Options{NATS: &engine.NATS{URLs: []string{url}}})
		other := open(t, engine.Options{NATS: &engine.NATS{URLs: []string{url}}})
		var r, renewed enginetest.Recorder
		r.Subscribe(t, other)()
		renewed.Renews = 3
		renewed.Subscribe(t, other)
		if round == 0 {
			text := fill(t, e)
			wantFilled(t, other, text)
		}
		if !renewed.Await("ann", 20*time.Second) {
			t.Error("the other node was not told")
		}
		if n, err := e.Publish(t.Context(), renewal); err != nil || n != 3*(round+1) { // Those of the first round are still there.
			t.Errorf("renew: got %d and %v, want %d", n, err, 3*(round+1))
		}
		if err := e.Check(t.Context()); err != nil {
			t.Errorf("check: %v", err)
		}
		for _, name := range []string{engine.Families, engine.Logins} {
			wantRecords(t, e, name)
		}
	}
}

// wantRecords makes, changes and removes a record.
func wantRecords(t *testing.T, e *engine.Engine, name string) {
	t.Helper()
	r, err := e.Records(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := r.Create(t.Context(), "a", []byte("x"), minute()); err != nil || !ok {
		t.Fatalf("create: got %t and %v", ok, err)
	}
	_, revision, err := r.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := r.Update(t.Context(), "a", []byte("y"), revision, minute()); err != nil || !ok {
		t.Errorf("update: got %t and %v", ok, err)
	}
	if err := r.Remove(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// A user's credentials file, on a server that knows accounts by JWTs.
func TestCredentials(t *testing.T) {
	operator, account, user := newKey(t, nkeys.PrefixByteOperator), newKey(t, nkeys.PrefixByteAccount), newKey(t, nkeys.PrefixByteUser)
	ac := jwt.NewAccountClaims(public(t, account))
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1}
	accountJWT, err := ac.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	sys := newKey(t, nkeys.PrefixByteAccount)
	sysJWT, err := jwt.NewAccountClaims(public(t, sys)).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	userJWT, err := jwt.NewUserClaims(public(t, user)).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(userJWT, seed)
	if err != nil {
		t.Fatal(err)
	}
	creds := filepath.Join(t.TempDir(), "usher.creds")
	if err := os.WriteFile(creds, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := enginetest.NewCluster(t, 1, func(o *server.Options) {
		o.TrustedKeys = []string{public(t, operator)}
		o.SystemAccount = public(t, sys)
		m := &server.MemAccResolver{}
		for key, claims := range map[string]string{public(t, account): accountJWT, public(t, sys): sysJWT} {
			if err := m.Store(key, claims); err != nil {
				t.Fatal(err)
			}
		}
		o.AccountResolver = m
	})
	e := open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs(), Credentials: creds}})
	wantFilled(t, e, fill(t, e))

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = engine.Open(ctx, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}})
	if err == nil || !strings.Contains(err.Error(), "Authorization") {
		t.Errorf("without credentials: got %v, want that it is not authorized", err)
	}
}

func newKey(t *testing.T, prefix nkeys.PrefixByte) nkeys.KeyPair {
	t.Helper()
	k, err := nkeys.CreatePair(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(t *testing.T, k nkeys.KeyPair) string {
	t.Helper()
	text, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTLS(t *testing.T) {
	ca, certificate := selfSigned(t)
	c := enginetest.NewCluster(t, 1, func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	})
	url := strings.Replace(c.URLs()[0], "nats://", "tls://", 1)
	e := open(t, engine.Options{NATS: &engine.NATS{URLs: []string{url}, CA: ca}})
	wantFilled(t, e, fill(t, e))

	plain := enginetest.NewCluster(t, 1, nil)
	for _, tt := range []struct {
		name string
		n    engine.NATS
		want string
	}{
		{"an unknown authority", engine.NATS{URLs: []string{url}}, "unknown authority"},
		{"tls where there is none", engine.NATS{URLs: []string{strings.Replace(plain.URLs()[0], "nats://", "tls://", 1)}}, "secure connection not available"},
		{"CA where there is no TLS", engine.NATS{URLs: plain.URLs(), CA: ca}, "secure connection not available"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := engine.Open(ctx, engine.Options{NATS: &tt.n})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// selfSigned returns a certificate for 127.0.0.1, and the file that vouches for it.
func selfSigned(t *testing.T) (ca string, certificate tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return ca, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
