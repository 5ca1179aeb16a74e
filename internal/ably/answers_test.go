package ably_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/ably"
)

// What REST answers with and is asked with is the same in both formats.
func TestBodies(t *testing.T) {
	tests := []struct {
		name, text string
		v, fresh   ably.Value
	}{
		{"time", `[1764480000000]`, &ably.Times{1764480000000}, new(ably.Times)},
		{"failure", `{"error":{"message":"not found","code":40400,"statusCode":404}}`, &ably.Failure{ErrorInfo: *ably.Err(ably.NotFound)}, new(ably.Failure)},
		{"published", `{"channel":"c","messageId":"b:0","serials":["s",null]}`, &ably.Published{Channel: "c", MessageID: "b:0", Serials: []string{"s", ""}}, new(ably.Published)},
		{"no messages", `[]`, &ably.Messages{}, &ably.Messages{}},
		{"a token", `{"token":"t","keyName":"a.k","issued":1,"expires":2,"capability":"{\"*\":[\"*\"]}","clientId":"*"}`, &ably.TokenDetails{Token: "t", KeyName: "a.k", Issued: 1, Expires: 2, Capability: `{"*":["*"]}`, ClientID: "*"}, new(ably.TokenDetails)},
		{"one spec", `{"channels":["a"],"messages":[{"data":"x","action":0}]}`, &ably.BatchSpecs{Single: true, List: []*ably.BatchSpec{{Channels: []string{"a"}, Messages: ably.Messages{{Data: ably.TextData("x")}}}}}, new(ably.BatchSpecs)},
		{"specs", `[{"channels":["a","b"],"messages":[{"action":0}]}]`, &ably.BatchSpecs{List: []*ably.BatchSpec{{Channels: []string{"a", "b"}, Messages: ably.Messages{{}}}}}, new(ably.BatchSpecs)},
		{
			"a batch", `{"successCount":3,"failureCount":1,"results":[{"channel":"a","messageId":"m","serials":["s"]},{"channel":"b","error":{"message":"not permitted with the given capability","code":40160,"statusCode":401}},{"channel":"c","presence":[]},{"target":"clientId:x","issuedBefore":1,"appliesAt":2}]}`,
			&ably.BatchResult{Results: []*ably.BatchPart{{Channel: "a", MessageID: "m", Serials: []string{"s"}}, {Channel: "b", Error: ably.Err(ably.NotPermitted)}, {Channel: "c", Presence: &ably.PresenceMessages{}}, {Target: "clientId:x", IssuedBefore: 1, AppliesAt: 2}}},
			new(ably.BatchResult),
		},
		{"results", `[{"successCount":1,"failureCount":0,"results":[{"channel":"a"}]}]`, &ably.BatchResults{List: []*ably.BatchResult{{Results: []*ably.BatchPart{{Channel: "a"}}}}}, new(ably.BatchResults)},
		{"one result", `{"successCount":1,"failureCount":0,"results":[{"channel":"a"}]}`, &ably.BatchResults{Single: true, List: []*ably.BatchResult{{Results: []*ably.BatchPart{{Channel: "a"}}}}}, new(ably.BatchResults)},
		{"an old batch", `[{"channel":"a","messageId":"m"}]`, &ably.OldBatch{Parts: []*ably.BatchPart{{Channel: "a", MessageID: "m"}}}, new(ably.OldBatch)},
		{"an old batch that failed", `{"error":{"message":"a part of the batch failed","code":40020,"statusCode":400},"batchResponse":[{"channel":"a"}]}`, &ably.OldBatch{Error: ably.Err(ably.BatchFailed), Parts: []*ably.BatchPart{{Channel: "a"}}}, new(ably.OldBatch)},
		{"a revocation", `{"targets":["clientId:x"],"issuedBefore":7,"allowReauthMargin":true}`, &ably.RevokeRequest{Targets: []string{"clientId:x"}, IssuedBefore: 7, Margin: true}, new(ably.RevokeRequest)},
		{
			"a channel", `{"channelId":"c","status":{"isActive":true,"occupancy":{"metrics":{"connections":1,"presenceConnections":0,"presenceMembers":0,"presenceSubscribers":0,"publishers":0,"subscribers":2,"objectPublishers":0,"objectSubscribers":0}}}}`,
			&ably.ChannelStatus{Channel: "c", Active: true, Occupancy: ably.Occupancy{Connections: 1, Subscribers: 2}}, new(ably.ChannelStatus),
		},
		{
			"channel that is not counted", `{"channelId":"c","status":{"isActive":true}}`,
			&ably.ChannelStatus{Channel: "c", Active: true, Uncounted: true}, new(ably.ChannelStatus),
		},
		{"names", `["a","b"]`, &ably.ChannelStatuses{NamesOnly: true, List: []*ably.ChannelStatus{{Channel: "a"}, {Channel: "b"}}}, new(ably.ChannelStatuses)},
		{"stats", `[{"intervalId":"2026-11-30:06:42","unit":"minute","appId":"a","schema":"https://schemas.ably.com/json/app-stats-0.0.5.json","entries":{"messages.\"x":2}}]`, &ably.StatsList{{Interval: "2026-11-30:06:42", Unit: ably.Minute, App: "a", Entries: map[string]int64{`messages."x`: 2}}}, new(ably.StatsList)},
		{
			"old stats", `[{"intervalId":"2026-11","unit":"month","inProgress":"2026-11-30:06:42","all":{"messages":{"count":1}},"apiRequests":{"failed":7,"other":{"failed":9},"succeeded":2},"channels":{"peak":6},"connections":{"all":{"peak":5}},"inbound":{"all":{"messages":{"count":1,"data":4},"presence":{"count":2}}},"outbound":{"realtime":{"all":{"count":3}}},"tokenRequests":{"succeeded":8}}]`,
			&ably.OldStats{{Interval: "2026-11", Unit: ably.Month, InProgress: "2026-11-30:06:42", Entries: map[string]int64{
				"messages.all.messages.count": 1, "messages.inbound.all.messages.count": 1, "messages.inbound.all.messages.data": 4,
				"messages.inbound.all.presence.count": 2, "messages.outbound.realtime.all.count": 3, "connections.all.peak": 5, "channels.peak": 6,
				"apiRequests.all.succeeded": 2, "apiRequests.all.failed": 7, "apiRequests.tokenRequests.succeeded": 8, "apiRequests.other.failed": 9,
			}}}, new(ably.OldStats),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(ably.Append(nil, ably.JSON, tt.v)); got != tt.text {
				t.Errorf("got  %s\nwant %s", got, tt.text)
			}
			if err := ably.Decode(ably.Msgpack, ably.Append(nil, ably.Msgpack, tt.v), tt.fresh); err != nil {
				t.Fatal(err)
			}
			if got := string(ably.Append(nil, ably.JSON, tt.fresh)); got != tt.text {
				t.Errorf("got  %s by msgpack\nwant %s", got, tt.text)
			}
		})
	}
}

// Some metrics alone are told alone.
func TestSomeMetrics(t *testing.T) {
	o, bad := ably.Params{"occupancy": "metrics.publishers"}.ChannelOptions(nil)
	if bad != nil {
		t.Fatal(bad)
	}
	got := string(ably.Append(nil, ably.JSON, &ably.Occupancy{Metrics: o.Occupancy, Publishers: 3, Connections: 4}))
	if want := `{"metrics":{"publishers":3}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBatchForms(t *testing.T) {
	b := new(ably.BatchSpecs)
	if err := ably.Decode(ably.JSON, []byte(`{"channels":"a","messages":{"data":"x"}}`), b); err != nil {
		t.Fatal(err)
	}
	want := &ably.BatchSpecs{Single: true, List: []*ably.BatchSpec{{Channels: []string{"a"}, Messages: ably.Messages{{Data: ably.TextData("x")}}}}}
	if d := cmp.Diff(want, b, equal); d != "" {
		t.Error(d)
	}
	many := "[" + strings.Repeat("{},", 100) + "{}]"
	if err := ably.Decode(ably.JSON, []byte(many), new(ably.BatchSpecs)); err == nil {
		t.Error("got 101 specs, want an error")
	}
}

func TestTargets(t *testing.T) {
	if kind, name, bad := ably.ParseTarget("clientId:a:b"); kind != "clientId" || name != "a:b" || bad != nil {
		t.Errorf("got %q %q %v", kind, name, bad)
	}
	for _, s := range []string{"", "x", "clientId:", "invalidType:abc", ":x"} {
		if _, _, bad := ably.ParseTarget(s); bad == nil || bad.Status != 400 {
			t.Errorf("%q: got %v, want status 400", s, bad)
		}
	}
}

func TestLink(t *testing.T) {
	got := ably.Link("next", "messages", url.Values{"limit": {"2"}, "cursor": {"a,b"}})
	if want := `<./messages?cursor=a%2Cb&limit=2>; rel="next"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUnits(t *testing.T) {
	at := time.Date(2026, 11, 30, 6, 42, 28, 5, time.FixedZone("", 3600))
	for unit, want := range map[ably.Unit]string{ably.Minute: "2026-11-30:05:42", ably.Hour: "2026-11-30:05", ably.Day: "2026-11-30", ably.Month: "2026-11"} {
		begin := unit.Begin(at)
		if got := unit.Interval(begin); got != want {
			t.Errorf("%s: got %s, want %s", unit, got, want)
		}
		if got, ok := ably.ParseInterval(want); !ok || !got.Equal(begin) {
			t.Errorf("%s: got %v, want %v", unit, got, begin)
		}
	}
	if u, bad := ably.ParseUnit(""); u != ably.Minute || bad != nil {
		t.Errorf("got %q %v", u, bad)
	}
	if _, bad := ably.ParseUnit("week"); bad == nil || bad.Code != ably.BadParameter {
		t.Errorf("got %v, want %d", bad, ably.BadParameter)
	}
	if _, ok := ably.ParseInterval("2026-13"); ok {
		t.Error("got a thirteenth month")
	}
}

func TestFormats(t *testing.T) {
	for in, want := range map[string]ably.Format{"application/json; charset=utf-8": ably.JSON, "Application/X-Msgpack": ably.Msgpack} {
		if got, ok := ably.FormatOf(in); !ok || got != want {
			t.Errorf("%q: got %v %t", in, got, ok)
		}
	}
	if _, ok := ably.FormatOf("text/html"); ok {
		t.Error("got a format for HTML")
	}
	for _, f := range []ably.Format{ably.JSON, ably.Msgpack} {
		if got, ok := ably.ParseFormat(f.String()); !ok || got != f {
			t.Errorf("got %v %t, want %v", got, ok, f)
		}
		if got, ok := ably.FormatOf(f.ContentType()); !ok || got != f {
			t.Errorf("got %v %t, want %v", got, ok, f)
		}
	}
	if _, ok := ably.ParseFormat("xml"); ok {
		t.Error("got a format xml")
	}
}

func TestCodes(t *testing.T) {
	if got := ably.Err(ably.NotPermitted); got.Status != 401 || got.Code != 40160 || got.Message == "" {
		t.Errorf("got %+v", got)
	}
	if got := ably.Err(42999); got.Status != 429 || got.Message == "" {
		t.Errorf("got %+v for an unknown code", got)
	}
	if got := ably.ErrorOf(ably.Errorf(ably.BadJWT, "x")).Error(); got != "invalid JWT format: x (40144)" {
		t.Errorf("got %q", got)
	}
	if got := ably.ErrorOf(errSecret{}); got.Code != ably.Internal || strings.Contains(got.Message, "secret") {
		t.Errorf("got %v, want an internal error without its words", got)
	}
	if !ably.TokenExpired.Renewable() || ably.BadCredential.Renewable() || ably.NotPermitted.Renewable() {
		t.Error("got wrong codes that a new token helps with")
	}
	if ably.ActionSync.String() != "sync" || ably.Action(99).String() != "99" {
		t.Error("got wrong names of actions")
	}
}

type errSecret struct{}

func (errSecret) Error() string { return "secret" }
