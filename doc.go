// Package usher authenticates WebSocket connections from browsers, and ends
// them when their credential ends.
//
// Browsers cannot set headers on a WebSocket. A [Guard] stands in front of any
// [net/http.Handler] that speaks WebSocket, written with whatever library, and
// takes a credential by any of the ways that browsers have ([Carrier]): a
// single-use ticket, the subprotocol header, the first message, a cookie, the
// query, Basic; and by Bearer, for clients that are not browsers. A [Verifier]
// judges it. The handler runs for admitted connections only, finds out who is
// there by [FromContext], and never sees the credential.
//
// One line leads through the package:
//
//	carrier → credential → verifier → identity → connection
//
// The package serves no WebSocket itself: messages, rooms and compression are
// the handler's business. It also keeps no users and issues no tokens, except
// for [Tickets].
package usher
