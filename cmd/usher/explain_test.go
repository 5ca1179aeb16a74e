package main

import (
	"strings"
	"testing"
)

// What is told in plain HTTP only does not claim to have a close code.
func TestExplanationTold(t *testing.T) {
	for _, tt := range []struct {
		name string
		one  explanation
		want string
	}{
		{"with a close code", explanation{Word: "forbidden", Status: 403, Code: 4403}, "forbidden (HTTP 403, or close code 4403)\n"},
		{"without", explanation{Word: "origin", Status: 403}, "origin (HTTP 403)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if err := tt.one.print(&out); err != nil || !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %q, %v, want %q in it", out.String(), err, tt.want)
			}
		})
	}
}
