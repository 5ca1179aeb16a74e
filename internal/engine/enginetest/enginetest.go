package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/ushertest"
)

// soon is how long a node may take to hear of what another did, on a machine that
// is busy. That it takes less than a second on one that is not is a test of
// test/cluster.
const soon = 10 * time.Second

// Test runs the suite. open is called for each test and returns the engines of
// the nodes of one site, at least one, to which everything is new; it closes
// them with the test.
func Test(t *testing.T, open func(t *testing.T) []*engine.Engine) {
	t.Helper()
	t.Run("spender", func(t *testing.T) {
		ushertest.TestSpender(t, func(t *testing.T) usher.Spender { return &inTurn{nodes: open(t)} })
	})
	for _, c := range []struct {
		name string
		test func(t *testing.T, nodes []*engine.Engine)
	}{
		{"one racer over all nodes wins", testRace},
		{"an id that ends in the past is not spent", testPast},
		{"a revocation is told to all, and to who comes late", testRevocation},
		{"a revocation ends", testRevocationEnds},
		{"a revocation that is over or too long is an error", testBadNotices},
		{"claims come out as they went in", testClaims},
		{"renewals are counted", testRenewal},
		{"nobody is told after stop", testStop},
		{"keys are known to all nodes", testKeys},
		{"records are shared, and of racing writes one wins", testRecords},
		{"records end", testRecordsEnd},
		{"records that cannot be are errors", testBadRecords},
		{"apps are shared, and told of", testApps},
		{"of racing changes of an app none is lost", testAppRace},
		{"it is well", testWell},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// inTurn spends on one node after the other.
type inTurn struct {
	nodes []*engine.Engine

	mu   sync.Mutex
	next int
}

func (s *inTurn) Spend(ctx context.Context, id [16]byte, until time.Time) error {
	s.mu.Lock()
	s.next++
	e := s.nodes[s.next%len(s.nodes)]
	s.mu.Unlock()
	return e.Spend(ctx, id, until)
}

func (s *inTurn) Since() time.Time { return s.nodes[0].Since() }

func testRace(t *testing.T, nodes []*engine.Engine) {
	const racers, rounds = 200, 5
	for round := range byte(rounds) {
		id := [16]byte{0: 0x7a, 1: round}
		var won, other int
		for _, err := range Race(racers, func(i int) error {
			return nodes[i%len(nodes)].Spend(t.Context(), id, time.Now().Add(time.Minute))
		}) {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, usher.ErrSpent):
				other++
				t.Logf("round %d: %v", round, err)
			}
		}
		if won != 1 || other != 0 {
			t.Errorf("round %d of %d racers: got %d winners and %d other errors, want 1 and 0", round, racers, won, other)
		}
	}
}

// Race calls f n times at once, and returns the results.
func Race(n int, f func(i int) error) []error {
	results := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return results
}

func testPast(t *testing.T, nodes []*engine.Engine) {
	if err := nodes[0].Spend(t.Context(), [16]byte{1}, time.Now().Add(-time.Second)); err == nil {
		t.Error("got nil, want an error: nothing remembers the id")
	}
}

func testRevocation(t *testing.T, nodes []*engine.Engine) {
	recorders := make([]Recorder, len(nodes))
	for i, e := range nodes {
		recorders[i].Subscribe(t, e)
	}
	for n := range 20 {
		if err := Revoke(t.Context(), nodes[n%len(nodes)], fmt.Sprint("user", n), time.Minute); err != nil {
			t.Fatalf("revoke: %v", err)
		}
	}
	for n := range 20 {
		for i := range recorders {
			if !recorders[i].Await(fmt.Sprint("user", n), soon) {
				t.Fatalf("node %d was not told of revocation %d within %v", i, n, soon)
			}
		}
	}
	var late Recorder
	late.Subscribe(t, nodes[len(nodes)-1])
	if got := len(late.Heard()); got != 20 {
		t.Errorf("who comes late: got %d revocations when Subscribe returned, want 20", got)
	}
	first := late.Heard()[0]
	if first.Revocation.Reason != "left" || first.Revocation.IssuedBefore.IsZero() || first.Until.IsZero() || first.Renewal != nil {
		t.Errorf("got %+v, want what was published", first.Revocation)
	}
}

func testRevocationEnds(t *testing.T, nodes []*engine.Engine) {
	if err := Revoke(t.Context(), nodes[0], "short", 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := Revoke(t.Context(), nodes[0], "long", time.Minute); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(8 * time.Second)
	for {
		var r Recorder
		r.Subscribe(t, nodes[len(nodes)-1])()
		if !r.Revoked("long") {
			t.Fatal("the other revocation was not told")
		}
		if !r.Revoked("short") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("a revocation was told long after its end")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func testBadNotices(t *testing.T, nodes []*engine.Engine) {
	until := time.Now().Add(time.Minute)
	long := make([]byte, 64<<10)
	for i := range long {
		long[i] = 'x'
	}
	for name, n := range map[string]usher.Notice{
		"of nothing": {Until: until},
		"of both":    {Revocation: &usher.Revocation{Subject: "a"}, Renewal: &usher.Renewal{}, Until: until},
		"is over":    {Revocation: &usher.Revocation{Subject: "a"}, Until: time.Now().Add(-time.Second)},
		"no end":     {Revocation: &usher.Revocation{Subject: "a"}},
		"too long":   {Revocation: &usher.Revocation{Subject: string(long)}, Until: until},
	} {
		if _, err := nodes[0].Publish(t.Context(), n); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	var r Recorder
	r.Subscribe(t, nodes[0])
	if got := r.Heard(); len(got) != 0 {
		t.Errorf("got %d notices kept, want none", len(got))
	}
}

// others are the nodes without the first; nil where there is only one.
func others(nodes []*engine.Engine) []*engine.Engine { return nodes[1:] }

func testClaims(t *testing.T, nodes []*engine.Engine) {
	recorders := make([]Recorder, len(nodes))
	for i, e := range nodes {
		recorders[i].Subscribe(t, e)
	}
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	sent := usher.Renewal{
		Identity: usher.Identity{
			Subject: "ann", Issuer: "test", Expires: expires,
			Claims: usher.Claims{"big": json.Number("9007199254740993"), "list": []any{"a", json.Number("1")}},
		},
		Routes: []string{"/chat"},
	}
	published := 0
	await(t, "all have heard", func() bool {
		if published++; published > 1 { // A renewal is not kept for who was not known yet.
			time.Sleep(100 * time.Millisecond)
		}
		_, err := nodes[0].Publish(t.Context(), usher.Notice{Renewal: &sent})
		for i := range others(nodes) {
			if len(recorders[i+1].Heard()) == 0 {
				return false
			}
		}
		return err == nil
	})
	for i := range others(nodes) {
		heard := recorders[i+1].Heard()
		if len(heard) > published || heard[0].Renewal == nil {
			t.Fatalf("node %d: got %d notices, want the renewal %d times", i+1, len(heard), published)
		}
		got := heard[0].Renewal
		if got.Identity.Claims["big"] != json.Number("9007199254740993") || !got.Identity.Expires.Equal(expires) ||
			got.Identity.Subject != "ann" || len(got.Routes) != 1 {
			t.Errorf("node %d: got %+v, want %+v", i+1, *got, sent)
		}
	}
}

func testRenewal(t *testing.T, nodes []*engine.Engine) {
	recorders := make([]Recorder, len(nodes))
	want := 0
	for i, e := range nodes {
		recorders[i].Renews = 1 << i
		recorders[i].Subscribe(t, e)
		if i > 0 {
			want += 1 << i
		}
	}
	renew := func() (int, error) {
		return nodes[0].Publish(t.Context(), usher.Notice{Renewal: &usher.Renewal{Identity: usher.Identity{Subject: "ann"}}})
	}
	// Nodes need a moment until they know of each other.
	await(t, "all are known", func() bool { got, err := renew(); return err == nil && got == want })
	for range 3 {
		await(t, "all have answered in time", func() bool {
			got, err := renew()
			if got > want || err == nil && got != want {
				t.Errorf("got %d and %v, want %d connections of the other nodes", got, err, want)
			}
			return err == nil // On a machine that is busy not all can, and then it is said.
		})
	}
	if heard := recorders[0].Heard(); len(heard) != 0 {
		t.Errorf("got %d notices on the node itself, want none", len(heard))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nodes[0].Publish(ctx, usher.Notice{Revocation: &usher.Revocation{Subject: "a"}, Until: time.Now().Add(time.Hour)}); err == nil {
		t.Error("a revocation in a context that has ended: got nil, want an error")
	}
}

func testStop(t *testing.T, nodes []*engine.Engine) {
	var stopped, live Recorder
	stop := stopped.Subscribe(t, nodes[0])
	live.Subscribe(t, nodes[0])
	stop()
	if err := Revoke(t.Context(), nodes[len(nodes)-1], "ann", time.Minute); err != nil {
		t.Fatal(err)
	}
	if !live.Await("ann", soon) {
		t.Fatal("the other subscriber was not told")
	}
	if got := stopped.Heard(); len(got) != 0 {
		t.Errorf("got %d notices after stop, want none", len(got))
	}
}

func testKeys(t *testing.T, nodes []*engine.Engine) {
	key, text, err := nodes[0].Keys().Create(t.Context(), engine.Key{Name: "ci", May: []string{engine.MayExplain}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := nodes[0].Keys().Verify(text); err != nil || got.ID != key.ID {
		t.Errorf("on its own node at once: got %q and %v, want %q", got.ID, err, key.ID)
	}
	for i, e := range nodes {
		await(t, fmt.Sprintf("node %d knows the key", i), func() bool {
			got, err := e.Keys().Verify(text)
			return err == nil && got.ID == key.ID && got.Allows(engine.MayExplain)
		})
	}
	last := nodes[len(nodes)-1]
	if _, err := last.Keys().Disable(t.Context(), key.ID, true); err != nil {
		t.Fatal(err)
	}
	for i, e := range nodes {
		await(t, fmt.Sprintf("node %d refuses the disabled key", i), func() bool {
			_, err := e.Keys().Verify(text)
			return errors.Is(err, engine.ErrBadKey)
		})
	}
	if err := last.Keys().Remove(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	for i, e := range nodes {
		await(t, fmt.Sprintf("node %d forgets the removed key", i), func() bool {
			_, ok := e.Keys().Find(key.ID)
			return !ok
		})
	}
	if err := nodes[0].Keys().Remove(t.Context(), key.ID); !errors.Is(err, engine.ErrNoKey) {
		t.Errorf("remove it again: got %v, want ErrNoKey", err)
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", soon, what)
		}
	}
}

func testWell(t *testing.T, nodes []*engine.Engine) {
	for i, e := range nodes {
		if err := e.Check(t.Context()); err != nil {
			t.Errorf("node %d: check: got %v, want nil", i, err)
		}
		if down := e.Down(); !down.IsZero() {
			t.Errorf("node %d: down since: got %v, want never", i, down)
		}
		if since := e.Since(); since.IsZero() || since.After(time.Now()) {
			t.Errorf("node %d: since: got %v, want a time that has passed", i, since)
		}
		if kind := e.Kind(); kind != nodes[0].Kind() || kind == "" {
			t.Errorf("node %d: kind: got %q, want %q", i, kind, nodes[0].Kind())
		}
	}
}
