package observe

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
)

// NewLogger returns a logger that writes records of level and above to w, one
// line each: in JSON where format is "json", else as text. What looks like a
// credential is replaced, whoever logs it.
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// ErrorLog returns the logger for [net/http.Server.ErrorLog]. A handler that
// panics is an error, and so is a listener that accepts nobody; the rest, such as a failed TLS handshake, is what any
// stranger can cause and is logged for debugging only.
func ErrorLog(to *slog.Logger) *log.Logger {
	return log.New(serverLog{to}, "", 0)
}

type serverLog struct{ to *slog.Logger }

// Write logs one message of the server's.
func (l serverLog) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(p, []byte("panic serving")) || bytes.Contains(p, []byte("Accept error")) {
		level = slog.LevelError
	}
	l.to.Log(context.Background(), level, "http server", "message", string(bytes.TrimSpace(p)))
	return len(p), nil
}
