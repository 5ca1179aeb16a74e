package config_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/config"
)

func TestFromJSON(t *testing.T) {
	got, err := config.FromJSON[map[string]*config.Namespace]("namespaces", []byte(`{"é/\u0061\\": {"retention": "1h"}, "b": {}}`))
	want := map[string]*config.Namespace{`é/a\`: {Retention: time.Hour, Members: 250}, "b": {Retention: 2 * time.Minute, Members: 250}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v and (-want +got):\n%s", err, diff)
	}
	text, err := json.Marshal(config.ToJSON(got))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := config.FromJSON[map[string]*config.Namespace]("namespaces", text); err != nil || !cmp.Equal(again, want) {
		t.Errorf("got %v and %v of %s, want the same", again, err, text)
	}
	limits, err := config.FromJSON[config.AppLimits]("limits", []byte(`{"rate": 7}`))
	if err != nil || limits.Rate != 7 || limits.ChannelRate != 5000 || limits.KeyRate != 0 {
		t.Errorf("got %+v and %v", limits, err)
	}
	if m, ok := config.ToJSON(limits).(map[string]any); !ok || m["rate"] != 7 || m["channel_rate"] != 5000 {
		t.Errorf("got %v", config.ToJSON(limits))
	}
}

func TestFromJSONRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"rate": 0}`, "limits.rate: want at least 1"},
		{`{"rate": 1.5}`, "limits.rate: got a number, want a whole number"},
		{`{"rate": "7"}`, "limits.rate: got text, want a whole number"},
		{`{"rate": null}`, "limits.rate: got nothing, want a whole number"},
		{`{"rate": [1]}`, "limits.rate: got a list"},
		{`{"rate": 99999999999999999999}`, "limits.rate: got a number"},
		{`{"Rate": 7}`, "limits.Rate: unknown key"},
		{`{"rate": 7, "rate": 8}`, "limits.rate: given twice"},
		{`{"rate": 0, "channels": 0}`, "limits.channels: want at least 1"},
		{`[]`, "limits: got a list, want a map"},
		{`{"rate": 7} {}`, "limits: not valid JSON"},
		{`{"rate": 7`, "limits: not valid JSON"},
		{``, "limits: not valid JSON"},
		{strings.Repeat(`{"rate":`, 20_000), "limits: not valid JSON"},
	} {
		if _, err := config.FromJSON[config.AppLimits]("limits", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40s: got %v, want %q", tt.text, err, tt.want)
		}
	}
}
