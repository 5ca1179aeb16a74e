//go:build linux

// Command server is what the load is sent to: handlers with each WebSocket
// library, with a Guard in front, with a check of their own or with none, and
// what proxies need beside them. Command load starts it, and talks to it by
// lines on its standard input; at its end the server ends.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// options are the command line.
type options struct {
	mode, library, carrier, algorithm, dir, upstream string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("server: ")
	var o options
	flag.StringVar(&o.mode, "mode", "guard", "guard, check, bare, backend, auth, reverse, broadcast or tickets")
	flag.StringVar(&o.library, "library", "gobwas", "gobwas, gorilla or coder")
	flag.StringVar(&o.carrier, "carrier", "bearer", "how the credential comes")
	flag.StringVar(&o.algorithm, "algorithm", "HS256", "algorithm of the tokens")
	flag.StringVar(&o.dir, "dir", ".", "directory of the keys")
	flag.StringVar(&o.upstream, "upstream", "", "address behind reverse")
	flag.Parse()
	if err := run(context.Background(), o, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until in ends.
func run(ctx context.Context, o options, in io.Reader, out io.Writer) error {
	switch o.mode {
	case "tickets":
		fmt.Fprintln(out, "ready -")
		return answer(in, out, map[string]command{"make": makeTickets})
	case "backend":
		b, err := newBackend()
		if err != nil {
			return err
		}
		defer b.close()
		go b.serve()
		fmt.Fprintln(out, "ready", b.addr)
		return answer(in, out, nil)
	case "broadcast":
		check, err := newCheck(ctx, o)
		if err != nil {
			return err
		}
		b, err := newBroadcast(check)
		if err != nil {
			return err
		}
		defer b.listener.Close()
		go b.serve()
		fmt.Fprintln(out, "ready", b.listener.Addr())
		return answer(in, out, nil)
	}
	h, sessions, err := handler(ctx, o)
	if err != nil {
		return err
	}
	// As the gateway does: see KeepAlive of internal/socket.
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Interval: 10 * time.Second}}
	l, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/chat", h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	defer srv.Close()
	go srv.Serve(l)
	fmt.Fprintln(out, "ready", l.Addr())
	return answer(in, out, map[string]command{
		"goroutines": func([]string) (string, error) { return fmt.Sprint(runtime.NumGoroutine()), nil },
		"revoke": func(args []string) (string, error) {
			if len(args) != 1 {
				return "", errors.New("revoke whom?")
			}
			n, err := sessions.Revoke(ctx, usher.Revocation{Subject: args[0]})
			return fmt.Sprint(n), err
		},
	})
}

// A command answers one line.
type command func(args []string) (string, error)

// answer obeys lines until there are no more: a word, and its arguments. Each
// is answered by one line that begins with ok, or with error.
func answer(in io.Reader, out io.Writer, commands map[string]command) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		do, ok := commands[words[0]]
		if !ok {
			fmt.Fprintf(out, "error unknown command %q\n", words[0])
			continue
		}
		if text, err := do(words[1:]); err != nil {
			fmt.Fprintln(out, "error", err)
		} else {
			fmt.Fprintln(out, "ok", text)
		}
	}
	return lines.Err()
}
