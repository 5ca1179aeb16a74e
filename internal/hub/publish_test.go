package hub_test

import (
	"testing"

	"github.com/usher-ws/usher/internal/hub"
)

// Who publishes with the id that another connection's next message will have
// does not make that a repeat.
func TestIDsOfAnotherConnection(t *testing.T) {
	a := newApp(t, hub.AppOptions{})
	victim, other := connect(t, a), connect(t, a)
	seen := attach(t, connect(t, a), "chat", hub.Attaching{})
	say := func(c *hub.Connection, id, text string) {
		t.Helper()
		p := hub.Publication{Channel: "chat", Base: victim.ID() + ":0", Messages: []hub.Message{{ID: id, Data: text, Form: hub.Text}}}
		if err := c.Publish(p, func(_ hub.Position, err error) { wantError(t, err, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	id := victim.ID() + ":0:0"
	say(other, id, "forged")
	say(victim, "", "real")
	say(victim, "", "real") // Sent again.
	p := hub.Publication{Channel: "chat", Messages: []hub.Message{{ID: id, Data: "by REST", Form: hub.Text}}}
	if _, err := a.Publish(t.Context(), "", p); err != nil { // As the forged one.
		t.Fatal(err)
	}
	if got := seen.texts(t); got != "[forged real]" {
		t.Errorf("got %s, want both, and the repeats of each left out", got)
	}
}
