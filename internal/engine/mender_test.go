package engine_test

import (
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// A cluster loses all that it had while nodes run that remember a revocation: one
// that starts afterwards must hear of it.
func TestLostRevocationsAreWrittenBack(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	var recorders [3]enginetest.Recorder
	options := engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}
	first, second := open(t, options), open(t, options)
	recorders[0].Subscribe(t, first)
	recorders[1].Subscribe(t, second)
	for _, name := range []string{"alice", "bob"} {
		if err := enginetest.Revoke(t.Context(), first, name, time.Minute); err != nil {
			t.Fatal(err)
		}
		for i := range recorders[:2] {
			if !recorders[i].Await(name, 20*time.Second) {
				t.Fatalf("node %d was not told of the revocation of %s", i, name)
			}
		}
	}
	c.Clear(t)
	await(t, 20*time.Second, "both nodes are well", func() bool {
		return first.Check(t.Context()) == nil && second.Check(t.Context()) == nil
	})
	late := open(t, options)
	recorders[2].Subscribe(t, late)
	for _, name := range []string{"alice", "bob"} {
		if !recorders[2].Await(name, 20*time.Second) {
			t.Errorf("the node that started after the loss was not told of the revocation of %s", name)
		}
	}
}
