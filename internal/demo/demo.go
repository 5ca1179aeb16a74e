package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/usher-ws/usher"
)

// DefaultListen is where the page is unless Options say otherwise.
const DefaultListen = "127.0.0.1:8080"

// Options say how the demo runs. The zero value is ready.
type Options struct {
	// Listen is the loopback address of the page; port 0 takes a free one.
	// Default: DefaultListen.
	Listen string
	// Secret signs the demo's tokens with HS256: at least 32 bytes. Default:
	// random.
	Secret usher.Secret
	// NodeChat is the folder with the chat in Node, a server.mjs whose packages
	// are installed; it is run. Where it cannot be, the demo says why and goes on
	// without. Default: none.
	NodeChat string
	// Explain writes what there is to say about an explain id, as the admin
	// listener at the URL admin has it. Default: the page cannot say.
	Explain func(ctx context.Context, out io.Writer, admin, id string) error
}

// CheckListen says whether the demo may listen on address: only on loopback,
// because it gives a login to everybody who can reach it.
func CheckListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT with a number as port, such as %s", address, DefaultListen)
	}
	switch host {
	case "localhost", "127.0.0.1", "::1":
		return nil
	}
	return fmt.Errorf("listen address %q: the demo logs in whoever asks, so it listens on localhost, 127.0.0.1 or [::1] only", address)
}

// Run prints the addresses of the demo to out and serves until ctx ends. It
// returns nil after an orderly end.
func Run(ctx context.Context, out io.Writer, o Options) error {
	s, err := Listen(o)
	if err != nil {
		return err
	}
	node := "a chat in Node too"
	if why := s.backends.whyNoNode; why != "" {
		node = "no chat in Node: " + why
	}
	_, err = fmt.Fprintf(out, "demo page: %s\nanother site, to attack from: %s\nbehind the gateway: a chat in Go; %s\nstop with Ctrl+C\n",
		s.URL(), s.OtherURL(), node)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Serve(ctx)
}

// A Server is the demo: the site with the page, the gateway behind it with its
// backends, and another site that attacks.
type Server struct {
	// Immutable after Listen.
	page, other net.Listener
	ring        *ring
	recorder    *recorder
	backends    *backends
	gateway     *gateway
	site        http.Handler
	otherSite   http.Handler
}

// Listen opens the listeners and starts the backends. The caller must call
// Serve or Close.
func Listen(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if err := CheckListen(o.Listen); err != nil {
		return nil, err
	}
	s := &Server{ring: newRing()}
	s.recorder = newRecorder(s.ring)
	var err error
	if s.page, err = net.Listen("tcp", o.Listen); errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the address is in use; choose another with --listen, such as --listen 127.0.0.1:0 for a free port (with make: make demo ARGS='--listen 127.0.0.1:0')", o.Listen)
	} else if err != nil {
		return nil, fmt.Errorf("listen for the demo page: %w", err)
	}
	if s.other, err = net.Listen("tcp", net.JoinHostPort(s.ip(), "0")); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the other site: %w", err), s.page.Close())
	}
	if err := s.build(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ip is the loopback address that all parts of the demo listen on.
func (s *Server) ip() string { return s.page.Addr().(*net.TCPAddr).IP.String() }

// build makes what is behind the listeners.
func (s *Server) build(o Options) error {
	h, err := newHouse(o.Secret)
	if err != nil {
		return err
	}
	if s.backends, err = startBackends(s.ip(), o.NodeChat, s.ring); err != nil {
		return err
	}
	s.gateway, err = newGateway(gatewayNeeds{
		IP: s.ip(), WhoAmI: "http://" + s.page.Addr().String() + whoamiPath, Chats: s.backends.chats(),
	}, h.key, &operatorLog{ring: s.ring, tries: &s.recorder.tries})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	pageRoutes(mux, &site{
		house: h, ring: s.ring, gateway: s.gateway, explain: o.Explain, home: s.URL(),
		about: about{
			Other:   addresses{Sibling: s.SiblingURL(), CrossSite: s.OtherURL()},
			WhyNode: s.backends.whyNoNode, Config: s.gateway.config,
		},
	})
	mux.Handle("/", s.recorder.wire(s.gateway.front()))
	names := []string{"localhost", s.ip()}
	s.site = onlyHosts(names, mux)
	s.otherSite = onlyHosts(names, otherRoutes(s.URL()))
	return nil
}

func urlOf(host string, l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// URL is the address of the page. It names localhost, so that the same machine
// under its number is another site.
func (s *Server) URL() string { return urlOf("localhost", s.page) }

// OtherURL is the address of a page on another site: another host name.
func (s *Server) OtherURL() string {
	host, _, _ := net.SplitHostPort(s.other.Addr().String())
	return urlOf(host, s.other)
}

// SiblingURL is the address of the same page as another origin of the same
// site: the same host name with another port, to which browsers send all
// cookies.
func (s *Server) SiblingURL() string { return urlOf("localhost", s.other) }

// Close gives up a Server that is not to be served.
func (s *Server) Close() error {
	err := errors.Join(s.page.Close(), s.other.Close())
	if s.backends != nil {
		err = errors.Join(err, s.backends.stop())
	}
	return err
}
