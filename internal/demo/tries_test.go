package demo

import (
	"fmt"
	"testing"
)

func TestRecordsFindTheirTry(t *testing.T) {
	t.Parallel()
	var s tries
	want := func(record, try string) {
		t.Helper()
		if got := s.of("/chat", record); got != try {
			t.Errorf("%s: got it for %q, want %q", record, got, try)
		}
	}
	want("admitted", "")
	leaveOne := s.enter("/chat", "one", true)
	want("admitted", "one")
	leaveTwo := s.enter("/chat", "two", true)
	want("refused", "two")
	leaveTwo()
	leaveThree := s.enter("/chat", "three", true)
	want("admitted", "three")
	leaveThree()
	want("ended", "three") // It has gone, which one has not.
	want("ended", "one")
	leaveOne()
	want("ended", "")
	s.enter("/chat", "plain", false)()
	if n := len(s.byRoute); n != 0 {
		t.Errorf("routes: got %d remembered, want none", n)
	}
}

func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	var s tries
	for i := range maxEnding + 5 {
		leave := s.enter("/chat", fmt.Sprint(i), true)
		s.of("/chat", "admitted")
		leave()
	}
	if n := len(s.byRoute["/chat"]); n != maxEnding {
		t.Errorf("remembered: got %d, want %d", n, maxEnding)
	}
	if got := s.of("/chat", "ended"); got != "5" {
		t.Errorf("oldest: got %q, want 5", got)
	}
}

func TestLogEvent(t *testing.T) {
	t.Parallel()
	e, ok := logEvent([]byte(`{"time":"x","level":"DEBUG","msg":"refused","route":"/chat","status":401,"upstreams":["a"]}` + "\n"))
	want := []field{{"route", "/chat"}, {"status", "401"}, {"upstreams", `["a"]`}}
	if !ok || e.Level != "DEBUG" || e.Line != "refused" || fmt.Sprint(e.Fields) != fmt.Sprint(want) {
		t.Errorf("record: got %+v %t, want %v", e, ok, want)
	}
	for _, line := range []string{"", "[]", `{"a`, `{"level":"INFO"}`, `{"msg":`} {
		if _, ok := logEvent([]byte(line)); ok {
			t.Errorf("%s: got a record, want none", line)
		}
	}
}

func TestCountVerdicts(t *testing.T) {
	t.Parallel()
	got := countVerdicts([]byte(`# TYPE usher_verdicts_total counter
usher_verdicts_total{carrier="query",reason="expired",route="/a",verdict="refused"} 2
usher_verdicts_total{carrier="none",reason="expired",route="/b",verdict="refused"} 3
usher_verdicts_total{carrier="query",reason="",route="/a",verdict="admitted"} 7
usher_verdict_seconds_count{route="/a",verdict="refused"} 5
`))
	want := []verdictsFor{{"admitted", "", 7}, {"refused", "expired", 5}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("verdicts: got %v, want %v", got, want)
	}
}
