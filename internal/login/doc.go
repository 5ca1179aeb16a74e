// Package login logs people in at an OpenID provider, for browsers that have no
// tokens yet: the code flow with PKCE (OpenID Connect Core, RFC 7636), a session
// cookie that a Guard's carrier then judges, logout here and at the provider
// (RP-Initiated Logout), and logout from there (Back-Channel Logout).
//
// It issues no tokens, and knows no routes. Where sessions are kept and which
// connections are live it knows by interfaces only. The server puts it together.
//
// A session is a record in a Store. The store has the digest of the cookie and a
// text that only the cookie opens, so that neither a copy of the store nor its
// operator gets anybody in, or at anybody's refresh token.
package login
