package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// A server that says nothing is noticed by pings: after two of them.
	pingEvery   = 1500 * time.Millisecond
	dialTimeout = 2 * time.Second
	// redialWait is how long it waits between tries, up to twice as long.
	redialWait = 100 * time.Millisecond
	// connectionName is what operators of the servers see a node by.
	connectionName = "usher"
)

// openCluster opens a store on servers that run elsewhere.
func openCluster(ctx context.Context, o Options) (store, error) {
	l, replicas, err := linkCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	return newJetStream(l, replicas, o.maxBytes, nil)
}

// linkCluster connects to servers that run elsewhere.
func linkCluster(ctx context.Context, o Options) (l *link, replicas int, err error) {
	n := *o.NATS
	n.Replicas = cmp.Or(n.Replicas, defaultReplicas(len(n.URLs)))
	if err := n.validate(); err != nil {
		return nil, 0, err
	}
	l = &link{log: o.Log, reach: newReach(o)}
	options := append(handlers(l.reach),
		nats.Name(connectionName),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(redialWait),
		nats.ReconnectJitter(redialWait, redialWait),
		nats.IgnoreAuthErrorAbort(),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(1),
		nats.FlusherTimeout(dialTimeout),
		// What cannot be sent now is an error now, and never sent later: who asked
		// has been refused by then.
		nats.ReconnectBufSize(-1),
		nats.NoEcho(),
	)
	if n.Credentials != "" {
		options = append(options, nats.UserCredentials(n.Credentials))
	}
	if n.CA != "" {
		options = append(options, nats.RootCAs(n.CA))
	}
	if l.nc, err = dial(ctx, &n, o.Log, options); err != nil {
		return nil, 0, fmt.Errorf("connect to NATS at %s: %w", n.hosts(), err)
	}
	return l, n.Replicas, nil
}

// defaultReplicas is on how many of so many servers a bucket is kept.
func defaultReplicas(servers int) int {
	if servers >= 3 {
		return 3
	}
	return 1
}

// dial tries until ctx ends. The last reason is the one that is told.
func dial(ctx context.Context, n *NATS, log *slog.Logger, options []nats.Option) (*nats.Conn, error) {
	for told := false; ; told = true {
		nc, err := nats.Connect(strings.Join(n.URLs, ","), options...)
		if err == nil {
			return nc, nil
		}
		if !told {
			log.Warn("engine is waiting for NATS", slog.String("servers", n.hosts()), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(redialWait):
		}
	}
}

func (n *NATS) validate() error {
	if len(n.URLs) == 0 {
		return errors.New("NATS: no URL")
	}
	for _, text := range n.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			return errors.New("NATS: a URL cannot be parsed") // Without the text: it may have a password.
		case u.Scheme != "nats" && u.Scheme != "tls":
			return fmt.Errorf("NATS: URL of scheme %.10q, want nats or tls", u.Scheme)
		case u.Host == "":
			return errors.New("NATS: URL without a host")
		}
	}
	if n.Replicas < 1 || n.Replicas > 5 {
		return fmt.Errorf("NATS: %d replicas, allowed are 1 to 5", n.Replicas)
	}
	for what, name := range map[string]string{"credentials": n.Credentials, "certificate authorities": n.CA} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return fmt.Errorf("NATS: %s: %w", what, err)
		}
	}
	return nil
}

// hosts names the servers, for errors.
func (n *NATS) hosts() string {
	var hosts []string
	for _, text := range n.URLs {
		if u, err := url.Parse(text); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	return strings.Join(hosts, ", ")
}

var _ slog.LogValuer = NATS{}

// LogValue names the servers only: a URL may have a password.
func (n NATS) LogValue() slog.Value { return slog.StringValue(n.hosts()) }
