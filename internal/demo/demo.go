package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/usher-ws/usher"
)

// DefaultListen is where the page is unless Options say otherwise.
const DefaultListen = "127.0.0.1:8080"

// shutdownTime is how long open sockets have to say goodbye.
const shutdownTime = 4 * time.Second

// Options say how the demo runs. The zero value is ready.
type Options struct {
	// Listen is the loopback address of the page; port 0 takes a free one.
	// Default: DefaultListen.
	Listen string
	// Secret signs the demo's tokens with HS256: at least 32 bytes. Default:
	// random.
	Secret usher.Secret
}

// CheckListen says whether the demo may listen on address: only on loopback,
// because it gives a login to everybody who can reach it.
func CheckListen(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: want HOST:PORT, such as %s", address, DefaultListen)
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
	_, err = fmt.Fprintf(out, "demo page: %s\nanother site, to attack from: %s\nstop with Ctrl+C\n", s.URL(), s.OtherURL())
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return s.Serve(ctx)
}

// A Server is the demo's two sites: the one with the chat, and another one
// that attacks it.
type Server struct {
	// Immutable after Listen.
	page, other net.Listener
	ring        *ring
	recorder    *recorder
	live        *usher.Sessions
	site        http.Handler
	otherSite   http.Handler
}

// Listen opens both listeners. The caller must call Serve or Close.
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
		return nil, fmt.Errorf("listen on %s: the address is in use; choose another with --listen, such as --listen 127.0.0.1:0 for a free port", o.Listen)
	} else if err != nil {
		return nil, fmt.Errorf("listen for the demo page: %w", err)
	}
	host, _, _ := net.SplitHostPort(s.page.Addr().String())
	if s.other, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the other site: %w", err), s.page.Close())
	}
	if err := s.build(o.Secret); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// build makes the handlers of both sites.
func (s *Server) build(secret usher.Secret) error {
	operator := slog.New(&operatorLog{ring: s.ring, recorder: s.recorder})
	house, err := newHouse(secret)
	if err != nil {
		return err
	}
	s.live = house.live
	pages := addresses{
		home:      s.URL(),
		Sibling:   s.SiblingURL(),
		CrossSite: s.OtherURL(),
	}
	mux := http.NewServeMux()
	if err := guardedRoutes(mux, s.recorder, house, operator); err != nil {
		return err
	}
	pageRoutes(mux, house, s.ring, pages)
	names := []string{"localhost", s.page.Addr().(*net.TCPAddr).IP.String()}
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

// Close gives up the listeners of a Server that is not to be served.
func (s *Server) Close() error { return errors.Join(s.page.Close(), s.other.Close()) }

// Serve serves until ctx ends; then it tells the open sockets, waits for them
// a few seconds, and returns nil. Any other end is an error.
func (s *Server) Serve(ctx context.Context) error {
	// The handlers' context ends after the live sockets were told to go.
	handlers, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	servers := []*http.Server{newHTTPServer(handlers, s.site), newHTTPServer(handlers, s.otherSite)}
	ended := make(chan error, len(servers))
	for i, l := range []net.Listener{s.page, s.other} {
		go func() { ended <- servers[i].Serve(l) }()
	}
	running := len(servers)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-ended:
		running--
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	// Shutdown knows nothing of sockets: those that were admitted are told to
	// go, and those that wait for a verdict are cut when the time is over.
	if err := s.live.Drain(deadline, 0); err != nil {
		failure = errors.Join(failure, fmt.Errorf("end the live sockets: %w", err))
	}
	stop()
	for _, server := range servers {
		if err := server.Shutdown(deadline); err != nil {
			failure = errors.Join(failure, fmt.Errorf("stop the demo: %w", err), server.Close())
		}
	}
	s.recorder.drain(deadline)
	for range running {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failure = errors.Join(failure, err)
		}
	}
	return failure
}

func newHTTPServer(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// What it would log is about clients that went away.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}
