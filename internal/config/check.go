package config

import (
	"errors"
	"net"
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
	k.issuer(path{"issuer"}, c.Issuer)
	k.login(path{"login"}, c.Login)
	for _, name := range sorted(c.Verifiers) {
		k.verifier(path{"verifiers", name}, name, c.Verifiers[name])
	}
	for i, r := range c.Routes {
		k.route(path{"routes", i}, r)
	}
	k.patterns()
	k.hub(path{"hub"}, c.Hub)
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
	"InsecureAnyAudience", "insecure_any_audience", "join its verifiers with AnyOf", "list its verifiers in one", "\n", "; ",
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
