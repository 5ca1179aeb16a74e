package config

import (
	"cmp"
	"errors"
	"net"
	"regexp"
	"strings"

	"github.com/usher-ws/usher"
)

// A checker looks at what keys say together, after each alone was decoded. What
// is wrong already is not looked at again.
type checker struct {
	config  *Config
	root    *node
	reports *report
	environ []string
}

// report adds a problem at p, if nothing is wrong there yet.
func (k *checker) report(p path, format string, args ...any) {
	if k.reports.clean(p) {
		k.reports.add(k.root.find(p), p, format, args...)
	}
}

func (k *checker) check() {
	c := k.config
	k.listeners()
	k.hosts(path{"hosts"}, c.Hosts)
	k.hosts(path{"admin_hosts"}, c.AdminHosts)
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		k.report(path{"proxy_protocol"}, "needs trusted_proxies: without, nobody's PROXY header is believed")
	}
	k.engine(path{"engine"}, &c.Engine)
	k.pair(path{"tls"}, c.TLS)
	for _, name := range sorted(c.Verifiers) {
		k.verifier(path{"verifiers", name}, name, c.Verifiers[name])
	}
	for i, r := range c.Routes {
		k.route(path{"routes", i}, r)
	}
	k.patterns()
}

// listeners holds the admin listener apart from the public one, and within this
// machine unless names are given for it: it shows who is connected.
func (k *checker) listeners() {
	if !k.reports.clean(path{"listen"}) || !k.reports.clean(path{"admin"}) {
		return
	}
	host, port, err := net.SplitHostPort(string(k.config.Listen))
	adminHost, adminPort, adminErr := net.SplitHostPort(string(k.config.Admin))
	if err != nil || adminErr != nil {
		return // Reported when they were decoded.
	}
	if port == adminPort && port != "0" && (host == adminHost || everywhere(host) || everywhere(adminHost)) {
		k.report(path{"admin"}, "is the public listener's address; want one of its own")
	}
	if !isLoopback(adminHost) && len(k.config.AdminHosts) == 0 {
		k.report(path{"admin"}, "can be reached from other machines; want an address of loopback, or admin_hosts beside it")
	}
}

func everywhere(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// hosts asks the Guard about each name, and so do the others below: a rule is
// written once.
func (k *checker) hosts(p path, names []string) {
	for i, name := range names {
		k.guard(p.with(i), &usher.Guard{Hosts: []string{name}})
	}
	k.unique(p, names)
}

// guard reports what the Guard would say about the value at p.
func (k *checker) guard(p path, g *usher.Guard) { k.library(p, g.Validate()) }

// library reports what the library says about the value at p, if it does. Its
// errors never have a secret in them.
func (k *checker) library(p path, err error) {
	if err != nil {
		k.report(p, "%s", inYAML(err))
	}
}

// goNames are words of the library, each with what it is in the configuration.
var goNames = strings.NewReplacer(
	"Origins: ", "", "Hosts: ", "", "Subprotocols: ", "", "Limits: ", "", "Require: ", "", "Carriers: ", "",
	"FirstMessage", "first_message", "InsecureAnyOrigin", "insecure_any_origin", "Basic", "basic", "Ticket", "ticket",
	"join its verifiers with AnyOf", "list its verifiers in one", "\n", "; ",
)

// inYAML returns what the library says in the words of the configuration.
func inYAML(err error) string { return printable(goNames.Replace(err.Error())) }

// unique reports names that are in a list twice.
func (k *checker) unique(p path, names []string) {
	seen := make(map[string]struct{}, len(names))
	for i, name := range names {
		if _, twice := seen[name]; twice {
			k.report(p.with(i), "in the list twice")
		}
		seen[name] = struct{}{}
	}
}

var verifierName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (k *checker) verifier(p path, name string, v *Verifier) {
	if !verifierName.MatchString(name) {
		k.report(p, "want a name of letters, digits, '_', '.' and '-'")
	}
	if v == nil || !k.reports.clean(p) {
		return
	}
	switch {
	case v.JWT != nil:
		k.jwt(p.with("jwt"), v.JWT)
	case v.Ask != nil:
		for _, header := range sorted(v.Ask.Headers) {
			if v.Ask.Headers[header] == "" {
				k.report(p.with("ask", "headers", string(header)), "empty; want the name of a claim")
			}
		}
	default:
		at := p.with("htpasswd")
		if _, ok := k.readable(at, v.Htpasswd); ok {
			_, err := usher.ReadHtpasswd(string(v.Htpasswd))
			k.library(at, err)
		}
	}
}

// identityType is the "typ" of what identity.jwt sets. Who was told it, an
// upstream, must not get in as the client.
const identityType = "usher-identity+jwt"

func (k *checker) jwt(p path, j *JWT) {
	for i, typ := range j.Types {
		if plain := strings.TrimPrefix(strings.ToLower(typ), "application/"); plain == identityType {
			k.report(p.with("types", i), "is what upstreams are told who is there by; no credential of a client's")
		}
	}
	var given []string
	for _, source := range []struct {
		key string
		set bool
	}{{"jwks", j.JWKS != ""}, {"hs256_secret_file", j.HS256SecretFile != ""}, {"keys_file", j.KeysFile != ""}} {
		if source.set {
			given = append(given, source.key)
		}
	}
	if len(given) != 1 {
		k.report(p, "got %s; want one of jwks, hs256_secret_file and keys_file", cmp.Or(oneOf(given, "and"), "no keys"))
		return
	}
	switch at := p.with(given[0]); {
	case j.JWKS != "":
		k.library(at, (&usher.JWKS{URL: string(j.JWKS)}).Validate())
	case j.KeysFile != "":
		if _, ok := k.readable(at, j.KeysFile); ok {
			_, err := usher.ReadKeys(string(j.KeysFile))
			k.library(at, err)
		}
	default:
		if content, ok := k.readable(at, j.HS256SecretFile); ok {
			_, err := usher.HS256(usher.NewSecret(string(trimNewline(content))))
			k.library(at, err)
		}
	}
}

// problems returns the single errors of a joined one.
func problems(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return many.Unwrap()
	}
	return []error{err}
}
