// Package issuer makes tokens of the site's own: the token endpoint of OAuth 2.0
// (RFC 6749) with client credentials, refresh tokens and token exchange
// (RFC 8693), revocation (RFC 7009), introspection (RFC 7662), metadata
// (RFC 8414) and the JWK Set of the keys that it signs with. Access tokens are
// JWTs by RFC 9068; refresh tokens are opaque, rotated at every use, and kept as
// a digest.
//
// It has no login page and no authorization endpoint: people log in at the
// application's own backend, which exchanges what it knows for tokens, or at an
// OpenID provider, which is the business of internal/login. Where things are
// kept, who is a client and which connections are live it knows by interfaces
// only. The server puts it together.
package issuer
