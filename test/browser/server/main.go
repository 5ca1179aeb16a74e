// Command server is the site that the browser tests visit: one real Guard for
// each way to bring a credential, in front of handlers written with two
// WebSocket libraries, and a record of all that happened, for the tests to ask
// about. It is no example of how to serve anything: it sets whatever cookie it
// is asked to. Only the tests in the directory above start it.
package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

// ready is what the tests must know, written to standard output as one line.
type ready struct {
	Port      int    `json:"port"`       // The site, by TLS, under all its names.
	OtherPort int    `json:"other_port"` // The same site again: another origin.
	Control   string `json:"control"`    // Where the record is, as a URL.
	SPKI      string `json:"spki"`       // The SHA-256 of the certificate's public key.
	Secret    string `json:"secret"`     // What tokens are signed with (HS256).
}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// run serves until standard input ends, as it does when the tests end in
// whatever way.
func run() error {
	cert, spki, err := newCertificate()
	if err != nil {
		return err
	}
	var listeners [3]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	rec := &record{}
	secret := rand.Text() + rand.Text()
	site, err := newSite(rec, secret, port(listeners[0]))
	if err != nil {
		return err
	}
	public := &http.Server{
		Handler:           rec.door(site),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // Browsers break off connections they opened ahead.
	}
	control := &http.Server{Handler: rec, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, len(listeners))
	go func() { failed <- public.ServeTLS(listeners[0], "", "") }()
	go func() { failed <- public.ServeTLS(listeners[1], "", "") }()
	go func() { failed <- control.Serve(listeners[2]) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	if err := json.NewEncoder(os.Stdout).Encode(ready{
		Port: port(listeners[0]), OtherPort: port(listeners[1]),
		Control: fmt.Sprintf("http://%s/", listeners[2].Addr()), SPKI: spki, Secret: secret,
	}); err != nil {
		return err
	}
	return <-failed
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
