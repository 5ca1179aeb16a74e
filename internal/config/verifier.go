package config

import "time"

// A Verifier judges credentials. Exactly one key is given.
type Verifier struct {
	// Judges JSON Web Tokens (RFC 7519).
	JWT *JWT `yaml:"jwt"`
	// Asks a server of the user's own.
	Ask *Ask `yaml:"ask"`
	// File with user:hash lines, the hashes bcrypt or argon2id. Judges the
	// passwords of the carrier basic.
	Htpasswd File `yaml:"htpasswd"`
}

// A JWT says which tokens are good. Exactly one of jwks, hs256_secret_file and
// keys_file is given.
type JWT struct {
	// What the claim "iss" must be, exactly.
	Issuer string `yaml:"issuer" rule:"required"`
	// What must be among the claim "aud".
	Audience string `yaml:"audience" rule:"required"`
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
