package server

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/usher-ws/usher/internal/head"
)

// mayBePlain reports whether a plain handshake may begin with b.
func mayBePlain(b []byte) bool {
	const get = "GET "
	n := min(len(b), len(get))
	return string(b[:n]) == get[:n] && bytes.Count(b, []byte("\n")) == bytes.Count(b, []byte("\r\n"))
}

// handshakeOf returns what net/http makes of a head that is a WebSocket handshake
// as everybody writes it, and nil of any other, or of one in which something has a
// meaning that net/http looks for.
func handshakeOf(text string) *http.Request {
	var room [24]head.Field
	line, fields, plain := head.Parse(text, room[:0])
	target, isGet := strings.CutPrefix(line, "GET ")
	target, isHTTP11 := strings.CutSuffix(target, " HTTP/1.1")
	if !plain || !isGet || !isHTTP11 || !strings.HasPrefix(target, "/") || strings.ContainsAny(target, " \t") {
		return nil
	}
	target = strings.Clone(target) // Who keeps a part of the URL shall not keep all of text.
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	h, values, host := make(http.Header, len(fields)), make([]string, len(fields)), ""
	for i, f := range fields {
		f.Value = strings.Clone(f.Value) // Here too: some are kept for as long as the connection.
		values[i] = f.Value
		switch f.Name {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
			return nil
		case "Host":
			if host != "" || !isPlainHost(f.Value) {
				return nil
			}
			host = f.Value
		default:
			if others := h[f.Name]; others != nil {
				h[f.Name] = append(others, f.Value)
			} else {
				h[f.Name] = values[i : i+1 : i+1]
			}
		}
	}
	if host == "" || !asksForWebSocket(h) || len(h["Pragma"]) > 0 && len(h["Cache-Control"]) == 0 {
		return nil
	}
	return &http.Request{
		Method: http.MethodGet, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: http.NoBody, Host: host, RequestURI: target,
	}
}

// asksForWebSocket reports whether h upgrades to WebSocket, and says no more of the
// connection than that.
func asksForWebSocket(h http.Header) (upgrades bool) {
	for _, line := range h["Connection"] {
		for item := range strings.SplitSeq(line, ",") {
			switch item = strings.Trim(item, " \t"); {
			case strings.EqualFold(item, "upgrade"):
				upgrades = true
			case !strings.EqualFold(item, "keep-alive"):
				return false
			}
		}
	}
	return upgrades && len(h["Upgrade"]) == 1 && strings.EqualFold(h["Upgrade"][0], "websocket")
}

// isPlainHost reports whether a host has only what is in names, addresses and
// ports.
func isPlainHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return host != ""
}
