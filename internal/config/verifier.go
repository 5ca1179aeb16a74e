package config

import "time"

// A Verifier judges credentials. Exactly one key is given.
type Verifier struct {
	// Judges JSON Web Tokens (RFC 7519).
	JWT *JWT `yaml:"jwt"`
	// Asks the authorization server that made the token (RFC 7662).
	Introspect *Introspect `yaml:"introspect"`
	// Asks a server of the user's own.
	Ask *Ask `yaml:"ask"`
	// Judges the access tokens that this site makes: see the top level's issuer.
	Issuer *Own `yaml:"issuer"`
	// true judges the session cookie of login.
	Login bool `yaml:"login"`
	// File with user:hash lines, the hashes bcrypt or argon2id. Judges the
	// passwords of the carrier basic.
	Htpasswd File `yaml:"htpasswd"`
}

// An Own says which tokens of the site's own are good. It asks no network.
type Own struct {
	// What must be among the claim "aud". Default: the issuer's audience.
	Audience string `yaml:"audience"`
}

// A JWT says which tokens are good. Exactly one of discover, jwks,
// hs256_secret_file and keys_file is given.
type JWT struct {
	// What the claim "iss" must be, exactly.
	Issuer string `yaml:"issuer" rule:"required"`
	// What must be among the claim "aud".
	Audience string `yaml:"audience" rule:"required"`
	// Whether the issuer's own configuration says where its keys are (OpenID
	// Connect Discovery §4, or else RFC 8414 §3): issuer is then a URL, https or
	// http on loopback. Default: false.
	Discover bool `yaml:"discover" default:"false"`
	// URL of the issuer's JWK Set (RFC 7517 §5): https, or http on loopback.
	JWKS URL `yaml:"jwks"`
	// File with the secret of HS256, at least 32 bytes; a newline at its end
	// does not count.
	HS256SecretFile File `yaml:"hs256_secret_file"`
	// File with public keys: a JWK Set, a JWK, or a PEM key or certificate.
	KeysFile File `yaml:"keys_file"`
	// How far in the future the claims "nbf" and "iat" may be, since clocks
	// differ; never for "exp". Default: 30s.
	Leeway time.Duration `yaml:"leeway" default:"30s" rule:"zero"`
	// Header "typ" of tokens that are accepted, without regard to case and to
	// "application/"; "" is a token without one. Default: JWT, at+jwt and "".
	Types []string `yaml:"types"`
}

// An Introspect is a question to the authorization server that made the token
// (RFC 7662). It is asked about no token that another verifier beside it knows.
type Introspect struct {
	// Introspection endpoint: https, or http on loopback.
	URL URL `yaml:"url" rule:"required"`
	// Whose tokens these are. Where an answer has "iss", it must be this, exactly.
	Issuer string `yaml:"issuer" rule:"required"`
	// What must be among "aud" of the answer. Required but for
	// insecure_any_audience.
	Audience string `yaml:"audience"`
	// Whether tokens count that were made for any service of the issuer's: for
	// one whose answers have no "aud". Default: false.
	InsecureAnyAudience bool `yaml:"insecure_any_audience" default:"false"`
	// What the server knows the gateway by.
	ClientID string `yaml:"client_id" rule:"required"`
	// File with the secret that goes with it; a newline at its end does not count.
	ClientSecretFile File `yaml:"client_secret_file" rule:"required"`
	// How long an answer counts, and so how long a token that was revoked there
	// may live on here. Default: 1m.
	MaxAge time.Duration `yaml:"max_age" default:"1m"`
	// How long the answer may take. Browsers hold back other handshakes while
	// one waits. Default: 2s.
	Timeout time.Duration `yaml:"timeout" default:"2s"`
	// How many questions there are at one time. Default: 64.
	MaxConcurrent int `yaml:"max_concurrent" default:"64"`
}

// An Ask is a question to a server of the user's own: a request with just the
// credential. Status 200 is yes; the identity is made of the answer's JSON and
// headers, and Cache-Control and Expires say when to ask again.
type Ask struct {
	// What to ask, by GET: https, or http on a network that is trusted with the
	// credentials.
	URL URL `yaml:"url" rule:"required"`
	// How long the answer may take. Browsers hold back other handshakes while
	// one waits. Default: 2s.
	Timeout time.Duration `yaml:"timeout" default:"2s"`
	// How many questions there are at one time; beyond, the newest is refused.
	// Default: 64.
	MaxConcurrent int `yaml:"max_concurrent" default:"64"`
	// Headers of the answer that become claims, each with its claim's name.
	// Default: none, the answer's JSON only.
	Headers map[HeaderName]string `yaml:"headers"`
	// Claim that says who it is: a member of the answer's JSON, or one that
	// headers names. Default: sub.
	Subject string `yaml:"subject" default:"sub"`
}
