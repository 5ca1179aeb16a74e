package ably_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ably/ably-go/ably"
)

// faults are what networks do, at which times.
var faults = map[string]struct {
	delay  time.Duration
	at     []time.Duration
	strike func(*network)
}{
	"steady": {},
	"slow":   {40 * time.Millisecond, []time.Duration{400 * time.Millisecond}, (*network).cut},
	"cut":    {0, []time.Duration{200 * time.Millisecond, 1700 * time.Millisecond}, (*network).cut},
	"up":     {0, []time.Duration{300 * time.Millisecond, 1800 * time.Millisecond}, func(n *network) { n.half(up) }},
	"down":   {0, []time.Duration{400 * time.Millisecond, 1900 * time.Millisecond}, func(n *network) { n.half(down) }},
	"mute":   {0, []time.Duration{500 * time.Millisecond}, func(n *network) { n.stall(up) }},
	"deaf":   {0, []time.Duration{600 * time.Millisecond}, func(n *network) { n.stall(down) }},
	"lost":   {0, []time.Duration{700 * time.Millisecond}, func(n *network) { n.stall(up); n.stall(down) }},
}

const (
	numbers = 40
	every   = 55 * time.Millisecond // So that there are some in each fault.
)

// A party is a client behind a network, and what it has seen.
type party struct {
	// Immutable once it has joined.
	name, room string
	binary     bool
	delay      time.Duration
	stays      string // For how long after its connection, in ms. Empty: as is usual.
	network    *network
	client     *ably.Realtime
	channel    *ably.RealtimeChannel
	id         string

	mu sync.Mutex
	// Guarded by mu.
	heard    []string
	steps    []string
	attached []ably.ChannelStateChange
	left     []string
}

// join has a party connect, and be present in its room.
func (p *party) join(ctx context.Context, t *testing.T) *party {
	t.Helper()
	rest, err := ably.NewREST(options(t, p.binary, withKey()...)...)
	if err != nil {
		t.Fatal(err)
	}
	p.network = newNetwork(t, p.delay)
	params := url.Values{"heartbeatInterval": {"1000"}}
	if p.stays != "" {
		params.Set("remainPresentFor", p.stays)
	}
	p.client = realtime(t, p.binary, ably.WithPort(p.network.port), ably.WithAutoConnect(false), ably.WithTransportParams(params),
		ably.WithRealtimeRequestTimeout(4*time.Second), ably.WithDisconnectedRetryTimeout(500*time.Millisecond),
		ably.WithAuthCallback(func(context.Context, ably.TokenParams) (ably.Tokener, error) {
			return rest.Auth.CreateTokenRequest(&ably.TokenParams{ClientID: p.name})
		}))
	p.client.Connection.OnAll(func(c ably.ConnectionStateChange) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.steps = append(p.steps, fmt.Sprintf("%s>%s", c.Previous, c.Current))
	})
	p.client.Connect()
	p.channel = p.client.Channels.Get(p.room)
	p.channel.OnAll(func(c ably.ChannelStateChange) {
		if c.Current != ably.ChannelStateAttaching {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.attached = append(p.attached, c)
		}
	})
	if _, err := p.channel.SubscribeAll(ctx, func(m *ably.Message) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.heard = append(p.heard, m.Name)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.channel.Presence.Subscribe(ctx, ably.PresenceActionLeave, func(m *ably.PresenceMessage) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left = append(p.left, m.ClientID)
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.channel.Presence.Enter(ctx, "here"); err != nil {
		t.Fatal(err)
	}
	p.id = p.client.Connection.ID()
	return p
}

// TestFaults has clients talk while their networks are cut, stalled and half
// closed: each message arrives once and in one order, connections are resumed,
// presence converges, and the server lets go of what is half open.
func TestFaults(t *testing.T) {
	for format, binary := range formats {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			ctx, room := patience(t), "go:faults:"+rand.Text() // Of which no member of another run is left.
			var parties []*party
			for name, f := range faults {
				p := &party{name: format + "-" + name, room: room, binary: binary, delay: f.delay}
				parties = append(parties, p.join(ctx, t))
			}
			gone := (&party{name: format + "-gone", room: room, binary: binary, stays: "500"}).join(ctx, t)
			gone.network.nowhere.Store(true)
			gone.network.stall(up)
			gone.network.stall(down)
			var talking sync.WaitGroup
			for _, p := range parties {
				f := faults[strings.TrimPrefix(p.name, format+"-")]
				for _, at := range f.at {
					time.AfterFunc(at, func() { f.strike(p.network) })
				}
				talking.Go(func() {
					for i := range numbers {
						if err := p.channel.Publish(ctx, fmt.Sprintf("%s %d", p.name, i), "x"); err != nil {
							t.Errorf("%s: message %d: %v", p.name, i, err)
						}
						if i%5 == 4 {
							if err := p.channel.Presence.Update(ctx, fmt.Sprint(i)); err != nil {
								t.Errorf("%s: update %d: %v", p.name, i, err)
							}
						}
						time.Sleep(every)
					}
				})
			}
			talking.Wait()
			for _, p := range parties {
				eventually(ctx, t, p.name+": messages", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					return len(p.heard) >= len(parties)*numbers
				}, true)
			}
			for _, p := range append(parties, gone) {
				want := 1
				if p == gone {
					want = 0
				}
				eventually(ctx, t, "connections of "+p.name, func() int { return connectionsOf(ctx, t, p.name) }, want)
			}
			for _, p := range parties {
				p.sees(ctx, t, parties)
			}
			eventually(ctx, t, "who has left", func() string {
				p := parties[0]
				p.mu.Lock()
				defer p.mu.Unlock()
				return strings.Join(p.left, " ")
			}, gone.name)
			for _, p := range parties { // At the end, when nothing can come twice any more.
				p.check(t, parties)
			}
		})
	}
}

// check looks at what a party has seen.
func (p *party) check(t *testing.T, parties []*party) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	first := parties[0]
	if p != first {
		first.mu.Lock()
		defer first.mu.Unlock()
	}
	if !slices.Equal(p.heard, first.heard) {
		t.Errorf("%s: got another order than %s", p.name, first.name)
	}
	for _, from := range parties {
		var got, want []string
		for _, name := range p.heard {
			if strings.HasPrefix(name, from.name+" ") {
				got = append(got, name)
			}
		}
		for i := range numbers {
			want = append(want, fmt.Sprintf("%s %d", from.name, i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", p.name, got, want)
		}
	}
	if id := p.client.Connection.ID(); id != p.id {
		t.Errorf("%s: got the connection %s, want %s resumed; %v", p.name, id, p.id, p.steps)
	}
	allowed := []string{
		"INITIALIZED>CONNECTING", "CONNECTING>CONNECTED", "CONNECTED>DISCONNECTED", "DISCONNECTED>CONNECTING", "CONNECTING>DISCONNECTED",
	}
	for _, step := range p.steps {
		if !slices.Contains(allowed, step) {
			t.Errorf("%s: got the step %s in %v", p.name, step, p.steps)
		}
	}
	if got, want := slices.Contains(p.steps, "CONNECTED>DISCONNECTED"), !strings.HasSuffix(p.name, "steady"); got != want {
		t.Errorf("%s: got disconnected %v, want %v: %v", p.name, got, want, p.steps)
	}
	for i, c := range p.attached {
		if c.Current != ably.ChannelStateAttached || c.Resumed != (i > 0) || c.Reason != nil {
			t.Errorf("%s: got the channel's change %d %+v", p.name, i, c)
		}
	}
}

// sees checks that all parties, and nobody else, are members, as they were last.
func (p *party) sees(ctx context.Context, t *testing.T, parties []*party) {
	t.Helper()
	var want []string
	for _, other := range parties {
		want = append(want, fmt.Sprint(other.name, numbers-1))
	}
	slices.Sort(want)
	eventually(ctx, t, p.name+": members", func() string {
		members, err := p.channel.Presence.Get(ctx)
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		var got []string
		for _, m := range members {
			got = append(got, fmt.Sprint(m.ClientID, m.Data))
		}
		slices.Sort(got)
		return strings.Join(got, " ")
	}, strings.Join(want, " "))
}

// connectionsOf is how many connections of a client the node has.
func connectionsOf(ctx context.Context, t *testing.T, subject string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, hub.admin+"/usher/v1/connections?"+url.Values{"subject": {subject}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Connections []struct{ Subject string } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("connections: status %d: %v", res.StatusCode, err)
	}
	return len(answer.Connections)
}

// eventually waits until something is as it should be.
func eventually[T comparable](ctx context.Context, t *testing.T, what string, look func() T, want T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := look()
		if got == want {
			return
		}
		if ctx.Err() != nil || time.Now().After(end) {
			t.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
}
