package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		events string
		want   string
		skips  int
	}{
		{
			name: "passes show the closing line only",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}`,
			want: "ok  \tp\t0.1s\n",
		},
		{
			name: "a failure shows its output",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			want: "got 1, want 2\nFAIL\tp\t0.1s\n",
		},
		{
			name: "a skip is counted and says why",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"no browser\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
			want:  "no browser\nok  \tp\t0.1s\n",
			skips: 1,
		},
		{
			name: "a package without test files is no skip",
			events: `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`,
			want: "?   \tp\t[no test files]\n",
		},
		{
			name:   "a test without an outcome shows its output",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: x\n"}`,
			want:   "panic: x\n",
		},
		{
			name:   "what is not an event is passed on",
			events: `go: no module`,
			want:   "go: no module\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if skips := report(strings.NewReader(tt.events), &out); skips != tt.skips {
				t.Errorf("got %d skips, want %d", skips, tt.skips)
			}
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}
