package ably_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ably/ably-go/ably"
)

// formats are the two that the SDK speaks.
var formats = map[string]bool{"msgpack": true, "JSON": false}

// options are those of a client over a slow network.
func options(t *testing.T, binary bool, more ...ably.ClientOption) []ably.ClientOption {
	t.Helper()
	return append([]ably.ClientOption{
		ably.WithEndpoint("127.0.0.1"), ably.WithPort(newNetwork(t, 5*time.Millisecond).port), ably.WithTLS(false), ably.WithInsecureAllowBasicAuthWithoutTLS(),
		ably.WithUseBinaryProtocol(binary), ably.WithLogLevel(ably.LogNone),
	}, more...)
}

func withKey(more ...ably.ClientOption) []ably.ClientOption {
	return append([]ably.ClientOption{ably.WithKey(hub.key)}, more...)
}

// patience bounds what should come soon.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func realtime(t *testing.T, binary bool, more ...ably.ClientOption) *ably.Realtime {
	t.Helper()
	c, err := ably.NewRealtime(options(t, binary, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// coded reports whether err is an error of the server with a code.
func coded(err error, want ably.ErrorCode) bool {
	info, ok := errors.AsType[*ably.ErrorInfo](err)
	return ok && info.Code == want
}

// payload is what a message carries, as text. This SDK leaves what it gets as it
// came, but for some ways of asking.
func payload(m *ably.Message) string {
	switch data := m.Data.(type) {
	case []byte:
		return string(data)
	case string:
		if b, err := base64.StdEncoding.DecodeString(data); err == nil && m.Encoding == "base64" {
			return string(b)
		}
		return data
	}
	return fmt.Sprint(m.Data)
}

func TestREST(t *testing.T) {
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			ctx := patience(t)
			c, err := ably.NewREST(options(t, binary, withKey()...)...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Time(ctx); err != nil {
				t.Error(err)
			}
			room := "go: ä " + name // Of a slash this SDK makes another path.
			ch := c.Channels.Get(room)
			if err := ch.Publish(ctx, "text", "täxt"); err != nil {
				t.Fatal(err)
			}
			if err := ch.PublishMultiple(ctx, []*ably.Message{{Name: "bytes", Data: []byte{0, 255}}, {Name: "json", Data: map[string]any{"a": "b"}}}); err != nil {
				t.Fatal(err)
			}
			pages, err := ch.History(ably.HistoryWithLimit(2), ably.HistoryWithDirection(ably.Forwards)).Pages(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for pages.Next(ctx) {
				for _, m := range pages.Items() {
					got = append(got, m.Name+" "+payload(m))
				}
			}
			if want := []string{"text täxt", "bytes \x00\xff", `json {"a":"b"}`}; !slices.Equal(got, want) || pages.Err() != nil {
				t.Errorf("got %q, %v, want %q", got, pages.Err(), want)
			}
			if err := c.Channels.Get(":bad").Publish(ctx, "x", "y"); !coded(err, 40010) {
				t.Errorf("got %v, want 40010", err)
			}
			if status, err := ch.Status(ctx); err != nil || status.ChannelId != room {
				t.Errorf("got %+v, %v", status, err)
			}
			stats, err := c.Stats(ably.StatsWithLimit(1)).Pages(ctx)
			if err != nil || !stats.Next(ctx) || len(stats.Items()) != 1 {
				t.Errorf("got no statistics: %v", err)
			}
			token, err := c.Auth.RequestToken(ctx, &ably.TokenParams{ClientID: "me", TTL: 60_000, Capability: `{"go:x":["publish"]}`})
			if err != nil || token.ClientID != "me" || token.Capability != `{"go:x":["publish"]}` || token.Expires-token.Issued != 60_000 {
				t.Fatalf("got %+v, %v", token, err)
			}
			limited, err := ably.NewREST(options(t, binary, ably.WithTokenDetails(token))...)
			if err != nil {
				t.Fatal(err)
			}
			if err := limited.Channels.Get("go:x").Publish(ctx, "x", "y"); err != nil {
				t.Error(err)
			}
			if err := limited.Channels.Get("go:y").Publish(ctx, "x", "y"); !coded(err, 40160) {
				t.Errorf("got %v, want 40160", err)
			}
		})
	}
}

func TestRealtime(t *testing.T) {
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			ctx := patience(t)
			a, b := realtime(t, binary, withKey(ably.WithClientID("alice"))...), realtime(t, !binary, withKey(ably.WithClientID("bob"))...)
			room := "go:room:" + name
			heard := make(chan *ably.Message, 10)
			stop, err := b.Channels.Get(room).SubscribeAll(ctx, func(m *ably.Message) { heard <- m })
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			all := map[string]any{"text": "text", `{"n":"1"}`: map[string]any{"n": "1"}}
			if binary { // In JSON this SDK does not say that bytes are base64.
				all["bytes\x00"] = []byte("bytes\x00")
			}
			for want, data := range all {
				if err := a.Channels.Get(room).Publish(ctx, "e", data); err != nil {
					t.Fatal(err)
				}
				select {
				case m := <-heard:
					if payload(m) != want || m.ClientID != "alice" || m.ConnectionID != a.Connection.ID() {
						t.Errorf("got %q in %q of %s, want %q of alice", m.Data, m.Encoding, m.ClientID, want)
					}
				case <-ctx.Done():
					t.Fatal("got nothing")
				}
			}
			pa, pb := a.Channels.Get(room).Presence, b.Channels.Get(room).Presence
			if err := pa.Enter(ctx, "here"); err != nil {
				t.Fatal(err)
			}
			if err := pa.Update(ctx, "still"); err != nil {
				t.Fatal(err)
			}
			for {
				members, err := pb.Get(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if len(members) == 1 && members[0].ClientID == "alice" && members[0].Data == "still" {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err := pa.Leave(ctx, nil); err != nil {
				t.Fatal(err)
			}
			if err := a.Channels.Get(":bad").Attach(ctx); !coded(err, 40010) {
				t.Errorf("got %v, want 40010", err)
			}
			if err := a.Channels.Get(room).Detach(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// A token that ends is fetched anew, and the connection goes on; a wrong key is
// the end.
func TestTokens(t *testing.T) {
	for name, binary := range formats {
		t.Run(name, func(t *testing.T) {
			ctx := patience(t)
			rest, err := ably.NewREST(options(t, binary, withKey()...)...)
			if err != nil {
				t.Fatal(err)
			}
			c := realtime(t, binary, ably.WithAutoConnect(false), ably.WithAuthCallback(func(context.Context, ably.TokenParams) (ably.Tokener, error) {
				return rest.Auth.CreateTokenRequest(&ably.TokenParams{TTL: 3000, ClientID: "me"})
			}))
			states := make(chan ably.ConnectionStateChange, 20)
			c.Connection.OnAll(func(s ably.ConnectionStateChange) { states <- s })
			c.Connect()
			id := ""
			for {
				select {
				case s := <-states:
					switch {
					case s.Current == ably.ConnectionStateConnected && id == "":
						id = c.Connection.ID()
					case s.Current == ably.ConnectionStateDisconnected && s.Reason != nil && s.Reason.Code != 40142:
						t.Errorf("got %v, want 40142", s.Reason)
					case s.Current == ably.ConnectionStateConnected && s.Previous != ably.ConnectionStateConnected:
						if c.Connection.ID() != id {
							t.Errorf("got the connection %s, want %s resumed", c.Connection.ID(), id)
						}
						goto renewed
					}
				case <-ctx.Done():
					t.Fatal("got no renewal")
				}
			}
		renewed:
			wrong := realtime(t, binary, ably.WithAutoConnect(false), ably.WithKey("this.is:wrong"))
			failed := make(chan ably.ConnectionStateChange, 1)
			wrong.Connection.Once(ably.ConnectionEventFailed, func(s ably.ConnectionStateChange) { failed <- s })
			wrong.Connect()
			select {
			case s := <-failed:
				if s.Reason == nil || s.Reason.Code != 40101 {
					t.Errorf("got %v, want 40101", s.Reason)
				}
			case <-ctx.Done():
				t.Error("got no end for a wrong key")
			}
		})
	}
}
