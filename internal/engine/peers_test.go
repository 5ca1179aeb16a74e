package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
	"github.com/usher-ws/usher/internal/hub"
)

// quiet is a Waker of who takes when it likes.
type quiet struct{}

func (quiet) Wake(*hub.Attachment) {}

// Hubs of several nodes are one: a message is told on all, and who is present on
// one is known on the others.
func TestHubsOfCluster(t *testing.T) {
	c := enginetest.NewCluster(t, 1, func(o *server.Options) { o.SyncAlways = false })
	o := engine.Options{NATS: &engine.NATS{URLs: c.URLs()}, Key: siteKey}
	var apps []*hub.App
	for range 2 {
		e, err := engine.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		h := hub.New(openLog(t, engine.Options{NATS: o.NATS}, engine.LogOptions{}), hub.Options{})
		t.Cleanup(h.Close)
		if err := h.Join(e.Peers()); err != nil {
			t.Fatal(err)
		}
		apps = append(apps, h.SetApp("app", hub.AppOptions{}))
	}
	attach := func(a *hub.App) (*hub.Connection, *hub.Attachment) {
		t.Helper()
		conn, err := a.Connect(hub.Owner{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		at, err := conn.Attach(t.Context(), "chat", hub.Attaching{Modes: hub.Subscribe | hub.SeePresence, Waker: quiet{}})
		if err != nil {
			t.Fatal(err)
		}
		return conn, at
	}
	one, _ := attach(apps[0])
	entered := make(chan error, 1)
	list := []hub.Message{{ClientID: "me", Action: hub.Enter, Data: "\xff\x00", Form: hub.Binary}}
	if err := one.Present("chat", one.ID()+":0", list, func(_ hub.Position, err error) { entered <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	_, two := attach(apps[1])
	members := two.Present()
	if len(members) != 1 || members[0].Data != "\xff\x00" || members[0].ClientID != "me" {
		t.Errorf("got %d members on the other node, want me", len(members))
	}
	for i := range 100 {
		p := hub.Publication{Channel: "chat", Messages: []hub.Message{{Data: fmt.Sprint(i), Form: hub.Text}}}
		if _, err := apps[i%2].Publish(t.Context(), "", p); err != nil {
			t.Fatal(err)
		}
	}
	var got []*hub.Entry
	for end := time.Now().Add(20 * time.Second); len(got) < 100 && time.Now().Before(end); {
		var err error
		if got, err = two.Take(t.Context(), got, 100); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range got {
		if e.Messages[0].Data != fmt.Sprint(i) {
			t.Fatalf("got %s at %d", e.Messages[0].Data, i)
		}
	}
	if len(got) != 100 {
		t.Errorf("got %d messages, want 100", len(got))
	}
	if o, active, err := apps[1].Occupied(t.Context(), "chat"); o.Subscribers != 2 || o.PresenceMembers != 1 || !active || err != nil {
		t.Errorf("got %+v, %t, %v", o, active, err)
	}
	if list, err := apps[1].Channels(t.Context(), "", "", 10); len(list) != 1 || list[0].Occupancy.Subscribers != 2 || list[0].Occupancy.PresenceMembers != 1 || err != nil {
		t.Errorf("got %+v, %v", list, err)
	}
	attach(apps[0])
	if list, err := apps[1].Channels(t.Context(), "", "", 10); len(list) != 1 || list[0].Occupancy.Connections != 3 || err != nil {
		t.Errorf("got %+v, %v after one more on the other node", list, err)
	}
}
