package engine

import "testing"

func TestDefaultReplicas(t *testing.T) {
	for servers, want := range map[int]int{1: 1, 2: 1, 3: 3, 5: 3} {
		if got := defaultReplicas(servers); got != want {
			t.Errorf("of %d servers: got %d, want %d", servers, got, want)
		}
	}
}
