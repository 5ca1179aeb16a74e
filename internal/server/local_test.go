package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// Who may not write is told what to set; other reasons say it themselves.
func TestExplainOpen(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"not ours", syscall.EACCES, true},
		{"read only", syscall.EROFS, true},
		{"in the way", syscall.ENOTDIR, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := explainOpen(fmt.Errorf("open engine: data directory /data cannot be made: %w", tt.err))
			if !errors.Is(err, tt.err) || strings.Contains(err.Error(), "USHER_ENGINE_DATA") != tt.want {
				t.Errorf("got %v, want the advice %v", err, tt.want)
			}
		})
	}
}

// Who counts as somebody on this machine: no test can connect from another.
func TestIsLocal(t *testing.T) {
	for _, tt := range []struct {
		name, peer, own, host, header string
		want                          bool
	}{
		{"loopback", "127.0.0.1:1000", "127.0.0.1:8081", "127.0.0.1:8081", "", true},
		{"loopback by name", "127.0.0.1:1000", "127.0.0.1:8081", "LOCALHOST:8081", "", true},
		{"loopback without port", "127.0.0.1:1000", "127.0.0.1:80", "localhost", "", true},
		{"loopback of version 6", "[::1]:1000", "[::1]:8081", "[::1]:8081", "", true},
		{"loopback in version 6", "[::ffff:127.0.0.1]:1000", "[::ffff:127.0.0.1]:8081", "127.0.0.1:8081", "", true},
		{"own address", "10.0.0.5:1000", "10.0.0.5:8081", "10.0.0.5:8081", "", true},
		{"own address of version 6", "[fd00::5]:1000", "[fd00::5]:8081", "[fd00::5]:8081", "", true},
		{"another machine", "10.0.0.6:1000", "10.0.0.5:8081", "10.0.0.5:8081", "", false},
		{"another machine that says localhost", "10.0.0.6:1000", "10.0.0.5:8081", "localhost", "", false},
		{"another machine that says 127.0.0.1", "10.0.0.6:1000", "10.0.0.5:8081", "127.0.0.1:8081", "", false},
		{"a name", "127.0.0.1:1000", "127.0.0.1:8081", "usher.internal:8081", "", false},
		{"a name like localhost", "127.0.0.1:1000", "127.0.0.1:8081", "localhost.example", "", false},
		{"no name", "127.0.0.1:1000", "127.0.0.1:8081", "", "", false},
		{"proxied", "127.0.0.1:1000", "127.0.0.1:8081", "127.0.0.1:8081", "X-Forwarded-For", false},
		{"proxied, the standard's", "127.0.0.1:1000", "127.0.0.1:8081", "127.0.0.1:8081", "Forwarded", false},
		{"proxied, via", "127.0.0.1:1000", "127.0.0.1:8081", "127.0.0.1:8081", "Via", false},
		{"unknown peer", "@", "127.0.0.1:8081", "127.0.0.1:8081", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own, err := net.ResolveTCPAddr("tcp", tt.own)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{Host: tt.host, RemoteAddr: tt.peer, Header: make(http.Header), ProtoMajor: 1, ProtoMinor: 1}
			if tt.header != "" {
				r.Header.Set(tt.header, "192.0.2.1")
			}
			r = r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(own)))
			if got := isLocal(r); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			r.ProtoMinor = 0 // As a proxy's that was not told otherwise.
			if isLocal(r) {
				t.Error("a request of HTTP/1.0 counts as local")
			}
		})
	}
}
