//go:build !linux

package server

import (
	"net"
	"net/http"
)

func listenPlain(address string) (net.Listener, error) { return listenNet(address) }

// receive returns l: net/http serves all.
func (s *Server) receive(l net.Listener, _ *http.Server) (net.Listener, func()) {
	return l, func() {}
}

// lend is for connections that are served by others first.
func lend(http.ResponseWriter, *http.Request) bool { return false }
