package engine_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// Whoever can write to the bucket can write nonsense.
func TestNonsense(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	log := &notebook{}
	e := open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}, Log: slog.New(slog.NewTextHandler(log, nil))})
	var r enginetest.Recorder
	r.Subscribe(t, e)
	nc := c.Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_usher_revocations")
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.TrimSuffix(stream.CachedInfo().Config.Subjects[0], ">")
	for i, text := range []string{
		"", "null", "{}", "[]", `{"revocation":{}`, `{"revocation":{"subject":1}}`, `{"revocation":{"subject":"x"}}{}`,
		`{"renewal":{"routes":[]}}`, `{"revocation":{"subject":"x"},"renewal":{}}`, strings.Repeat("[", 10_000),
	} {
		if _, err := js.Publish(t.Context(), prefix+fmt.Sprint("n", i), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := nc.PublishRequest("usher.notice", "nobody", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := nc.Publish("usher.roll", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := enginetest.Revoke(t.Context(), e, "ann", time.Minute); err != nil {
		t.Fatal(err)
	}
	if !r.Await("ann", 20*time.Second) {
		t.Fatal("the revocation after it was not told")
	}
	for _, n := range r.Heard() {
		if n.Renewal == nil && (n.Revocation == nil || n.Revocation.Subject != "ann") {
			t.Errorf("got %+v, want nothing of the nonsense", n)
		}
	}
	if got := log.count("revocation cannot be read"); got != 10 {
		t.Errorf("got %d lines of what cannot be read, want 10", got)
	}
}

// Close ends what was subscribed, too: goleak would find it.
func TestCloseEndsSubscriptions(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	for _, o := range []engine.Options{{Memory: true}, {Data: t.TempDir()}, {NATS: &engine.NATS{URLs: c.URLs()}, Key: siteKey}} {
		e, err := engine.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		stop, err := e.Subscribe(t.Context(), func(usher.Notice) int { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		closeEngine(t, e)
		stop() // It may be late.
	}
}

// A node that hears nothing of what is new says that it is not well. Its
// consumer is taken away, and another one takes the last place that there is.
func TestDeaf(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	e := open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}})
	var r enginetest.Recorder
	r.Subscribe(t, e)
	js, err := jetstream.New(c.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_usher_revocations")
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]server.JetStreamAccountLimits{"": {MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: 1}}
	if err := c.Server(0).GlobalAccount().UpdateJetStreamLimits(limits); err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "plug"}); err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "Down", func() bool { return !e.Down().IsZero() })
	if err := e.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "watch bucket usher_revocations") {
		t.Errorf("check: got %v, want that it cannot watch", err)
	}
	if err := stream.DeleteConsumer(t.Context(), "plug"); err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "back", func() bool { return e.Down().IsZero() })
	if err := enginetest.Revoke(t.Context(), e, "ann", time.Minute); err != nil {
		t.Fatal(err)
	}
	if !r.Await("ann", 20*time.Second) {
		t.Error("a revocation was not told")
	}
}
