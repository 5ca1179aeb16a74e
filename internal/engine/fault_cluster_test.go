package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// A notebook is a log whose lines a test can count.
type notebook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *notebook) count(s string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Count(n.text.String(), s)
}

// behind opens an engine behind a proxy, with its log, and one that is not.
func behind(t *testing.T, c *enginetest.Cluster) (cut, other *engine.Engine, p *proxy, log *notebook) {
	t.Helper()
	p = newProxy(t, strings.TrimPrefix(c.URLs()[0], "nats://"))
	log = &notebook{}
	cut = open(t, engine.Options{NATS: &engine.NATS{URLs: []string{p.url()}}, Log: slog.New(slog.NewTextHandler(log, nil))})
	other = open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()[:1]}})
	return cut, other, p, log
}

// wantCutOff checks what an engine says that knows that it is cut off.
func wantCutOff(t *testing.T, e *engine.Engine, r *engine.Records) {
	t.Helper()
	start := time.Now()
	if _, err := r.Create(t.Context(), "x", nil, minute()); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("create record: got %v, want ErrUnavailable", err)
	}
	if _, _, err := r.Get(t.Context(), "x"); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("get record: got %v, want ErrUnavailable", err)
	}
	if _, err := r.Update(t.Context(), "x", nil, 1, minute()); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("update record: got %v, want ErrUnavailable", err)
	}
	if err := r.Remove(t.Context(), "x"); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("remove record: got %v, want ErrUnavailable", err)
	}
	if err := e.Spend(t.Context(), [16]byte{3}, minute()); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("spend: got %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("spend took %v, want no wait", took)
	}
	if err := enginetest.Revoke(t.Context(), e, "bob", time.Minute); err == nil {
		t.Error("revoke: got nil, want an error")
	}
	if _, err := e.Publish(t.Context(), usher.Notice{Renewal: &usher.Renewal{}}); err == nil {
		t.Error("renew: got nil, want an error")
	}
	if err := e.Check(t.Context()); err == nil {
		t.Error("check: got nil, want an error")
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("all that took %v, want no wait but that for answers to a renewal", took)
	}
}

func TestCutOff(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	e, other, p, log := behind(t, c)
	var r enginetest.Recorder
	r.Subscribe(t, e)
	_, text, err := other.Keys().Create(t.Context(), engine.Key{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "the key is known", func() bool { _, err := e.Keys().Verify(text); return err == nil })
	before, families := e.Since(), openFamilies(t, e)
	for round := range 3 {
		p.cut()
		await(t, 20*time.Second, "Down", func() bool { return !e.Down().IsZero() })
		wantCutOff(t, e, families)
		if _, err := e.Keys().Verify(text); err != nil {
			t.Errorf("a key while cut off: got %v, want it to be valid", err)
		}
		name := fmt.Sprint("user", round)
		if err := enginetest.Revoke(t.Context(), other, name, time.Minute); err != nil {
			t.Fatal(err)
		}
		if r.Revoked(name) {
			t.Fatal("it was told while it was cut off: this tests nothing")
		}
		p.open(t)
		if !r.Await(name, time.Second) {
			t.Error("what was missed was not told within a second of being back")
		}
		await(t, 20*time.Second, "back", func() bool { return e.Down().IsZero() })
		if err := e.Spend(t.Context(), [16]byte{4, byte(round)}, minute()); err != nil {
			t.Errorf("spend, back: got %v, want nil", err)
		}
		if got := log.count("engine is out of reach"); got != round+1 {
			t.Errorf("got %d lines that it is out of reach, want %d", got, round+1)
		}
		// It is said once it is so.
		await(t, 20*time.Second, "a line that it is back", func() bool { return log.count("engine is back") > round })
		if got := log.count("engine is back"); got != round+1 {
			t.Errorf("got %d lines that it is back, want %d", got, round+1)
		}
	}
	if err := e.Spend(t.Context(), [16]byte{3}, minute()); err != nil {
		t.Errorf("what was refused while cut off: got %v, want it unspent", err)
	}
	if got := e.Since(); !got.Equal(before) {
		t.Errorf("since: got %v, want %v as before", got, before)
	}
}

// A connection that is there and carries nothing.
func TestHalfOpen(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	e, other, p, _ := behind(t, c)
	var r enginetest.Recorder
	r.Subscribe(t, e)
	families := openFamilies(t, e)
	p.muted.Store(true)
	start := time.Now()
	if err := e.Spend(t.Context(), [16]byte{1}, minute()); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("spend: got %v, want ErrUnavailable", err)
	}
	if took := time.Since(start); took > 4500*time.Millisecond {
		t.Errorf("spend took %v, want 2 s", took)
	}
	await(t, 20*time.Second, "Down", func() bool { return !e.Down().IsZero() })
	t.Logf("noticed after %v", time.Since(start))
	wantCutOff(t, e, families)
	if err := enginetest.Revoke(t.Context(), other, "ann", time.Minute); err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "the connection counts as dead", func() bool {
		return strings.Contains(fmt.Sprint(e.Check(t.Context())), "stale connection") || time.Since(start) > 5*time.Second
	})
	p.muted.Store(false)
	back := time.Now()
	// Whoever is dialing into the silence waits for its end first.
	if !r.Await("ann", 20*time.Second) {
		t.Error("what was missed was not told")
	}
	await(t, 20*time.Second, "back", func() bool { return e.Down().IsZero() })
	t.Logf("back after %v", time.Since(back))
}

// Nothing is asked: the silence is noticed all the same.
func TestHalfOpenIdle(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	e, _, p, _ := behind(t, c)
	p.muted.Store(true)
	start := time.Now()
	await(t, 20*time.Second, "Down", func() bool { return !e.Down().IsZero() })
	t.Logf("noticed after %v", time.Since(start))
}

// The server ends and comes back, with its disk and without.
func TestServerGoneAndBack(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	e := open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}})
	var r enginetest.Recorder
	r.Subscribe(t, e)
	since, families := e.Since(), openFamilies(t, e)
	text := fill(t, e)
	c.Stop(0)
	await(t, 20*time.Second, "Down", func() bool { return !e.Down().IsZero() })
	wantCutOff(t, e, families)
	c.Start(t, 0)
	await(t, 20*time.Second, "back", func() bool { return e.Down().IsZero() })
	wantFilled(t, e, text)
	if got := e.Since(); !got.Equal(since) {
		t.Errorf("since: got %v, want %v as before", got, since)
	}

	c.Stop(0)
	await(t, 20*time.Second, "Down again", func() bool { return !e.Down().IsZero() })
	if err := os.RemoveAll(c.Dir(0)); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	c.Start(t, 0)
	await(t, 20*time.Second, "back", func() bool { return e.Down().IsZero() })
	if got := e.Since(); got.Before(lost.Truncate(time.Microsecond)) {
		t.Errorf("since: got %v, want a time after the loss at %v", got, lost)
	}
	await(t, 20*time.Second, "the key is forgotten", func() bool { _, err := e.Keys().Verify(text); return err != nil })
	if err := enginetest.Revoke(t.Context(), e, "carol", time.Minute); err != nil {
		t.Fatal(err)
	}
	if !r.Await("carol", 20*time.Second) {
		t.Error("a revocation after the loss was not told")
	}
}

// The streams are deleted while two nodes are connected, and one that has not
// noticed must not spend anew what was spent before.
func TestStreamsDeleted(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	var nodes []*engine.Engine
	var recorders [2]enginetest.Recorder
	for i := range recorders {
		nodes = append(nodes, open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}))
		recorders[i].Subscribe(t, nodes[i])
	}
	for round := range byte(5) {
		id := [16]byte{round}
		since := []time.Time{nodes[0].Since(), nodes[1].Since()}
		if err := nodes[0].Spend(t.Context(), id, minute()); err != nil {
			t.Fatalf("spend: %v", err)
		}
		c.Clear(t)
		for end := time.Now().Add(20 * time.Second); ; {
			again := 0
			for i, e := range nodes {
				before := e.Since()
				err := e.Spend(t.Context(), [16]byte{round}, minute())
				if err == nil && before.Equal(since[i]) && e.Since().Equal(since[i]) {
					t.Fatal("spent twice, and the bucket counts as the old one")
				}
				if err == nil || errors.Is(err, usher.ErrSpent) {
					again++
				}
			}
			if again == len(nodes) && nodes[0].Since().After(since[0]) && nodes[1].Since().After(since[1]) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("not well 20 s after: %v, %v", nodes[0].Check(t.Context()), nodes[1].Check(t.Context()))
			}
		}
		name := fmt.Sprint("user", round)
		await(t, 20*time.Second, "a revocation is kept", func() bool {
			return enginetest.Revoke(t.Context(), nodes[0], name, time.Minute) == nil
		})
		for i := range recorders {
			if !recorders[i].Await(name, 20*time.Second) {
				t.Fatalf("node %d was not told of a revocation after the loss", i)
			}
		}
	}
}

// A server of three is stopped under racing spends, the one that leads them.
func TestLeaderStopped(t *testing.T) {
	c := enginetest.NewCluster(t, 3, nil)
	var nodes []*engine.Engine
	for range 3 {
		nodes = append(nodes, open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}))
	}
	var won, none, lost int
	for round := range byte(3) {
		var leader int
		await(t, 20*time.Second, "a leader", func() bool {
			leader = c.Leader("KV_usher_spent")
			return leader >= 0 && nodes[0].Down().IsZero() && nodes[1].Down().IsZero() && nodes[2].Down().IsZero()
		})
		var stopped sync.WaitGroup
		stopped.Go(func() {
			time.Sleep(time.Duration(round) * 2 * time.Millisecond)
			c.Stop(leader)
		})
		winners := 0
		start := time.Now()
		for _, err := range enginetest.Race(200, func(i int) error {
			return nodes[i%3].Spend(t.Context(), [16]byte{0: 9, 1: round}, minute())
		}) {
			switch {
			case err == nil:
				winners++
			case errors.Is(err, usher.ErrSpent):
			case errors.Is(err, usher.ErrUnavailable):
				lost++
			default:
				t.Errorf("got %v, want nil, ErrSpent or ErrUnavailable", err)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the racers took %v, want about 2 s at most", took)
		}
		stopped.Wait()
		if winners > 1 {
			t.Errorf("got %d winners, want at most 1", winners)
		}
		won += winners
		if winners == 0 {
			none++
		}
		c.Start(t, leader)
	}
	t.Logf("won %d, nobody %d times, told that it is unavailable %d", won, none, lost)
}

func TestNobodyThere(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := engine.Open(ctx, engine.Options{NATS: &engine.NATS{URLs: []string{"nats://someone:s3cret@127.0.0.1:1"}}})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v, want an error that names the host and not the password", err)
	}
}
