package usher_test

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// allCarriers is a Guard that takes a credential in every way there is.
func allCarriers(log *logbook) *usher.Guard {
	g := &usher.Guard{
		Carriers: []usher.Carrier{
			usher.Ticket("", &usher.Tickets{}), usher.Subprotocol(known), usher.Query("", known),
			usher.Bearer(known), usher.Cookie("sid", known), usher.FirstMessage(known),
		},
		Subprotocols: []string{chat},
	}
	if log != nil {
		g.Log = log.logger()
	}
	return g
}

// TestConnectOverHTTP1: a CONNECT is no way around the Guard, with a credential
// or without.
func TestConnectOverHTTP1(t *testing.T) {
	h := &witness{}
	s := guard(t, allCarriers(nil), h)
	for name, text := range map[string]string{
		"without a credential": request("CONNECT", "self.test", "self.test:443"),
		"with one":             request("CONNECT", "self.test", "self.test:443", "Authorization: Bearer alice-word"),
		"with a path":          request("CONNECT", "self.test", "/chat", "Authorization: Bearer alice-word"),
		"as a handshake":       with("GET /chat HTTP/1.1", "CONNECT self.test:443 HTTP/1.1"),
	} {
		t.Run(name, func(t *testing.T) {
			if res, body := exchange(t, s.addr, text); res.StatusCode != http.StatusNotImplemented {
				t.Errorf("got status %d %q, want 501", res.StatusCode, body)
			}
			h.sawNobody(t)
		})
	}
}

// TestExtendedConnect runs testExtendedConnect in a process of its own, because
// the server reads the setting that turns RFC 8441 on when it starts.
func TestExtendedConnect(t *testing.T) {
	const child = "USHER_TEST_EXTENDED_CONNECT"
	if os.Getenv(child) == "1" {
		testExtendedConnect(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestExtendedConnect$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), child+"=1", "GODEBUG=http2xconnect=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("child process: %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: TestExtendedConnect/")) {
		t.Errorf("the child process tested nothing:\n%s", out)
	}
}

// testExtendedConnect sends every kind of request with and without a
// credential. In HTTP/2 a WebSocket has no Upgrade header and no key (RFC 8441
// §5), and must not pass for a plain request.
func testExtendedConnect(t *testing.T) {
	h := &witness{}
	g := allCarriers(nil)
	g.Log = quiet()
	s := serveHTTP2(t, g.Handler(h))
	host := hpack.HeaderField{Name: ":authority", Value: s.addr}
	https := hpack.HeaderField{Name: ":scheme", Value: "https"}
	method := func(m, path string) []hpack.HeaderField {
		return []hpack.HeaderField{{Name: ":method", Value: m}, https, host, {Name: ":path", Value: path}}
	}
	protocol := func(name string) hpack.HeaderField { return hpack.HeaderField{Name: ":protocol", Value: name} }
	version := hpack.HeaderField{Name: "sec-websocket-version", Value: "13"}
	origin := hpack.HeaderField{Name: "origin", Value: "https://" + s.addr}
	bearer := hpack.HeaderField{Name: "authorization", Value: "Bearer alice-word"}
	cookie := hpack.HeaderField{Name: "cookie", Value: "sid=alice-word"}
	offer := hpack.HeaderField{Name: "sec-websocket-protocol", Value: "chat, " + bearerEntry("alice-word")}
	connect := append(method("CONNECT", "/chat"), protocol("websocket"), version)
	tests := []struct {
		name   string
		fields []hpack.HeaderField
		status int
		admits bool
	}{
		{"GET without a credential", method("GET", "/"), 401, false},
		{"GET with one", append(method("GET", "/"), bearer), 200, true},
		{"WebSocket without a credential", connect, 501, false},
		{"WebSocket of a page", append(connect, origin), 501, false},
		{"WebSocket with a bearer token", append(connect, bearer), 501, false},
		{"WebSocket with a cookie", append(connect, origin, cookie), 501, false},
		{"WebSocket with a subprotocol", append(connect, origin, offer), 501, false},
		{"WebSocket with a query", append(method("CONNECT", "/?access_token=alice-word"), protocol("websocket"), version), 501, false},
		{"WebSocket with a key, as in HTTP/1.1", append(connect, bearer, hpack.HeaderField{Name: "sec-websocket-key", Value: testKey}), 501, false},
		{"another protocol", append(method("CONNECT", "/"), protocol("connect-udp"), bearer), 501, false},
		{"WebSocket in upper case", append(method("CONNECT", "/"), protocol("WebSocket"), bearer), 501, false},
		{"CONNECT without a protocol", []hpack.HeaderField{{Name: ":method", Value: "CONNECT"}, host, bearer}, 501, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := askHTTP2(t, s, tt.fields); got != tt.status {
				t.Errorf("got status %d, want %d", got, tt.status)
			}
			if tt.admits {
				h.saw(t, "alice")
			} else {
				h.sawNobody(t)
			}
		})
	}
}

// serveHTTP2 starts a server that speaks HTTP/2.
func serveHTTP2(t *testing.T, h http.Handler) *server {
	t.Helper()
	s := newServer(t, h)
	s.EnableHTTP2 = true
	s.StartTLS()
	s.addr = s.Listener.Addr().String()
	return s
}

// askHTTP2 sends one request, whatever its fields are, and returns the status
// of the answer.
func askHTTP2(t *testing.T, s *server, fields []hpack.HeaderField) int {
	t.Helper()
	p := dial(t, s.addr, "")
	c := tls.Client(p, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	fr := http2.NewFramer(c, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		if strings.HasPrefix(f.Name, ":") {
			enc.WriteField(f)
		}
	}
	for _, f := range fields {
		if !strings.HasPrefix(f.Name, ":") {
			enc.WriteField(f)
		}
	}
	extended := false
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() {
				continue
			}
			v, ok := f.Value(http2.SettingEnableConnectProtocol)
			extended = ok && v == 1
			if !extended {
				t.Fatal("the server does not offer extended CONNECT")
			}
			err = fr.WriteSettingsAck()
			if err == nil {
				err = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: fields[0].Value == "GET"})
			}
			if err != nil {
				t.Fatal(err)
			}
		case *http2.MetaHeadersFrame:
			status, err := strconv.Atoi(f.PseudoValue("status"))
			if err != nil {
				t.Fatal(err)
			}
			return status
		case *http2.RSTStreamFrame:
			t.Fatalf("got the stream reset: %v", f.ErrCode)
		case *http2.GoAwayFrame:
			t.Fatalf("got the connection closed: %v %q", f.ErrCode, f.DebugData())
		}
	}
}
