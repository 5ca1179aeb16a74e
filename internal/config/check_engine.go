package config

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

func (k *checker) engine(p path, e *Engine) {
	switch {
	case e.Data != "":
		k.directory(p.with("data"), e.Data)
	case len(e.NATS) > 0:
		k.cluster(p, e)
	case !e.Memory && k.reports.clean(p) && k.root.member("engine") != nil:
		k.report(p.with("memory"), "want true; leave it out where it is not the engine")
	}
	k.longSecret(p.with("key"), e.Key)
	k.longSecret(p.with("old_key"), e.OldKey)
	if e.OldKey != nil && e.Key == nil {
		k.report(p.with("old_key"), "needs key: what is sealed under it is sealed under that")
	}
}

// directory reports what is there already and is no directory. It makes
// nothing, and leaves to the store whether it may be written.
func (k *checker) directory(p path, name Dir) {
	info, err := os.Stat(string(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, fs.ErrPermission):
		k.report(p, "the directory may not be read: %s", string(name))
	case errors.Is(err, syscall.ENOTDIR):
		k.report(p, "not a directory, or beneath what is none: %s", string(name))
	case err != nil:
		k.report(p, "cannot be a directory: %s", string(name))
	case !info.IsDir():
		k.report(p, "not a directory: %s", string(name))
	}
}

// cluster looks at what is said of a NATS cluster.
func (k *checker) cluster(p path, e *Engine) {
	at := p.with("nats")
	encrypted := slices.ContainsFunc(e.NATS, isTLS)
	if plain := func(s string) bool { return !isTLS(s) }; encrypted && slices.ContainsFunc(e.NATS, plain) {
		k.report(at, "some with and some without TLS; want nats:// for all of them, or tls://")
	}
	k.unique(at, e.NATS)
	if content, ok := k.readable(p.with("credentials"), e.Credentials); ok && !hasNATSUser(content) {
		k.report(p.with("credentials"), "no NATS user in it; want a file with a JWT and a seed, as nsc writes them (.creds)")
	}
	k.certificates(p.with("ca"), e.CA)
	if e.CA != "" && !encrypted && k.reports.clean(at) {
		k.report(p.with("ca"), "is for servers of tls://, and there is none")
	}
}

func isTLS(server string) bool { return strings.HasPrefix(server, "tls:") }

// What is in a .creds file, each in a line of its own: a JWT and the seed of a
// user's nkey.
var (
	natsJWT  = regexp.MustCompile(`(?m)^eyJ[\w-]+\.[\w-]+\.[\w-]+\r?$`)
	natsSeed = regexp.MustCompile(`(?m)^SU[A-Z2-7]{56}\r?$`)
)

func hasNATSUser(content []byte) bool { return natsJWT.Match(content) && natsSeed.Match(content) }
