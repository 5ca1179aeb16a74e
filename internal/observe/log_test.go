package observe_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/observe"
)

const (
	jwt    = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
	ticket = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5"
)

// secretURL prints its query, as any URL does.
var secretURL = &url.URL{Scheme: "wss", Host: "x.test", Path: "/chat", RawQuery: "a=1&access_token=hunter2"}

// TestRedaction: what looks like a credential is not in the log, whoever put it
// there, and the rest is.
func TestRedaction(t *testing.T) {
	tests := []struct {
		name   string
		attr   slog.Attr
		secret string
		keeps  string
	}{
		{"key", slog.String("token", "hunter2"), "hunter2", "token"},
		{"key with a word before", slog.String("access_token", "hunter2"), "hunter2", "access_token"},
		{"key as a header", slog.String(strings.Join([]string{"Set", "Cookie"}, "-"), "sid=hunter2"), "hunter2", "Set-Cookie"},
		{"key of bytes", slog.Any("secret", []byte("hunter2")), "hunter2", "secret"},
		{"key of a group", slog.Group("password", slog.String("of", "hunter2")), "hunter2", "of"},
		{"jwt", slog.String("text", "got "+jwt+" from x"), "c2lnbmF0dXJl", "from x"},
		{"jwt cut short", slog.String("text", jwt[:30]), "hbGciOiJIUzI1", "text"},
		{"parameter", slog.String("url", "wss://x.test/chat?a=1&access_token=hunter2&b=2"), "hunter2", "b=2"},
		{"first parameter", slog.String("url", "/chat?ticket=hunter2"), "hunter2", "/chat"},
		{"url", slog.Any("url", secretURL), "hunter2", "x.test"},
		{"error", slog.Any("error", fmt.Errorf("dial %s: %w", secretURL, errors.New("refused"))), "hunter2", "refused"},
		{"header", slog.Any("header", http.Header{"X-Api": {"hunter2"}}), "hunter2", "header"},
		{"struct", slog.Any("value", struct{ Authorization string }{"Bearer hunter2-hunter2"}), "hunter2", "value"},
		{"scheme", slog.String("text", "Authorization: Basic aHVudGVyMg=="), "aHVudGVyMg", "text"},
		{"scheme alone", slog.String("text", "sent Bearer hunter2hunter2"), "hunter2", "sent"},
		{"subprotocol", slog.String("text", "chat, usher.bearer.aHVudGVyMg"), "aHVudGVyMg", "chat"},
		{"member", slog.String("text", `{"type":"auth","token":"hunter2"}`), "hunter2", "auth"},
		{"ticket", slog.String("text", "opened "+ticket), ticket[10:], "opened"},
		{"api key", slog.String("text", "sent usher_abcdefghij23_AAAAAAAAAAAAAAAAAAAAAAAA27 to x"), "AAAAAA", "usher_abcdefghij23_[redacted] to x"},
		{"key of the hub", slog.String("text", "key=chat.pages:0123456789abcdef01 at 127.0.0.1:40404"), "0123456789", "chat.pages:[redacted] at 127.0.0.1:40404"},
		{"api key cut short", slog.String("text", "sent usher_abcdefghij23_AAAAAAA"), "AAAAAA", "sent"},
		{"list", slog.Any("list", []string{"a", jwt}), "c2lnbmF0dXJl", "a "},
	}
	for _, tt := range tests {
		for _, format := range []string{"text", "json"} {
			t.Run(tt.name+" in "+format, func(t *testing.T) {
				var b strings.Builder
				log := observe.NewLogger(&b, slog.LevelDebug, format)
				log.LogAttrs(t.Context(), slog.LevelInfo, "an event", tt.attr)
				log.With(tt.attr).WithGroup("g").Info("another", "n", 1)
				if strings.Contains(b.String(), tt.secret) {
					t.Errorf("got the secret: %s", b.String())
				}
				if strings.Count(b.String(), tt.keeps) < 2 || !strings.Contains(b.String(), "an event") {
					t.Errorf("got %s, want %q kept", b.String(), tt.keeps)
				}
			})
		}
	}
	var b strings.Builder
	observe.NewLogger(&b, slog.LevelDebug, "text").Info("dial /chat?access_token=hunter2")
	if strings.Contains(b.String(), "hunter2") {
		t.Errorf("the message holds the secret: %s", b.String())
	}
}

// What an operator needs stays as it is.
func TestNotRedacted(t *testing.T) {
	for _, attr := range []slog.Attr{
		slog.String("explain_id", "ABCDEFGHIJKL"),
		slog.String("session", "GAV78MPKK5CGjz-T1C47WA"),
		slog.String("reason", "unauthenticated: verify jwt: credential expired"),
		slog.String("subject", "alice@example.com"),
		slog.Int("tokens", 3), slog.Int("token", 3),
		slog.Duration("took", time.Second),
		slog.String("text", "usher_connections_total and usher_engine_down_seconds"), slog.String("key_id", "abcdefghij23"),
		slog.String("upstream", "wss://chat.internal:9000/chat"),
		slog.String("text", "basic answers 401, and a bearer token is looked at"),
		slog.Any("upstreams", []string{"ws://127.0.0.1:9000/chat"}),
	} {
		var b strings.Builder
		observe.NewLogger(&b, slog.LevelDebug, "text").LogAttrs(t.Context(), slog.LevelInfo, "m", attr)
		if strings.Contains(b.String(), "[redacted]") {
			t.Errorf("got %s", b.String())
		}
	}
}

func TestErrorLog(t *testing.T) {
	var b strings.Builder
	log := observe.ErrorLog(observe.NewLogger(&b, slog.LevelInfo, "text"))
	log.Print("http: TLS handshake error from 127.0.0.1:1: EOF")
	if b.Len() != 0 {
		t.Errorf("got %s, want nothing of what a stranger can cause", b.String())
	}
	log.Print("http: Accept error: accept tcp 127.0.0.1:1: too many open files; retrying in 5ms")
	if !strings.Contains(b.String(), "level=ERROR") {
		t.Errorf("got %q, want an error: nobody gets in", b.String())
	}
	b.Reset()
	log.Print("http: panic serving 127.0.0.1:1: /chat?access_token=hunter2")
	if got := b.String(); !strings.Contains(got, "level=ERROR") || strings.Contains(got, "hunter2") {
		t.Errorf("got %s, want an error without the token", got)
	}
}
