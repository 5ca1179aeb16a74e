package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/usher-ws/usher/internal/observe"
	"github.com/usher-ws/usher/internal/socket"
)

const (
	// headTime is how long a client may take for its TLS handshake and the head
	// of a request, and before it for its PROXY header.
	headTime = 10 * time.Second
	// idleTime is how long a connection may be without a request.
	idleTime = 2 * time.Minute
	// maxHead bounds the head of a request, in bytes.
	maxHead = 64 << 10
)

// newHTTP returns a server with the bounds that both listeners have. It speaks
// HTTP/1.1 only: WebSocket over HTTP/2 is not supported, and browsers open a
// connection of its own for it where it is not.
func (s *Server) newHTTP(h http.Handler) *http.Server {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHead,
		ErrorLog: observe.ErrorLog(s.log), Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	return srv
}

// boundBody gives the body of a request the time of a head: a server reads on to
// its end before it takes the next request, so that strangers could hold
// connections with bodies that never come. A route lifts the bound for who is
// admitted.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(headTime))
	}
}

// listenNet is for what package net serves.
func listenNet(address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: socket.KeepAlive}
	return config.Listen(context.Background(), "tcp", address)
}

// listen opens both listeners.
func (s *Server) listen() (public, admin net.Listener, err error) {
	c := s.site.Load().config
	listen := listenNet
	if !c.ProxyProtocol && c.TLS == nil {
		listen = listenPlain
	}
	if public, err = listen(string(c.Listen)); err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	if admin, err = net.Listen("tcp", string(c.Admin)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("admin: %w", err), public.Close())
	}
	if c.ProxyProtocol {
		public = &proxyproto.Listener{Listener: public, ConnPolicy: s.proxyPolicy, ReadHeaderTimeout: headTime}
	}
	if c.TLS != nil {
		public = tls.NewListener(public, &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return s.site.Load().cert.get(), nil
			},
		})
	}
	return public, admin, nil
}

// proxyPolicy believes the PROXY header of trusted proxies, which must send one.
// To anybody else it is no HTTP, and is answered as such.
func (s *Server) proxyPolicy(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
	peer, err := netip.ParseAddrPort(o.Upstream.String())
	if err != nil {
		return proxyproto.SKIP, nil //nolint:nilerr // No address is not a trusted one.
	}
	for _, network := range s.site.Load().config.TrustedProxies {
		if network.Contains(peer.Addr().Unmap()) {
			return proxyproto.REQUIRE, nil
		}
	}
	return proxyproto.SKIP, nil
}
