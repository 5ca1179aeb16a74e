package server_test

import (
	"testing"
	"time"
)

// TestDrainOfSilent: who has connected and has said nothing does not hold the end
// up.
func TestDrainOfSilent(t *testing.T) {
	g := trapped(t, newTrap(t, nil), "")
	connect(t, g.public)
	began := time.Now()
	g.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the drain took %v", took)
	}
}
