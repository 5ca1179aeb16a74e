package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// maxFile bounds what is read of a file that a key names, in bytes.
const maxFile = 16 << 20

// readable reports a file that cannot be read, and returns what is in it. What
// that is goes into no message.
func (k *checker) readable(p path, name File) (content []byte, ok bool) {
	if name == "" || !k.reports.clean(p) {
		return nil, false
	}
	content, err := readFileAt(string(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.report(p, "no such file: %s", printable(string(name)))
	case errors.Is(err, fs.ErrPermission):
		k.report(p, "the file may not be read: %s", printable(string(name)))
	case errors.Is(err, errNotRegular):
		k.report(p, "not a file: %s", printable(string(name)))
	case err != nil:
		k.report(p, "cannot be read: %s", printable(string(name)))
	case len(content) > maxFile:
		k.report(p, "longer than %d MiB: %s", maxFile>>20, printable(string(name)))
	default:
		return content, true
	}
	return nil, false
}

var errNotRegular = errors.New("not a regular file")

func readFileAt(name string) ([]byte, error) {
	// Asked first, since to open a pipe may wait for ever.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// trimNewline takes off the one newline that editors and echo leave.
func trimNewline(content []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
}

// pair reports a certificate and key that do not go together.
func (k *checker) pair(p path, t *TLS) {
	if t == nil {
		return
	}
	cert, certOK := k.readable(p.with("cert"), t.Cert)
	key, keyOK := k.readable(p.with("key"), t.Key)
	if !certOK || !keyOK {
		return
	}
	if !hasCertificate(cert) {
		k.report(p.with("cert"), "no certificate in PEM in it")
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		k.report(p.with("key"), "not the private key, in PEM and without a password, of tls.cert")
	}
}

// certificates reports a file without one.
func (k *checker) certificates(p path, name File) {
	if content, ok := k.readable(p, name); ok && !hasCertificate(content) {
		k.report(p, "no certificate in PEM in it")
	}
}

func hasCertificate(content []byte) bool { return x509.NewCertPool().AppendCertsFromPEM(content) }

// minSecret is how many bytes a secret has at least that keys are made of.
const minSecret = 32

// longSecret reports a source without a secret that keys can be made of.
func (k *checker) longSecret(p path, s *SecretSource) {
	if s == nil || !k.reports.clean(p) {
		return
	}
	if at, value, ok := k.reveal(p, s); ok && len(value) < minSecret {
		k.report(at, "the secret has %d bytes; want at least %d, such as those of: openssl rand -base64 32", len(value), minSecret)
	}
}

// reveal returns what is in a source, and where that is said; or reports that
// there is no such thing.
func (k *checker) reveal(p path, s *SecretSource) (at path, value string, ok bool) {
	if s.File != "" {
		at = p.with("file")
		content, ok := k.readable(at, s.File)
		return at, string(trimNewline(content)), ok
	}
	at = p.with("env")
	i := slices.IndexFunc(k.environ, func(e string) bool { return strings.HasPrefix(e, s.Env+"=") })
	if i < 0 || strings.ContainsAny(s.Env, "=\x00") {
		k.report(at, "no such environment variable")
		return at, "", false
	}
	return at, k.environ[i][len(s.Env)+1:], true
}

// secret reports a source with nothing in it, or with what no header can hold.
func (k *checker) secret(p path, s *SecretSource) {
	at, value, ok := k.reveal(p, s)
	if !ok {
		return
	}
	switch {
	case strings.TrimSpace(value) == "":
		k.report(at, "the secret is empty")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		k.report(at, "the secret has line ends or control characters, which a header cannot hold")
	}
}
