package config

import (
	"net/netip"
	"time"
)

// A Config is a whole usher.yaml, checked and with its defaults filled in.
//
// The comments here are those of the JSON schema and of the reference page,
// and the tags say what is so of a key: its default and bounds, which key it is
// beside, and whether it is required or may be zero.
type Config struct {
	// Address of the public listener, as host:port. Default: 127.0.0.1:8080.
	Listen Address `yaml:"listen" default:"127.0.0.1:8080"`
	// Certificate of the public listener. Default: none, so that it speaks plain
	// HTTP, for a proxy in front or for try-outs.
	TLS *TLS `yaml:"tls"`
	// Address of the admin listener (health, metrics, admin API), as host:port.
	// It is never the public listener. Default: 127.0.0.1:8081.
	Admin Address `yaml:"admin" default:"127.0.0.1:8081"`
	// Names that the admin listener answers to besides those of loopback;
	// required where its address is not one of loopback. Default: none.
	AdminHosts []string `yaml:"admin_hosts"`
	// Names that the public listener answers to, each with a port or for any
	// port; another is answered 421. Default: any name.
	Hosts []string `yaml:"hosts"`
	// Networks, as CIDR or single addresses, whose X-Forwarded-For and
	// X-Forwarded-Proto are believed. Default: none.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	// Whether connections from trusted_proxies begin with a PROXY protocol
	// header, version 1 or 2. Default: false.
	ProxyProtocol bool `yaml:"proxy_protocol" default:"false"`
	// Where spent tickets, revocations and API keys are kept. Default: data:
	// ./data, beside the configuration file, or in the working directory where
	// there is none.
	Engine Engine `yaml:"engine" default:"data: ./data"`
	// What is known of sessions.
	Sessions Sessions `yaml:"sessions"`
	// Tokens of the site's own. Default: none, so that only those of others are
	// accepted.
	Issuer *Issuer `yaml:"issuer"`
	// Logs people in at an OpenID provider. Default: nobody is logged in.
	Login *Login `yaml:"login"`
	// Who judges credentials, by names that carriers use in their verify.
	// Default: none.
	Verifiers map[string]*Verifier `yaml:"verifiers"`
	// What is in front of what. Default: none.
	Routes []*Route `yaml:"routes"`
	// Channels, presence and history for the Ably SDKs; {} is one app. Default:
	// none.
	Hub *Hub `yaml:"hub"`
	// What is logged, and how.
	Log Log `yaml:"log"`
	// How long a stop takes at most: the live connections are told to go
	// (1001), spread over this time. 0s closes all at once. Default: 5s.
	Drain time.Duration `yaml:"drain" default:"5s" rule:"zero"`
}

// A TLS is the certificate of a listener. Its files are read again when they
// change.
type TLS struct {
	// File with the certificate and its chain, in PEM.
	Cert File `yaml:"cert" rule:"required"`
	// File with the certificate's private key, in PEM.
	Key File `yaml:"key" rule:"required"`
}

// Sessions says what is known of sessions, which are the connections of one
// login.
type Sessions struct {
	// How long a revocation is remembered. It is also how old a credential may be
	// that says when it was issued: one from before is refused, since nobody
	// knows any more whether it was revoked. From 1m to 8760h. Default: 24h.
	KeepRevocations time.Duration `yaml:"keep_revocations" default:"24h" min:"1m" max:"8760h"`
}

// A Log says what is logged.
type Log struct {
	// Least severity that is logged: debug shows refused clients. Default: info.
	Level string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
	// One line each, for people or for programs. Default: text.
	Format string `yaml:"format" default:"text" enum:"text,json"`
}
