package ably_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ably/ably-go/ably"
)

// take returns what comes next.
func take[T any](ctx context.Context, t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-ctx.Done():
		t.Fatal("got nothing")
	}
	return v
}

// fresh names a room that nobody has been in: members of an earlier run stay for
// a while.
func fresh(name string) string { return "go:" + name + ":" + rand.Text() }

// A connection is given fresh tokens, when it is asked for one and by itself. It
// stays up meanwhile, and may do at once what the token in force says.
func TestAuthorize(t *testing.T) {
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, room := patience(t), fresh("authorize:"+name)
			rest, err := ably.NewREST(options(t, binary, withKey()...)...)
			if err != nil {
				t.Fatal(err)
			}
			tokens := []ably.TokenParams{
				{TTL: 32_000, Capability: fmt.Sprintf(`{%q:["publish","subscribe"]}`, room)}, // It is asked for another half a minute before the end.
				{Capability: fmt.Sprintf(`{%q:["subscribe"]}`, room)},
				{Capability: fmt.Sprintf(`{%q:["publish","subscribe"]}`, room)},
			}
			var asked atomic.Int32
			c := realtime(t, binary, ably.WithAutoConnect(false), ably.WithAuthCallback(func(context.Context, ably.TokenParams) (ably.Tokener, error) {
				return rest.Auth.RequestToken(ctx, &tokens[asked.Add(1)-1]) // With a request this SDK gets nowhere when it is asked.
			}))
			states := make(chan ably.ConnectionStateChange, 20)
			c.Connection.OnAll(func(s ably.ConnectionStateChange) { states <- s })
			renewed := func(how string) {
				t.Helper()
				if s := take(ctx, t, states); s.Event != ably.ConnectionEventUpdate || s.Reason != nil {
					t.Fatalf("%s: got %s>%s, %v, want the connection as it is", how, s.Previous, s.Current, s.Reason)
				}
			}
			c.Connect()
			for take(ctx, t, states).Current != ably.ConnectionStateConnected {
			}
			id, channel := c.Connection.ID(), c.Channels.Get(room)
			heard := make(chan string, 10)
			if _, err := channel.SubscribeAll(ctx, func(m *ably.Message) { heard <- m.Name }); err != nil {
				t.Fatal(err)
			}
			renewed("when asked")
			if err := channel.Publish(ctx, "refused", nil); !coded(err, 40160) {
				t.Errorf("got %v, want 40160", err)
			}
			if _, err := c.Auth.Authorize(ctx, nil); err != nil {
				t.Fatal(err)
			}
			renewed("by itself")
			if err := channel.Publish(ctx, "allowed", nil); err != nil {
				t.Error(err)
			}
			if got := take(ctx, t, heard); got != "allowed" || c.Connection.ID() != id {
				t.Errorf("got %q on the connection %s, want %q on %s", got, c.Connection.ID(), "allowed", id)
			}
		})
	}
}

// Another client takes a lost connection over, and hears what came meanwhile.
func TestRecover(t *testing.T) {
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, room, n := patience(t), fresh("recover:"+name), newNetwork(t, 0)
			lost, other := realtime(t, binary, withKey(ably.WithPort(n.port))...), realtime(t, binary, withKey()...)
			heard := make(chan string, 20)
			hear := func(m *ably.Message) { heard <- m.Name }
			publish := func(name string) {
				t.Helper()
				if err := other.Channels.Get(room).Publish(ctx, name, nil); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := lost.Channels.Get(room).SubscribeAll(ctx, hear); err != nil {
				t.Fatal(err)
			}
			publish("before")
			got := []string{take(ctx, t, heard)}
			key, id := lost.Connection.CreateRecoveryKey(), lost.Connection.ID()
			n.nowhere.Store(true)
			n.cut()
			for i := range 5 {
				publish(fmt.Sprint(i))
			}
			c := realtime(t, binary, withKey(ably.WithRecover(key))...)
			if _, err := c.Channels.Get(room).SubscribeAll(ctx, hear); err != nil {
				t.Fatal(err)
			}
			publish("after")
			for range 6 {
				got = append(got, take(ctx, t, heard))
			}
			if want := strings.Fields("before 0 1 2 3 4 after"); !slices.Equal(got, want) || c.Connection.ID() != id {
				t.Errorf("got %q on the connection %s, want %q on %s", got, c.Connection.ID(), want, id)
			}
		})
	}
}

// Who comes late learns of all members, though they come in several parts, and of
// what was said before.
func TestLate(t *testing.T) {
	const members = 230
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, room := patience(t), fresh("late:"+name)
			first := realtime(t, binary, withKey()...).Channels.Get(room)
			if err := first.Attach(ctx); err != nil {
				t.Fatal(err)
			}
			entered := make(chan error, members)
			for i := range members {
				go func() { entered <- first.Presence.EnterClient(ctx, fmt.Sprint("m", i), "here") }()
			}
			for range members {
				if err := take(ctx, t, entered); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 5 {
				if err := first.Publish(ctx, fmt.Sprint(i), nil); err != nil {
					t.Fatal(err)
				}
			}
			late := realtime(t, !binary, withKey()...).Channels.Get(room)
			if err := late.Attach(ctx); err != nil {
				t.Fatal(err)
			}
			list, err := late.Presence.Get(ctx)
			if err != nil {
				t.Fatal(err)
			}
			all := make(map[string]bool)
			for _, m := range list {
				all[m.ClientID] = m.Data == "here"
			}
			if len(list) != members || len(all) != members || !all["m0"] || !all[fmt.Sprint("m", members-1)] {
				t.Errorf("got %d members, want %d", len(list), members)
			}
			if err := first.Publish(ctx, "too late", nil); err != nil {
				t.Fatal(err)
			}
			request, err := late.HistoryUntilAttach(ably.HistoryWithLimit(2))
			if err != nil {
				t.Fatal(err)
			}
			pages, err := request.Pages(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for pages.Next(ctx) {
				for _, m := range pages.Items() {
					got = append(got, m.Name)
				}
			}
			if want := strings.Fields("4 3 2 1 0"); !slices.Equal(got, want) || pages.Err() != nil {
				t.Errorf("got %q, %v, want %q", got, pages.Err(), want)
			}
		})
	}
}

// Statistics, batches and the state of a channel, asked for once.
func TestAnswers(t *testing.T) {
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			ctx, room := patience(t), fresh("answers:"+name)
			c, err := ably.NewREST(options(t, binary, withKey()...)...)
			if err != nil {
				t.Fatal(err)
			}
			before, err := c.Time(ctx)
			if err != nil || time.Since(before).Abs() > time.Minute {
				t.Errorf("got the time %s, %v", before, err)
			}
			member := realtime(t, binary, withKey(ably.WithClientID("alice"))...)
			if err := member.Channels.Get(room).Presence.Enter(ctx, "here"); err != nil {
				t.Fatal(err)
			}
			res, err := c.Request("POST", "/messages", ably.RequestWithBody([]map[string]any{
				{"channels": []string{room, ":bad"}, "messages": []map[string]any{{"name": "a", "data": "x"}, {"name": "b", "data": "y"}}},
			})).Pages(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var batches []map[string]any
			if !res.Success() || !res.Next(ctx) || res.Items(&batches) != nil || len(batches) != 1 {
				t.Fatalf("got %d, %v", res.StatusCode(), res.Err())
			}
			if b := batches[0]; fmt.Sprint(b["successCount"], b["failureCount"]) != "1 1" || !strings.Contains(fmt.Sprint(b["results"]), "code:40010") {
				t.Errorf("got %v", b)
			}
			status, err := c.Channels.Get(room).Status(ctx)
			if err != nil || !status.Status.IsActive || status.Status.Occupancy.Metrics.PresenceMembers != 1 {
				t.Errorf("got %+v, %v", status, err)
			}
			present, err := c.Channels.Get(room).Presence.Get().Pages(ctx)
			if err != nil || !present.Next(ctx) || len(present.Items()) != 1 || present.Items()[0].ClientID != "alice" || present.Items()[0].Data != "here" {
				t.Errorf("got %v, %v", present, err)
			}
			past, err := c.Channels.Get(room).Presence.History().Pages(ctx)
			if err != nil || !past.Next(ctx) || len(past.Items()) != 1 || past.Items()[0].Action != ably.PresenceActionEnter {
				t.Errorf("got %v, %v", past, err)
			}
			stats, err := c.Stats(ably.StatsWithUnit(ably.PeriodMonth), ably.StatsWithLimit(1)).Pages(ctx)
			if err != nil || !stats.Next(ctx) || len(stats.Items()) != 1 {
				t.Fatalf("got no statistics: %v", err)
			}
			if s := stats.Items()[0]; s.All.All.Count < 3 || s.Inbound.All.Messages.Count < 2 || s.Inbound.All.Presence.Count < 1 || s.APIRequests.Succeeded < 1 || s.Connections.All.Peak < 1 {
				t.Errorf("got %+v", s)
			}
		})
	}
}
