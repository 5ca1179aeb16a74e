//go:build linux

package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/usher-ws/usher/test/load/tokens"
)

// usherHub is ours. What it has acknowledged is in memory, or survives the end
// of the process.
func usherHub(name, durability, algorithm string, speaks *dialect) contender {
	engine := "{memory: true}"
	if durability != "memory" {
		engine = `{data: "OWNDIR/data"}`
	}
	return hubContender(name, algorithm, speaks, func(ctx context.Context, b *bench, r *running) error {
		return b.launch(ctx, r, b.usher, "hub.yaml", []string{"serve", "--config", "CONFIG"}, "ENGINE", engine, "DURABILITY", durability)
	}).asOurs()
}

func (c contender) asOurs() contender {
	c.ours = true
	return c
}

// centrifugo is the peer. With history a subscriber who comes back gets what it
// has missed, as from ours; without, it keeps nothing.
func centrifugo(name, algorithm string, history bool, speaks *dialect) contender {
	keeps := "history_size: 0"
	if history {
		keeps = "history_size: 4096, history_ttl: 2m, force_recovery: true"
	}
	return hubContender(name, algorithm, speaks, func(ctx context.Context, b *bench, r *running) error {
		command, err := find("centrifugo")
		if err != nil {
			return err
		}
		secret, public, err := centrifugoKeys(ctx, b.dir)
		if err != nil {
			return err
		}
		return b.launch(ctx, r, command, "centrifugo.yaml", []string{"-c", "CONFIG"}, "SECRET", secret, "PUBLIC", strconv.Quote(public), "HISTORY", keeps)
	})
}

// centrifugoKeys are the keys of a run as Centrifugo's configuration has them.
func centrifugoKeys(ctx context.Context, dir string) (secret, public string, err error) {
	text, err := os.ReadFile(tokens.File(dir, "HS256"))
	if err != nil {
		return "", "", err
	}
	set, err := tokens.Load("ES256", dir)
	if err != nil {
		return "", "", err
	}
	keys, err := set.Keys(ctx, "")
	if err != nil || len(keys) != 1 {
		return "", "", fmt.Errorf("got %d keys of ES256: %w", len(keys), err)
	}
	der, err := x509.MarshalPKIXPublicKey(keys[0].Public)
	return string(text), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// bareBroadcast is what a hub cannot be faster than, by far: gobwas on TCP.
func bareBroadcast(algorithm string) contender {
	return hubContender("gobwas on TCP", algorithm, plain, func(ctx context.Context, b *bench, r *running) error {
		p, addr, err := b.testServer(ctx, b.serverCore, "-mode", "broadcast", "-algorithm", algorithm)
		if err == nil {
			r.addr, r.measured = addr, []*process{p}
		}
		return err
	})
}

// checkedGorilla has net/http and a check of the token, and no hub.
func checkedGorilla(algorithm string) contender {
	c := handlers("gorilla + check", "check", "gorilla", "query", algorithm)
	c.speaks = onlyConnects
	return c
}

func hubContender(name, algorithm string, speaks *dialect, launch func(context.Context, *bench, *running) error) contender {
	return contender{name: name, algorithm: algorithm, speaks: speaks, start: func(ctx context.Context, b *bench) (*running, error) {
		r := &running{}
		if err := launch(ctx, b, r); err != nil {
			r.stop()
			return nil, err
		}
		return r, nil
	}}
}

var delivering = []column{
	{"cpu", "CPU µs each"},
	{"rate", "deliveries per second"},
	{"p50", "to all, p50 µs"},
	{"p99", "to all, p99 µs"},
	{"subscribers", "subscribers"},
	{"client", "client's CPU µs"},
}

func hubRows() []row {
	connecting := func(algorithm string) []contender {
		return []contender{
			usherHub("usher hub", "memory", algorithm, ablyJSON), centrifugo("Centrifugo", algorithm, false, centrifugoJSON),
			bareBroadcast(algorithm), checkedGorilla(algorithm),
		}
	}
	passing := []contender{
		usherHub("usher hub, memory", "memory", "HS256", ablyJSON),
		usherHub("usher hub, process", "process", "HS256", ablyJSON),
		centrifugo("Centrifugo", "HS256", false, centrifugoJSON),
		bareBroadcast("HS256"),
	}
	more := append(slices.Clone(passing),
		centrifugo("Centrifugo, history", "HS256", true, centrifugoJSON),
		usherHub("usher hub, memory, msgpack", "memory", "HS256", ablyMsgpack),
		centrifugo("Centrifugo, Protobuf", "HS256", false, centrifugoProtobuf),
	)
	both := []string{"cpu", "rate"}
	return []row{
		{"hub/connect", "Hub: connect with an HS256 token never seen", operations, []string{"cpu"}, connecting("HS256"), measureHubConnect},
		{"hub/reconnect", "Hub: reconnect with an ES256 token seen before", operations, []string{"cpu"}, connecting("ES256"), measureHubReconnect},
		{"hub/memory", "Hub: memory of an idle connection, attached to one channel", idling, []string{"user", "kernel"}, connecting("HS256")[:3], measureHubMemory},
		{"hub/fanout-1000", "Hub: one channel, 1,000 subscribers, as fast as it goes", delivering, both, more, measureFanout(1000, 1)},
		{"hub/fanout-1000-paced", "Hub: one channel, 1,000 subscribers, 20 messages in a second", delivering, []string{"cpu"}, passing, measurePaced(1000)},
		{"hub/fanout-10000", "Hub: one channel, 10,000 subscribers, as fast as it goes", delivering, both, passing, measureFanout(10000, 2)},
		{"hub/one-to-one", "Hub: 1,000 channels of one publisher and one subscriber, eight messages under way in each", operations, both, more, measureOneToOne(8)},
		{"hub/one-to-one-turns", "Hub: 1,000 channels of one publisher and one subscriber, one message under way in each", operations, both, passing, measureOneToOne(1)},
	}
}
