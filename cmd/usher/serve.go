package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/server"
)

// defaultConfig is the file that is read where none is named.
const defaultConfig = "usher.yaml"

// A serveCommand runs the gateway until the process is told to stop.
type serveCommand struct {
	Sandbox bool   `help:"Let the Ably SDKs' own tests make apps of the hub for themselves. Only on loopback."`
	Config  string `placeholder:"FILE" help:"The configuration file. Default: $USHER_CONFIG, else usher.yaml where there is one, else none, when the environment is all."`
}

// Help is what "usher serve --help" says besides its flags.
func (serveCommand) Help() string {
	return `Variables that begin with USHER_ are part of the configuration and win over the
file. The log goes to standard error.

SIGHUP reads the configuration, its secrets and its certificate again; live
connections go on, and a configuration that is not good changes nothing. SIGTERM
and SIGINT end the process after it has told all clients to go; a second one
ends it at once.`
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, out output) error {
	// Signals are taken from the beginning, or one would end the process the hard
	// way while it reads its configuration.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	defer endAtSecond()()
	file, err := configFile(c.Config)
	if err != nil {
		return err
	}
	load := func() (*config.Config, error) { return config.Load(file, os.Environ()) }
	read, err := load()
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return fmt.Errorf("the configuration is not good:\n%w", problems)
	}
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	s, err := server.New(read, server.Options{
		Logs: out.stderr, Load: load, Ready: func(net.Addr, net.Addr) { close(ready) },
		Key: func(key usher.Secret) { fmt.Fprintln(out.stdout, "API key of the hub:", key.Reveal()) }, Sandbox: c.Sandbox,
	})
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		reloadAt(hangup, ready, stop, s)
	}()
	defer func() { <-done }()
	defer close(stop)
	return s.Run(ctx)
}

// configFile returns the name of the configuration file, or "" for none. Flag is
// what --config says.
func configFile(flag string) (string, error) {
	if name := cmp.Or(flag, os.Getenv("USHER_CONFIG")); name != "" {
		return name, nil
	}
	switch _, err := os.Stat(defaultConfig); {
	case err == nil:
		return defaultConfig, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	default:
		return "", fmt.Errorf("look for %s: %w", defaultConfig, err)
	}
}

// reloadAt reloads s at each signal of hangup, from the time when it is ready
// until stop.
func reloadAt(hangup <-chan os.Signal, ready, stop <-chan struct{}, s *server.Server) {
	select {
	case <-ready:
	case <-stop:
		return
	}
	for {
		select {
		case <-hangup:
			_ = s.Reload() // The server has logged what became of it.
		case <-stop:
			return
		}
	}
}

// endAtSecond ends the process at the second signal to stop: the first ends the
// context. It goes on until its result is called.
func endAtSecond() (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	quit := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2 {
			select {
			case <-signals:
			case <-quit:
				return
			}
		}
		os.Exit(exitFailed)
	}()
	return func() {
		signal.Stop(signals)
		close(quit)
		<-done
	}
}

// output is where a command writes. It is a type of its own because kong binds
// values by their type.
type output struct{ stdout, stderr io.Writer }
