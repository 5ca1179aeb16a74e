package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Files that were no pair when they were looked at are read again when they
// have become one, also where size and time do not tell; the log is told of
// the error once.
func TestCertificateMended(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	put := func(file string, content []byte, second int64) {
		t.Helper()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Unix(second, 0), time.Unix(second, 0)); err != nil {
			t.Fatal(err)
		}
	}
	good := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	put(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 1)
	put(keyFile, good, 1)
	var logs strings.Builder
	c, err := readCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(&logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	first := c.pair
	put(keyFile, []byte(strings.Repeat("x", len(good))), 2)
	for range 3 {
		c.checked = time.Time{}
		if c.get() != first {
			t.Fatal("got another certificate, want the last good one")
		}
	}
	if n := strings.Count(logs.String(), "not read again"); n != 1 {
		t.Errorf("got %d warnings, want 1:\n%s", n, logs.String())
	}
	put(keyFile, good, 2)
	c.checked = time.Time{}
	second := c.get()
	if second == first || !strings.Contains(logs.String(), "certificate read again") {
		t.Errorf("the mended pair was not read:\n%s", logs.String())
	}
	c.checked = time.Time{}
	if c.get() != second {
		t.Error("files that have not changed were read again")
	}
}
