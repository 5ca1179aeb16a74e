package ably_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/ably"
)

func TestChannelName(t *testing.T) {
	tests := []struct {
		in, name string
		params   ably.Params
	}{
		{"room", "room", nil},
		{"a:b:c", "a:b:c", nil},
		{"a b/c%20é[x]", "a b/c%20é[x]", nil},
		{"room:", "room:", nil},
		{"[?rewind=1]room", "room", ably.Params{"rewind": "1"}},
		{"[?rewind=2m&modes=publish,subscribe]a:b", "a:b", ably.Params{"rewind": "2m", "modes": "publish,subscribe"}},
		{"[?]room", "room", ably.Params{}},
		{strings.Repeat("x", 2048), strings.Repeat("x", 2048), nil},
	}
	for _, tt := range tests {
		got, bad := ably.ParseChannelName(tt.in)
		if bad != nil {
			t.Errorf("%.40q: %v", tt.in, bad)
		} else if d := cmp.Diff(ably.ChannelName{Name: tt.name, Params: tt.params}, got); d != "" {
			t.Errorf("%.40q: %s", tt.in, d)
		}
	}
	for _, in := range []string{
		"", ":hell", " x", "\tx", "\u00a0x", "a\nb", "a\rb", "[", "[]x", "[x", "[meta]x", "[filter=bmFtZQ==]x", "[queue]x", "[?rewind=1]", "[?rewind=1]:x",
		"[?rewind=1][?rewind=1]x", "[?%zz]x", "a\xff", strings.Repeat("x", 2049),
	} {
		if got, bad := ably.ParseChannelName(in); bad == nil || bad.Code != ably.BadChannelName || bad.Status != 400 {
			t.Errorf("%.40q: got %q and %v, want %d", in, got.Name, bad, ably.BadChannelName)
		}
	}
}

func TestChannelOptions(t *testing.T) {
	all := ably.OccupancyMetrics(255)
	tests := []struct {
		name           string
		params, ofName ably.Params
		want           ably.ChannelOptions
	}{
		{"none", nil, nil, ably.ChannelOptions{}},
		{"unknown", ably.Params{"nonexistent": "x", "appendMode": "full"}, nil, ably.ChannelOptions{Known: ably.Params{}}},
		{"modes", ably.Params{"modes": "publish, SUBSCRIBE,annotation_subscribe"}, nil, ably.ChannelOptions{Modes: ably.ModePublish | ably.ModeSubscribe | ably.ModeAnnotationSubscribe, Known: ably.Params{"modes": "publish, SUBSCRIBE,annotation_subscribe"}}},
		{"rewind by number", ably.Params{"rewind": "7"}, nil, ably.ChannelOptions{Rewind: 7, Known: ably.Params{"rewind": "7"}}},
		{"rewind too far", ably.Params{"rewind": "7000"}, nil, ably.ChannelOptions{Rewind: 100, Known: ably.Params{"rewind": "7000"}}},
		{"rewind by time", ably.Params{"rewind": "30s"}, nil, ably.ChannelOptions{Rewind: 100, RewindFor: 30 * time.Second, Known: ably.Params{"rewind": "30s"}}},
		{"rewind by no time", ably.Params{"rewind": "0s"}, nil, ably.ChannelOptions{Known: ably.Params{"rewind": "0s"}}},
		{"rewind by ages", ably.Params{"rewind": "2147483647d"}, nil, ably.ChannelOptions{Rewind: 100, RewindFor: 366 * 24 * time.Hour, Known: ably.Params{"rewind": "2147483647d"}}},
		{"occupancy", ably.Params{"occupancy": "metrics"}, nil, ably.ChannelOptions{Occupancy: all, Known: ably.Params{"occupancy": "metrics"}}},
		{"a part of it", ably.Params{"occupancy": "metrics.presenceMembers,metrics.connections"}, nil, ably.ChannelOptions{Occupancy: 5, Known: ably.Params{"occupancy": "metrics.presenceMembers,metrics.connections"}}},
		{"in the name", nil, ably.Params{"rewind": "1", "x": "y"}, ably.ChannelOptions{Rewind: 1, Known: ably.Params{"rewind": "1"}}},
		{"in both", ably.Params{"rewind": "2h"}, ably.Params{"rewind": "1"}, ably.ChannelOptions{Rewind: 100, RewindFor: 2 * time.Hour, Known: ably.Params{"rewind": "2h"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, bad := tt.params.ChannelOptions(tt.ofName)
			if bad != nil {
				t.Fatal(bad)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, p := range []ably.Params{
		{"rewind": "abc"},
		{"rewind": ""},
		{"rewind": "-1"},
		{"rewind": "1y"},
		{"rewind": "s"},
		{"rewind": "1.5m"},
		{"rewind": "99999999999"},
		{"modes": "fly"},
		{"modes": ""},
		{"occupancy": "all"},
		{"occupancy": "metrics."},
		{"occupancy": ""},
		{"delta": "vcdiff"},
	} {
		if _, bad := p.ChannelOptions(nil); bad == nil || bad.Code != ably.BadRequest {
			t.Errorf("%v: got %v, want %d", p, bad, ably.BadRequest)
		}
	}
}

func TestModeNames(t *testing.T) {
	if got, want := (ably.DefaultModes | ably.HasPresence).ModeNames(), "presence,publish,subscribe,presence_subscribe,annotation_publish"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (ably.DefaultModes | ably.Resumed).Modes(); got != ably.DefaultModes {
		t.Errorf("got %x, want %x", got, ably.DefaultModes)
	}
}
