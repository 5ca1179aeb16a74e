package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/config"
)

func TestLogin(t *testing.T) {
	dir := t.TempDir()
	write := func(url, rest string) *config.Login {
		t.Helper()
		path := filepath.Join(dir, "usher.yaml")
		text := "login: {issuer: https://login.example.com, client_id: usher, url: " + url + rest + "}\nverifiers: {people: {login: true}}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path, nil)
		if err != nil {
			t.Fatalf("got\n%v", err)
		}
		return c.Login
	}
	want := &config.Login{
		Issuer: "https://login.example.com", ClientID: "usher", URL: "https://app.example.com", After: "/",
		Cookie: "__Host-session", Idle: 12 * time.Hour, Lifetime: 168 * time.Hour,
	}
	if diff := cmp.Diff(want, write("https://app.example.com", "")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := write("http://localhost:8080", "").Cookie; got != "session" {
		t.Errorf("got cookie %q at http, want session", got)
	}
	if got := write("https://app.example.com", ", cookie: __Host-chat").Cookie; got != "__Host-chat" {
		t.Errorf("got cookie %q, want __Host-chat", got)
	}
}
