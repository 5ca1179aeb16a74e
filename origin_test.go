package usher_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

// The ways in which a page can send a request, and what the Guard answers one
// that it admits.
const (
	byUpgrade = iota
	byPost
	byGet
)

// A visitRow is a request of a page, and what the Guard makes of its origin.
type visitRow struct {
	name  string
	host  string // Default: "self.test".
	lines []string
	// refused is by upgrade and by POST; a plain GET is refused only if cross
	// is set, since a page can send one anyway and cannot read the answer.
	refused bool
	cross   bool
}

// tryOrigin sends the row's request in all three ways, each with a good cookie,
// and asserts at the handler.
func tryOrigin(t *testing.T, addr string, h *witness, row visitRow) {
	t.Helper()
	host := row.host
	if host == "" {
		host = "self.test"
	}
	lines := append([]string{"Cookie: sid=alice-word"}, row.lines...)
	for how, text := range []string{
		byUpgrade: upgrade(host, "/chat", lines...),
		byPost:    request(http.MethodPost, host, "/chat", append(lines, "Content-Length: 0")...),
		byGet:     request(http.MethodGet, host, "/chat", lines...),
	} {
		res, body := exchange(t, addr, text)
		want := http.StatusOK
		switch {
		case row.refused && (how != byGet || row.cross):
			want = http.StatusForbidden
		case how == byUpgrade:
			want = http.StatusSwitchingProtocols
		}
		if res.StatusCode != want {
			t.Errorf("request %d: got status %d %q, want %d", how, res.StatusCode, body, want)
		}
		if want == http.StatusForbidden {
			h.sawNobody(t)
		} else {
			h.saw(t, "alice")
		}
	}
}

// cookieGuard is a Guard whose only credential is one that browsers attach to
// whatever any page starts.
func cookieGuard() *usher.Guard {
	return &usher.Guard{
		Origins:  []string{"https://app.example.com", "https://app.example.com:8443", "http://[2001:db8::1]:8080", "https://xn--bcher-kva.example"},
		Carriers: []usher.Carrier{usher.Cookie("sid", known)},
	}
}

func TestOriginTable(t *testing.T) {
	h := &witness{}
	s := guard(t, cookieGuard(), h)
	allowed := []string{
		"https://app.example.com", "https://app.example.com:8443", "http://[2001:db8::1]:8080",
		"https://xn--bcher-kva.example", "http://self.test",
	}
	for _, origin := range allowed {
		t.Run("allowed "+origin, func(t *testing.T) {
			tryOrigin(t, s.addr, h, visitRow{lines: []string{"Origin: " + origin}})
		})
	}
	refused := map[string]string{
		"another site":           "https://evil.example",
		"suffix":                 "https://app.example.com.evil.example",
		"prefix":                 "https://evilapp.example.com",
		"parent":                 "https://example.com",
		"sibling":                "https://api.example.com",
		"child":                  "https://a.app.example.com",
		"other port":             "https://app.example.com:444",
		"port 0":                 "https://app.example.com:0",
		"port with zeros":        "https://app.example.com:08443",
		"own port written out":   "https://app.example.com:443",
		"empty port":             "https://app.example.com:",
		"http for https":         "http://app.example.com",
		"wss for https":          "wss://app.example.com",
		"https for own http":     "https://self.test",
		"user":                   "https://app.example.com@evil.example",
		"user of ours":           "https://evil@app.example.com",
		"user and password":      "https://app.example.com:8443@evil.example",
		"backslash":              `https://evil.example\@app.example.com`,
		"trailing dot":           "https://app.example.com.",
		"upper case host":        "https://APP.example.com",
		"upper case scheme":      "HTTPS://app.example.com",
		"path":                   "https://app.example.com/",
		"query":                  "https://app.example.com?",
		"fragment":               "https://evil.example#https://app.example.com",
		"no slashes":             "https:app.example.com",
		"no scheme":              "app.example.com",
		"slashes only":           "//app.example.com",
		"percent":                "https://app%2eexample.com",
		"IDN not encoded":        "https://b\u00fccher.example",
		"IDN look-alike":         "https://xn--80ak6aa92e.example",
		"wide full stop":         "https://app\uff0eexample.com",
		"IPv6 without brackets":  "http://2001:db8::1:8080",
		"IPv6 other port":        "http://[2001:db8::1]:8081",
		"IPv6 written out":       "http://[2001:db8:0:0:0:0:0:1]:8080x",
		"IPv6 with zone":         "http://[2001:db8::1%25eth0]:8080",
		"null":                   "null",
		"null in upper case":     "NULL",
		"star":                   "*",
		"wildcard":               "https://*.example.com",
		"empty":                  "",
		"two with comma":         "https://app.example.com,https://evil.example",
		"two with comma, space":  "https://app.example.com, https://app.example.com",
		"two with space":         "https://app.example.com https://evil.example",
		"tab inside":             "https://app.example.com\thttps://evil.example",
		"file":                   "file://",
		"extension":              "chrome-extension://abcdefghijklmnop",
		"javascript":             "javascript://app.example.com",
		"64 kB":                  "https://" + strings.Repeat("a", 64<<10) + ".app.example.com",
		"64 kB of dots":          "https://" + strings.Repeat(".", 64<<10),
		"our origin, then 64 kB": "https://app.example.com" + strings.Repeat("/", 64<<10),
	}
	for name, origin := range refused {
		t.Run("refused "+name, func(t *testing.T) {
			tryOrigin(t, s.addr, h, visitRow{lines: []string{"Origin: " + origin}, refused: true})
		})
	}
}

func TestOriginHeaders(t *testing.T) {
	h := &witness{}
	s := guard(t, cookieGuard(), h)
	const ours, evil = "Origin: https://app.example.com", "Origin: https://evil.example"
	rows := []visitRow{
		{name: "two headers, first ours", lines: []string{ours, evil}, refused: true},
		{name: "two headers, last ours", lines: []string{evil, ours}, refused: true},
		{name: "two headers, both ours", lines: []string{ours, ours}, refused: true},
		{name: "header name in lower case", lines: []string{"origin: https://evil.example"}, refused: true},
		{name: "an old name of the header", lines: []string{"Sec-WebSocket-Origin: https://app.example.com", evil}, refused: true},
		{name: "listed, cross-site, as Firefox sends it", lines: []string{ours, "Sec-Fetch-Site: cross-site"}},
		{name: "listed, same-site", lines: []string{ours, "Sec-Fetch-Site: same-site"}},
		{name: "own, same-origin", lines: []string{"Origin: http://self.test", "Sec-Fetch-Site: same-origin"}},
		{name: "own, cross-site", lines: []string{"Origin: http://self.test", "Sec-Fetch-Site: cross-site"}, refused: true, cross: true},
		{name: "foreign, same-origin", lines: []string{evil, "Sec-Fetch-Site: same-origin"}, refused: true},
		{name: "foreign, none", lines: []string{evil, "Sec-Fetch-Site: none"}, refused: true},
		{name: "foreign, cross-site", lines: []string{evil, "Sec-Fetch-Site: cross-site"}, refused: true, cross: true},
		{name: "null, cross-site", lines: []string{"Origin: null", "Sec-Fetch-Site: cross-site"}, refused: true, cross: true},
		{name: "no origin, cross-site", lines: []string{"Sec-Fetch-Site: cross-site"}, refused: true, cross: true},
		{name: "own, another port of the name", host: "self.test:8080", lines: []string{"Origin: http://self.test"}, refused: true},
		{name: "own, with its port", host: "self.test:8080", lines: []string{"Origin: http://self.test:8080"}},
		{name: "own, with the scheme's port", host: "self.test:80", lines: []string{"Origin: http://self.test"}},
		{name: "own, named in upper case", host: "SELF.test", lines: []string{"Origin: http://self.test"}},
		{name: "own, IPv6", host: "[::1]:8080", lines: []string{"Origin: http://[::1]:8080"}},
		{name: "own, a host that is none", host: "self.test:x", lines: []string{"Origin: http://self.test:x"}, refused: true},
		{name: "own, forwarded by nobody known", lines: []string{"Origin: https://self.test", "X-Forwarded-Proto: https"}, refused: true},
		{name: "own, another name forwarded", lines: []string{"Origin: http://evil.example", "X-Forwarded-Host: evil.example"}, refused: true},
		{name: "own, another name in Forwarded", lines: []string{"Origin: http://evil.example", "Forwarded: host=evil.example;proto=http"}, refused: true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { tryOrigin(t, s.addr, h, row) })
	}
}

// TestOriginMissing: a client without an Origin is no browser, but a cookie may
// be one's that hides it.
func TestOriginMissing(t *testing.T) {
	h := &witness{}
	g := cookieGuard()
	g.Carriers = append(g.Carriers, usher.Bearer(known), usher.Query("", known))
	s := guard(t, g, h)
	const cookie, bearer = "Cookie: sid=alice-word", "Authorization: Bearer alice-word"
	tests := []struct {
		name, text string
		status     int
	}{
		{"cookie on an upgrade", upgrade("self.test", "/", cookie), http.StatusForbidden},
		{"cookie on a POST", request("POST", "self.test", "/", cookie, "Content-Length: 0"), http.StatusForbidden},
		{"cookie on a DELETE", request("DELETE", "self.test", "/", cookie), http.StatusForbidden},
		{"cookie on a method of no standard", request("FROB", "self.test", "/", cookie), http.StatusForbidden},
		{"cookie on a GET", request("GET", "self.test", "/", cookie), http.StatusOK},
		{"bearer on an upgrade", upgrade("self.test", "/", bearer), http.StatusSwitchingProtocols},
		{"bearer on a POST", request("POST", "self.test", "/", bearer, "Content-Length: 0"), http.StatusOK},
		{"query on an upgrade", upgrade("self.test", "/?access_token=alice-word"), http.StatusSwitchingProtocols},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, body := exchange(t, s.addr, tt.text)
			if res.StatusCode != tt.status {
				t.Fatalf("got status %d %q, want %d", res.StatusCode, body, tt.status)
			}
			if tt.status == http.StatusForbidden {
				h.sawNobody(t)
			} else {
				h.saw(t, "alice")
			}
		})
	}
}

func TestTrustedProxies(t *testing.T) {
	tests := []struct {
		name    string
		proxies string
		lines   []string
		refused bool
	}{
		{"https said by a trusted one", "127.0.0.0/8", []string{"Origin: https://self.test", "X-Forwarded-Proto: https"}, false},
		{"http origin where https is said", "127.0.0.0/8", []string{"Origin: http://self.test", "X-Forwarded-Proto: https"}, true},
		{"nothing said", "127.0.0.0/8", []string{"Origin: https://self.test"}, true},
		{"the nearest counts", "127.0.0.0/8", []string{"Origin: https://self.test", "X-Forwarded-Proto: https, http"}, true},
		{"the nearest counts, in two headers", "127.0.0.0/8", []string{"Origin: https://self.test", "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, true},
		{"a scheme that is none", "127.0.0.0/8", []string{"Origin: http://self.test", "X-Forwarded-Proto: gopher"}, true},
		{"an empty scheme", "127.0.0.0/8", []string{"Origin: http://self.test", "X-Forwarded-Proto: "}, true},
		{"said by another network", "10.0.0.0/8", []string{"Origin: https://self.test", "X-Forwarded-Proto: https"}, true},
		{"another network, own scheme", "10.0.0.0/8", []string{"Origin: http://self.test", "X-Forwarded-Proto: https"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &witness{}
			g := cookieGuard()
			g.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(tt.proxies)}
			s := guard(t, g, h)
			tryOrigin(t, s.addr, h, visitRow{lines: tt.lines, refused: tt.refused})
		})
	}
}

// TestHosts: with the names known that the door answers to, a name that an
// attacker has bound to its address is turned away (DNS rebinding), although
// Origin and Host agree.
func TestHosts(t *testing.T) {
	h := &witness{}
	g := cookieGuard()
	g.Hosts = []string{"self.test", "other.test:8443", "[::1]"}
	s := guard(t, g, h)
	tests := []struct {
		host   string
		served bool
	}{
		{"self.test", true},
		{"self.test:9999", true},
		{"SELF.TEST", true},
		{"other.test:8443", true},
		{"[::1]", true},
		{"[::1]:8080", true},
		{"evil.example", false},
		{"self.test.evil.example", false},
		{"xself.test", false},
		{"other.test", false},
		{"other.test:8444", false},
		{"self.test.", false},
		{"self.test:x", false},
		{"x@self.test", false},
		{"127.0.0.1", false},
		{"::1", false},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			lines := []string{"Origin: http://" + strings.ToLower(tt.host), "Cookie: sid=alice-word"}
			for _, text := range []string{
				upgrade(tt.host, "/", lines...),
				request("GET", tt.host, "/", lines...),
				request("CONNECT", tt.host, "/", lines...),
				upgrade("self.test", "http://"+tt.host+"/", lines...),
			} {
				connect := strings.HasPrefix(text, "CONNECT")
				res, body := exchange(t, s.addr, text)
				misdirected := res.StatusCode == http.StatusMisdirectedRequest || res.StatusCode == http.StatusBadRequest
				if misdirected == tt.served {
					t.Errorf("got status %d %q, want it to be served: %t", res.StatusCode, body, tt.served)
				}
				if tt.served && !connect {
					h.saw(t, "alice")
				} else {
					h.sawNobody(t)
				}
			}
		})
	}
}

// TestInsecureAnyOrigin: any page may come, but not one without an origin of
// its own; and it cannot stand beside what browsers attach by themselves.
func TestInsecureAnyOrigin(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{InsecureAnyOrigin: true, Carriers: []usher.Carrier{usher.Query("", known)}}, h)
	for origin, status := range map[string]int{
		"https://evil.example":     http.StatusSwitchingProtocols,
		"null":                     http.StatusForbidden,
		"":                         http.StatusForbidden,
		"https://evil.example/":    http.StatusForbidden,
		"https://EVIL.example":     http.StatusForbidden,
		"https://evil.example:443": http.StatusForbidden,
	} {
		res, _ := exchange(t, s.addr, upgrade("self.test", "/?access_token=alice-word", "Origin: "+origin))
		if res.StatusCode != status {
			t.Errorf("origin %q: got status %d, want %d", origin, res.StatusCode, status)
		}
		if status == http.StatusForbidden {
			h.sawNobody(t)
		} else {
			h.saw(t, "alice")
		}
	}
	for name, c := range map[string]usher.Carrier{"cookie": usher.Cookie("sid", known), "basic": usher.Basic(known)} {
		g := &usher.Guard{InsecureAnyOrigin: true, Carriers: []usher.Carrier{c}, Log: quiet()}
		if g.Validate() == nil {
			t.Errorf("%s beside InsecureAnyOrigin: got a valid guard, want an error", name)
		}
		s := serve(t, g.Handler(h))
		res, _ := exchange(t, s.addr, upgrade("self.test", "/", "Origin: https://evil.example",
			"Cookie: sid=alice-word", "Authorization: Basic YWxpY2U6YWxpY2Utd29yZA=="))
		if res.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: got status %d of a guard that is not valid, want 500", name, res.StatusCode)
		}
		h.sawNobody(t)
	}
}
