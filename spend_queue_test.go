package usher

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The queue gives entries in the order of their times, and the map holds no
// others: private, since nobody outside can see what is kept.
func TestMemorySpenderForgetsInOrder(t *testing.T) {
	m := &MemorySpender{}
	base := time.Now()
	const n = 1000
	for i, minutes := range rand.Perm(n) {
		id := [16]byte{byte(i), byte(i >> 8)}
		if err := m.Spend(t.Context(), id, base.Add(time.Duration(minutes+1)*time.Minute)); err != nil {
			t.Fatalf("Spend: got %v, want nil", err)
		}
	}
	for left := n; left > 0; left -= spentDrops {
		if len(m.queue) != left || len(m.spent) != left {
			t.Fatalf("entries: got %d queued and %d spent, want %d", len(m.queue), len(m.spent), left)
		}
		first := m.queue[0].until
		for _, e := range m.queue {
			if e.until < first {
				t.Fatalf("front of the queue: got %d, want the lowest, %d", first, e.until)
			}
		}
		m.drop(base.Add(2*n*time.Minute).UnixMicro(), 2*n*time.Minute)
	}
}

// An entry goes only when its time has passed by both clocks, so that setting
// the wall clock revives no ticket.
func TestMemorySpenderClocks(t *testing.T) {
	tests := []struct {
		name          string
		wall, elapsed time.Duration // How far each clock went.
		want          int
	}{
		{"before its time", 59 * time.Second, 59 * time.Second, 1},
		{"wall clock set ahead", time.Hour, time.Second, 1},
		{"wall clock set back", -time.Hour, time.Hour, 1},
		{"at its time", time.Minute, time.Minute, 1},
		{"past its time", 61 * time.Second, 61 * time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &MemorySpender{}
			m.start()
			start := m.since
			if err := m.Spend(t.Context(), [16]byte{1}, start.Add(time.Minute)); err != nil {
				t.Fatalf("Spend: got %v, want nil", err)
			}
			m.drop(start.Add(tt.wall).UnixMicro(), tt.elapsed)
			if got := len(m.spent); got != tt.want {
				t.Errorf("entries: got %d, want %d", got, tt.want)
			}
		})
	}
}
