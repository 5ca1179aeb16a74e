// Package gateway puts Guards in front of servers in other processes: a Route
// is a Guard, and behind it a tunnel for WebSocket handshakes and a reverse
// proxy for other requests. What is not WebSocket is never tunneled.
// An Ask is a verifier for those Guards that asks a server of the user's own.
//
// It knows no configuration file and owns no listener; package server builds
// its routes. It does not interpret messages.
package gateway
