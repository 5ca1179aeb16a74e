package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A revocation that not all nodes may know is tried again with the same time, to
// the last digit: a later one would end what has been opened since.
func TestRevokeElsewhere(t *testing.T) {
	const at = "2026-03-01T10:00:00.123456789Z"
	body := `{"connections":2,"issued_before":"` + at + `"}`
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   int
		out    string
		err    string
	}{
		{"everywhere", http.StatusOK, body, exitOK, "issued before " + at + " are refused\n", ""},
		{
			"here only", http.StatusServiceUnavailable, `{"status":503,"detail":"try again",` + body[1:], exitFailed, "",
			"usher revoke: 2 connections ended on this node, and other nodes may not know of the revocation: try again with --issued-before " + at + "\n",
		},
		{"not at all", http.StatusServiceUnavailable, `{"status":503,"detail":"out of reach"}`, exitFailed, "", "usher revoke: out of reach\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				w.Write([]byte(tt.body))
			}))
			defer admin.Close()
			var out, err strings.Builder
			code := run(t.Context(), []string{"revoke", "--subject", "alice", "--admin", admin.URL}, &out, &err)
			if code != tt.code || !strings.HasSuffix(out.String(), tt.out) || err.String() != tt.err {
				t.Errorf("got %d, %q, %q; want %d, %q, %q", code, out.String(), err.String(), tt.code, tt.out, tt.err)
			}
		})
	}
}
