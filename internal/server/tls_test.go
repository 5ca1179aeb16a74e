package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// makePair writes a certificate for localhost and its key, and returns the
// certificate's serial number.
func makePair(t testing.TB, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	// Two versions may be of one size and of one tick of the file system.
	stamp := time.Unix(1_700_000_000+serial, 0)
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.Chtimes(filepath.Join(dir, name), stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
}

// served returns the serial number of the certificate that addr shows.
func served(t testing.TB, addr string) int64 {
	t.Helper()
	d := &tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{InsecureSkipVerify: true}}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// awaitServed waits until the certificate with this serial number is served: at
// most a look every second, and what a slow machine adds.
func awaitServed(t testing.TB, addr string, want int64) {
	t.Helper()
	for until := time.Now().Add(patience); served(t, addr) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("got certificate %d, want %d", served(t, addr), want)
		}
	}
}

// TestCertificate: a certificate that changes on disk is served, without a
// reload and without an end to what is open; files that are no pair are not.
func TestCertificate(t *testing.T) {
	b := newBackend(t)
	dir := t.TempDir()
	makePair(t, dir, 1)
	g := startIn(t, dir, "tls: {cert: cert.pem, key: key.pem}\n"+oneRoute(b, "/chat"))
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, HandshakeTimeout: patience}
	c, _, err := d.DialContext(t.Context(), "wss://"+g.public+"/chat", bearer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(6 * patience))
	echo(t, c, "over TLS")
	if got := served(t, g.public); got != 1 {
		t.Fatalf("got certificate %d, want 1", got)
	}

	makePair(t, dir, 2)
	awaitServed(t, g.public, 2)
	echo(t, c, "still here")

	write(t, dir, "key.pem", "no key")
	for until := time.Now().Add(patience); !strings.Contains(g.logs.String(), "certificate not read again"); time.Sleep(20 * time.Millisecond) {
		if got := served(t, g.public); got != 2 || time.Now().After(until) {
			t.Fatalf("got certificate %d and no warning, want 2", got)
		}
	}
	if err := g.Reload(); err == nil || !strings.Contains(err.Error(), "tls.key") {
		t.Errorf("got %v from a reload with a broken key, want tls.key", err)
	}
	if got := served(t, g.public); got != 2 {
		t.Errorf("got certificate %d, want 2", got)
	}
	makePair(t, dir, 3)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := served(t, g.public); got != 3 {
		t.Errorf("got certificate %d right after a reload, want 3", got)
	}
	echo(t, c, "still here")
}

// The listener speaks TLS 1.2 and later, and HTTP/1.1 only.
func TestTLSBounds(t *testing.T) {
	dir := t.TempDir()
	makePair(t, dir, 1)
	g := startIn(t, dir, "tls: {cert: cert.pem, key: key.pem}\n"+front)
	old := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if c, err := old.DialContext(t.Context(), "tcp", g.public); err == nil {
		c.Close()
		t.Error("got a connection with TLS 1.1")
	}
	both := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}}
	c, err := both.DialContext(t.Context(), "tcp", g.public)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("got %q, want http/1.1", got)
	}
	if answer := raw(t, g.public, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 400") {
		t.Errorf("got %.100q for plain HTTP, want 400", answer)
	}
}

// An upstream over TLS is believed by the certificates that the route names.
func TestUpstreamTLS(t *testing.T) {
	b := newBackend(t)
	dir := t.TempDir()
	makePair(t, dir, 1)
	g := startIn(t, dir, "tls: {cert: cert.pem, key: key.pem}\n"+oneRoute(b, "/chat"))
	_, port, _ := net.SplitHostPort(g.public)
	chain := func(ca string) string {
		return front + fmt.Sprintf("routes: [{path: /outer, upstream: \"wss://localhost:%s/chat\", %s upstream_headers: {Authorization: {file: inner}}, carriers: [bearer: {verify: [local]}]}]\n", port, ca)
	}
	write(t, dir, "inner", bearer(t).Get("Authorization"))
	outer := startIn(t, dir, chain("ca: cert.pem,"))
	echo(t, mustDial(t, "ws://"+outer.public+"/outer", bearer(t)), "through both")
	strange := startIn(t, dir, chain(""))
	if _, err := dial(t, "ws://"+strange.public+"/outer", bearer(t)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v from an upstream nobody vouches for, want 503", err)
	}
}
