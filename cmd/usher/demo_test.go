package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The demo's page shows what the command explain prints.
func TestDemoExplains(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/usher/v1/explain/ABC" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(`{"explain_id":"ABC","verdict":"refused","route":"/chat","word":"expired","reason":"expired: too late"}`))
	}))
	defer admin.Close()
	var out bytes.Buffer
	if err := explainTo(t.Context(), &out, admin.URL, "ABC"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "ABC: refused") || !strings.Contains(out.String(), "expired: too late") {
		t.Errorf("explanation: got %q, want the refusal and its reason", out.String())
	}
	if err := explainTo(t.Context(), &out, admin.URL, "XYZ"); err == nil {
		t.Error("unknown id: got no error, want one")
	}
}
