package hub

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A queue is as a slice is, whatever comes and goes.
func TestQueue(t *testing.T) {
	var q queue[int]
	var want []int
	for i := range 20_000 {
		if grows := i/1000%2 == 0; rand.IntN(10) < 4 == grows && len(want) > 0 {
			q.drop()
			want = want[1:]
		} else {
			q.push(i)
			want = append(want, i)
		}
		if q.len() != len(want) {
			t.Fatalf("got %d, want %d", q.len(), len(want))
		}
		if i%97 > 0 {
			continue
		}
		got := make([]int, q.len())
		for j := range got {
			got[j] = q.at(j)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		middle := 0
		if len(want) > 0 {
			middle = want[len(want)/2]
		}
		if n := q.count(func(v int) bool { return v < middle }); n != len(want)/2 {
			t.Fatalf("got %d that are less than %d, want %d", n, middle, len(want)/2)
		}
	}
	for q.len() > 0 {
		q.drop()
	}
	if q.parts != nil || q.spare != nil {
		t.Errorf("got %v and %v held where nothing is there", q.parts, q.spare)
	}
}

// A queue from which as much is taken as comes needs no more memory.
func TestQueueThatFlows(t *testing.T) {
	var q queue[*int]
	for range 3 * queuePart {
		q.push(nil)
	}
	flow := func() {
		for range queuePart {
			q.push(nil)
			q.drop()
		}
	}
	if n := testing.AllocsPerRun(100, flow); n > 1 { // The list of the parts, now and then.
		t.Errorf("got %.1f allocations for %d, want at most 1", n, queuePart)
	}
}
