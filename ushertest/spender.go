package ushertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// spenderRacers is how many calls race for one id.
	spenderRacers = 200
	// spenderKeeps is for how long the suite watches an id being remembered.
	// Stores whose entries live for whole seconds are served by it too.
	spenderKeeps = 1500 * time.Millisecond
	// spenderLong is longer than any run of the suite.
	spenderLong = time.Hour
)

// TestSpender runs the suite that every [usher.Spender] must pass: that an id
// is spent once, also under a race and after calls that were given up, and
// that it stays spent for as long as was asked. newSpender is called for each
// test and returns a spender to which the ids of the test are new; spenders of
// several nodes that share one store are tested by returning one that calls
// them in turn. The suite takes about two seconds, works inside a
// [testing/synctest] bubble, and asks for no more than 300 ids.
func TestSpender(t *testing.T, newSpender func(t *testing.T) usher.Spender) {
	t.Helper()
	for _, c := range spenderChecks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(t.Context(), newSpender(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// spenderChecks are functions that return what is wrong, so that they can be
// tried on spenders that are.
var spenderChecks = []struct {
	name  string
	check func(ctx context.Context, s usher.Spender) error
}{
	{"first succeeds, later are spent", checkOnce},
	{"ids are independent", checkIndependent},
	{"one of many racing succeeds", checkRace},
	{"remembered until its time", checkRemembers},
	{"a canceled call admits no second", checkCanceled},
	{"calls canceled in flight admit no second", checkCanceledRace},
	{"a time that has passed admits no second", checkPast},
	{"since when it remembers is constant", checkSince},
}

// suiteID returns the n-th id of a check: different ones differ in few bits.
func suiteID(check, n byte) [16]byte { return [16]byte{0: 0xa5, 7: check, 15: n} }

func later() time.Time { return time.Now().Add(spenderLong) }

// checkOnce also takes the id of zeros, which is one like any other.
func checkOnce(ctx context.Context, s usher.Spender) error {
	for _, id := range [][16]byte{{}, suiteID(1, 0)} {
		if err := s.Spend(ctx, id, later()); err != nil {
			return fmt.Errorf("first Spend of %x: got %w, want nil", id, err)
		}
		for n := 2; n <= 4; n++ {
			if err := wantSpent(s.Spend(ctx, id, later())); err != nil {
				return fmt.Errorf("call %d of Spend of %x: %w", n, id, err)
			}
		}
	}
	return nil
}

func wantSpent(err error) error {
	switch {
	case err == nil:
		return errors.New("got nil, want ErrSpent: it was admitted twice")
	case !errors.Is(err, usher.ErrSpent):
		return fmt.Errorf("got %w, want ErrSpent", err)
	}
	return nil
}

// checkIndependent spends an id and the 128 that differ from it in one bit.
func checkIndependent(ctx context.Context, s usher.Spender) error {
	ids := [][16]byte{suiteID(2, 0)}
	for bit := range 128 {
		id := ids[0]
		id[bit/8] ^= 1 << (bit % 8)
		ids = append(ids, id)
	}
	for _, id := range ids {
		if err := s.Spend(ctx, id, later()); err != nil {
			return fmt.Errorf("first Spend of %x: got %w, want nil", id, err)
		}
	}
	for _, id := range ids {
		if err := wantSpent(s.Spend(ctx, id, later())); err != nil {
			return fmt.Errorf("second Spend of %x: %w", id, err)
		}
	}
	return nil
}

func checkRace(ctx context.Context, s usher.Spender) error {
	for round := range byte(3) {
		id := suiteID(3, round)
		won := 0
		for _, err := range race(spenderRacers, func(int) error { return s.Spend(ctx, id, later()) }) {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, usher.ErrSpent):
				return fmt.Errorf("racing Spend: got %w, want nil or ErrSpent", err)
			}
		}
		if won != 1 {
			return fmt.Errorf("%d racing calls of Spend: got %d that succeeded, want 1", spenderRacers, won)
		}
	}
	return nil
}

// race calls f n times at once, and returns the results.
func race(n int, f func(i int) error) []error {
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

// checkRemembers watches ids until shortly before their time. That a later call
// names an earlier time, or that other ids end, must not matter.
func checkRemembers(ctx context.Context, s usher.Spender) error {
	short, long := suiteID(4, 1), suiteID(4, 2)
	until := time.Now().Add(spenderKeeps)
	if err := s.Spend(ctx, short, until); err != nil {
		return fmt.Errorf("first Spend: got %w, want nil", err)
	}
	if err := s.Spend(ctx, long, later()); err != nil {
		return fmt.Errorf("first Spend: got %w, want nil", err)
	}
	tick := time.NewTicker(spenderKeeps / 10)
	defer tick.Stop()
	for {
		err := wantSpent(s.Spend(ctx, short, until))
		if !time.Now().Before(until) {
			break // Whether it was still remembered is its own business.
		}
		if err != nil {
			return fmt.Errorf("Spend %v before the id's time: %w", time.Until(until), err)
		}
		if err := wantSpent(s.Spend(ctx, long, until)); err != nil {
			return fmt.Errorf("Spend of an id with a later time: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// Entries that have ended are cleared away here at the latest.
	if err := s.Spend(ctx, suiteID(4, 3), later()); err != nil {
		return fmt.Errorf("first Spend: got %w, want nil", err)
	}
	if err := wantSpent(s.Spend(ctx, long, later())); err != nil {
		return fmt.Errorf("Spend after the end of other ids: %w", err)
	}
	return nil
}

// checkCanceled: a call with a context that has ended may have spent the id or
// not, whatever it returns; but all calls together succeed at most once.
func checkCanceled(ctx context.Context, s usher.Spender) error {
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	id := suiteID(5, 0)
	return atMostOnce(ctx, s, id, []error{s.Spend(canceled, id, later())})
}

func checkCanceledRace(ctx context.Context, s usher.Spender) error {
	for round := range byte(3) {
		id := suiteID(6, round)
		canceled, cancel := context.WithCancel(ctx)
		results := race(spenderRacers, func(i int) error {
			if i == spenderRacers/2 {
				cancel()
				return canceled.Err()
			}
			return s.Spend(canceled, id, later())
		})
		cancel()
		if err := atMostOnce(ctx, s, id, results); err != nil {
			return err
		}
	}
	return nil
}

// checkPast: a time that has passed promises nothing of its own call, but must
// not let a later one in twice.
func checkPast(ctx context.Context, s usher.Spender) error {
	for n, until := range []time.Time{time.Now().Add(-time.Minute), {}} {
		id := suiteID(7, byte(n))
		_ = s.Spend(ctx, id, until) // Nil and an error are both right.
		if err := atMostOnce(ctx, s, id, nil); err != nil {
			return fmt.Errorf("after a Spend until %v: %w", until, err)
		}
	}
	return nil
}

// atMostOnce spends id twice more. With the results there are it must have
// succeeded at most once, and be spent at the end.
func atMostOnce(ctx context.Context, s usher.Spender, id [16]byte, results []error) error {
	results = append(results, s.Spend(ctx, id, later()))
	if last := results[len(results)-1]; last != nil && !errors.Is(last, usher.ErrSpent) {
		return fmt.Errorf("next Spend: got %w, want nil or ErrSpent", last)
	}
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		}
	}
	if won > 1 {
		return fmt.Errorf("got %d calls of Spend that succeeded, want at most 1", won)
	}
	if err := wantSpent(s.Spend(ctx, id, later())); err != nil {
		return fmt.Errorf("last Spend: %w", err)
	}
	return nil
}

// checkSince: a spender that says since when it remembers must not change its
// mind, or tickets that were used before its time would be taken.
func checkSince(ctx context.Context, s usher.Spender) error {
	f, ok := s.(interface{ Since() time.Time })
	if !ok {
		return nil
	}
	before := f.Since()
	if now := time.Now(); before.After(now) {
		return fmt.Errorf("Since: got %v, which is later than now, %v", before, now)
	}
	if err := s.Spend(ctx, suiteID(8, 0), later()); err != nil {
		return fmt.Errorf("first Spend: got %w, want nil", err)
	}
	if after := f.Since(); !after.Equal(before) {
		return fmt.Errorf("Since: got %v, want %v as before", after, before)
	}
	return nil
}
