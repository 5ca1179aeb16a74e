// The command standin has the hub pass for Ably's cloud, so that the suites of
// the SDKs run as they are: whatever they ask of a host of Ably goes to the hub,
// over TLS where they want TLS, and two small services of Ably that they use are
// answered here. The names of those hosts are to lead to this machine, and the
// certificate is to be trusted: see known-failures.md.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"
)

func main() {
	hub := flag.String("hub", "http://127.0.0.1:8080", "the hub")
	file := flag.String("ca", "ca.pem", "where the certificate goes that the suites are to trust")
	flag.Parse()
	log.Fatal(run(*hub, *file))
}

func run(hub, file string) error {
	target, err := url.Parse(hub)
	if err != nil {
		return err
	}
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, ca.pem(), 0o600); err != nil {
		return err
	}
	h := cloud{httputil.NewSingleHostReverseProxy(target)}
	plain := &http.Server{Addr: "127.0.0.1:80", Handler: h, ReadHeaderTimeout: time.Minute}
	secure := &http.Server{
		Addr: "127.0.0.1:443", Handler: h, TLSConfig: ca.config(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	failed := make(chan error)
	go func() { failed <- plain.ListenAndServe() }()
	go func() { failed <- secure.ListenAndServeTLS("", "") }()
	return <-failed
}

// A cloud answers for all hosts of Ably.
type cloud struct{ hub http.Handler }

func (c cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.Host, "internet-up."):
		fmt.Fprint(w, "yes")
	case strings.HasPrefix(r.Host, "echo.") && r.URL.Path == "/createJWT":
		createJWT(w, r)
	default:
		c.hub.ServeHTTP(w, r)
	}
}
