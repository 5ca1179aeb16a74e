package config

import "time"

// An Issuer makes tokens of the site's own: OAuth 2.0 at /oauth/token, for API
// keys that may have them and for those who got a refresh token.
type Issuer struct {
	// Issuer identifier, the claim "iss": the origin of the public listener as
	// clients see it, https://usher.example.com, or http on loopback.
	Name string `yaml:"name" rule:"required"`
	// Claim "aud" of tokens whose client names none. Default: the issuer's name.
	Audience string `yaml:"audience"`
	// How long an access token is good whose client asks for no time. Default: 10m.
	AccessToken time.Duration `yaml:"access_token" default:"10m" min:"1s" max:"24h"`
	// The most that a client can ask for. It is not more than
	// sessions.keep_revocations. Default: 1h.
	MaxAccessToken time.Duration `yaml:"max_access_token" default:"1h" min:"1s" max:"8760h"`
	// How long a refresh token is good that is not used. Default: 336h.
	RefreshIdle time.Duration `yaml:"refresh_idle" default:"336h" min:"1m" max:"8760h"`
	// How long refresh tokens are good from the exchange on that gave the first,
	// however often they are used. Default: 2160h.
	RefreshLifetime time.Duration `yaml:"refresh_lifetime" default:"2160h" min:"1m" max:"87600h"`
	// How long after its use a refresh token may be used once more, for the same
	// successor: by a second tab, or where an answer was lost. Default: 5s.
	Grace time.Duration `yaml:"grace" default:"5s" min:"1s" max:"30s"`
	// Algorithm of signing keys that are made from now on. Default: ES256.
	Algorithm string `yaml:"algorithm" default:"ES256" enum:"ES256,EdDSA"`
	// How long a key signs before another takes its place. The new one is published
	// 10 minutes before. Default: 720h.
	Rotate time.Duration `yaml:"rotate" default:"720h" min:"1h" max:"8760h"`
	// Origins of pages that may use and revoke a refresh token, besides the
	// issuer's name, each exact. Default: none.
	Origins []string `yaml:"origins"`
	// Whose tokens clients may exchange for ours, besides naming a subject.
	Subjects Subjects `yaml:"subjects"`
}

// Subjects are verifiers of subject tokens (RFC 8693 §2.1), by what the client
// says that these are. Whoever they say it is gets a token by that name, so no two
// of them should know different people by one.
type Subjects struct {
	// Names of verifiers of access tokens. Default: none is taken.
	AccessToken []string `yaml:"access_token"`
	// Names of verifiers of ID tokens. Default: none is taken.
	IDToken []string `yaml:"id_token"`
	// Names of verifiers of other JWTs. Default: none is taken.
	JWT []string `yaml:"jwt"`
}
