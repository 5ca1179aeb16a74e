package config

import "time"

// A Route is a path of the public listener, and what is behind it.
type Route struct {
	// Path, as a pattern of Go's http.ServeMux without method and host: /chat is
	// that path, /docs/ all below it, /rooms/{id} has a wildcard. What wildcards
	// and a slash at the end matched is joined to the upstream's path.
	Path string `yaml:"path" rule:"required"`
	// Names that the route is for, of those in the top level's hosts. Default:
	// any.
	Hosts []string `yaml:"hosts"`
	// Where admitted requests go, one URL or a list: ws://host:port/path,
	// wss://host/path, or ws+unix:///run/app.sock:/path for a Unix socket. Of
	// several, that with the fewest live connections gets the next.
	Upstream Upstreams `yaml:"upstream" rule:"required"`
	// File with the certificates, in PEM, that vouch for wss upstreams. Default:
	// those of the system.
	CA File `yaml:"ca"`
	// How long it may take to connect to an upstream, TLS included. Default: 5s.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"5s"`
	// Headers with a credential of the gateway's own, which the browser must not
	// see; a client's are dropped. Default: none.
	UpstreamHeaders map[HeaderName]*SecretSource `yaml:"upstream_headers"`
	// Whether Set-Cookie on an upstream's 101 reaches the client. Default: false.
	AllowSetCookie bool `yaml:"allow_set_cookie" default:"false"`
	// Origins of pages that may connect, besides the request's own, each exact:
	// https://app.example.com. Default: none.
	Origins []string `yaml:"origins"`
	// Lets in pages of every origin. Refused beside cookie and basic, which
	// browsers attach to what any page starts. Default: false.
	InsecureAnyOrigin bool `yaml:"insecure_any_origin" default:"false"`
	// Subprotocols of the application, in order of preference, for handshakes
	// that Usher answers itself. Default: none.
	Subprotocols []string `yaml:"subprotocols"`
	// Ways to bring a credential, tried in this order; first_message is the last.
	Carriers []*Carrier `yaml:"carriers" rule:"required"`
	// What a client must be allowed to come in. It is asked again at each renewal.
	Require Require `yaml:"require"`
	// What the upstream is told about who is there.
	Identity Identity `yaml:"identity"`
	// Bounds of what waits, and of connections.
	Limits Limits `yaml:"limits"`
}

// A Require says what a credential must allow, or say of its client. Others are
// refused with 403, or 4403.
type Require struct {
	// Names that must all be in the scope: the claim scope, or scp. Default: none.
	Scope []string `yaml:"scope"`
	// Claims, each with the values of which it must be one, or an array with one
	// of them in it. Default: none.
	Claims map[string][]string `yaml:"claims"`
}

// An Identity says how the upstream learns who is there. A client's headers of
// these names, in any spelling, are dropped.
type Identity struct {
	// Headers, each with the claim whose value it gets. Default: none.
	Headers map[HeaderName]string `yaml:"headers"`
	// Header that gets a signed JWT of at most 60 s (typ usher-identity+jwt, the
	// upstream as audience). Default: none.
	JWT HeaderName `yaml:"jwt"`
}

// A SecretSource says where a secret is. Exactly one key is given.
type SecretSource struct {
	// File with the secret; a newline at its end does not count.
	File File `yaml:"file"`
	// Name of an environment variable that holds the secret.
	Env string `yaml:"env"`
}

// Limits bounds what waits on a route, and its connections. Each node counts by
// itself.
type Limits struct {
	// How many sockets may be without a verdict, or on their way out, at one
	// time; beyond, the newest is refused with 503. Default: 1000.
	Pending int `yaml:"pending" default:"1000"`
	// The same for one client: an IPv4 address or an IPv6 /64; beyond, the newest
	// is refused with 429. Default: 20.
	PendingPerAddress int `yaml:"pending_per_address" default:"20"`
	// How long a client has, from the handshake, to send its first message
	// whole. Default: 10s.
	FirstMessage time.Duration `yaml:"first_message" default:"10s"`
	// How long a verifier may take. Default: 3s.
	Verify time.Duration `yaml:"verify" default:"3s"`
	// How long a connection may be without a byte in either direction. Default:
	// 0s, for ever.
	Idle time.Duration `yaml:"idle" default:"0s" rule:"zero"`
	// How long a connection may live, whatever its credential says. Default: 0s,
	// for ever.
	Lifetime time.Duration `yaml:"lifetime" default:"0s" rule:"zero"`
	// When nothing came from the client for this long it is pinged, and its
	// connection ended if again nothing comes for as long. At least 1s; 0s is
	// never. Default: 60s.
	Ping time.Duration `yaml:"ping" default:"60s" min:"1s" rule:"zero"`
	// How many connections one identity, which is an issuer and a subject, may
	// have at one time, on this route and this node. Default: 0, any number.
	MaxConnections int `yaml:"max_connections" default:"0" rule:"zero"`
	// Who loses where max_connections are there: refuse turns the newest away
	// with 4429, replace ends the oldest with 4403. Default: refuse.
	WhenFull string `yaml:"when_full" default:"refuse" enum:"refuse,replace"`
}
