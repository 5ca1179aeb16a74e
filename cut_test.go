package usher_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
	"pgregory.net/rapid"
)

// through sends the text of a plain request through h without a network.
func through(t testing.TB, h http.Handler, text string) *httptest.ResponseRecorder {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("read request %q: %v", text, err)
	}
	r.RemoteAddr = "192.0.2.1:1024"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(t.Context()))
	return w
}

func TestCutQuery(t *testing.T) {
	const other = "Authorization: Bearer alice-word"
	tests := []struct {
		name, target, want string
		lines              []string
	}{
		{"alone", "/a?access_token=alice-word", "/a", nil},
		{"first", "/a?access_token=alice-word&x=1&y=2", "/a?x=1&y=2", nil},
		{"in the middle", "/a?x=1&access_token=alice-word&y=2", "/a?x=1&y=2", nil},
		{"last", "/a?x=1&y=2&access_token=alice-word", "/a?x=1&y=2", nil},
		{"twice", "/a?access_token=alice-word&x=1&access_token=alice-word", "/a?x=1", nil},
		{"after a semicolon", "/a?x=1;access_token=alice-word;y=2", "/a?x=1;y=2", nil},
		{"name in percent", "/a?%61ccess%5Ftoken=alice-word&x=1", "/a?x=1", nil},
		{"whole name in percent", "/a?%61%63%63%65%73%73%5f%74%6f%6b%65%6e=alice-word", "/a", nil},
		{"value in percent", "/a?access_token=%61lice-word&x=1", "/a?x=1", nil},
		{"ticket, without such a carrier", "/a?ticket=secret&x=1", "/a?x=1", []string{other}},
		{
			"the rest in odd spellings", "/a%2Fb//c/../d?x=%41+%20&&=&y&%zz=1&access_token=alice-word&z=%e2%82&=v&+q=a=b",
			"/a%2Fb//c/../d?x=%41+%20&&=&y&%zz=1&z=%e2%82&=v&+q=a=b", nil,
		},
		{
			"names that only look like it", "/a?xaccess_token=1&access_token2=2&access-token=3&ACCESS_TOKEN=4&access%5ftokens=5&tickets=6&x=access_token=7",
			"/a?xaccess_token=1&access_token2=2&access-token=3&ACCESS_TOKEN=4&access%5ftokens=5&tickets=6&x=access_token=7",
			[]string{other},
		},
		{"nothing to cut", "/a?", "/a?", []string{other}},
		{"separators where nothing is cut", "/a?&;x&&", "/a?&;x&&", []string{other}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &witness{}
			g := &usher.Guard{Carriers: []usher.Carrier{usher.Query("", known), usher.Bearer(known)}, Log: quiet()}
			through(t, g.Handler(h), request("GET", "self.test", tt.target, tt.lines...))
			r := h.saw(t, "alice").request
			if r.RequestURI != tt.want {
				t.Errorf("got request target %q, want %q", r.RequestURI, tt.want)
			}
			if _, query, _ := strings.Cut(tt.want, "?"); r.URL.RawQuery != query {
				t.Errorf("got query %q, want %q", r.URL.RawQuery, query)
			}
			want, err := url.ParseRequestURI(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if r.URL.Path != want.Path || r.URL.RawPath != want.RawPath || r.URL.EscapedPath() != want.EscapedPath() {
				t.Errorf("got path %q (%q), want %q (%q)", r.URL.Path, r.URL.RawPath, want.Path, want.RawPath)
			}
		})
	}
}

// TestCutQueryProperty: whatever stands around our parameters, these are gone
// in every spelling and all else is there, byte for byte and in order.
func TestCutQueryProperty(t *testing.T) {
	ours := []string{
		"access_token=alice-word", "access%5ftoken=alice-word", "%61ccess_token=%61lice-word", "ticket=x",
		"%74icket=y", "t=z", "%74=z", "access_token=", "ticket", "access_token=%zz", "access_token=a=b",
	}
	foreign := rapid.OneOf(
		rapid.StringMatching(`[a-z0-9%+=/?:@._~!$'()*,-]{0,12}`),
		rapid.SampledFrom([]string{"", "x=1", "a%20b=%zz", "Ticket=1", "access_token%00=1", "access_token%=1", "q=ticket=1", "%", "+t=1", "t%20=2"}),
	)
	h := &witness{}
	// The Guard's own error is of no interest: Deny shows what is left of a
	// request that was refused too.
	g := &usher.Guard{
		Carriers: []usher.Carrier{usher.Query("", known), usher.Query("t", known)},
		Deny:     func(w http.ResponseWriter, r *http.Request, _ error) { h.ServeHTTP(w, r) },
		Log:      quiet(),
	}
	door := g.Handler(h)
	isOurs := func(piece string) bool {
		name, _, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(name)
		return err == nil && slices.Contains([]string{"access_token", "ticket", "t"}, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.OneOf(foreign, rapid.SampledFrom(ours)), 1, 8).Draw(t, "pieces")
		var raw strings.Builder
		var want []string
		for i, piece := range pieces {
			if i > 0 {
				raw.WriteString(rapid.SampledFrom([]string{"&", ";"}).Draw(t, "separator"))
			}
			raw.WriteString(piece)
			if piece != "" && !isOurs(piece) {
				want = append(want, piece)
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.URL.RawQuery, r.RequestURI = raw.String(), "/?"+raw.String()
		door.ServeHTTP(httptest.NewRecorder(), r)
		seen := h.sightings()
		if len(seen) != 1 {
			t.Fatalf("got %d requests, want 1", len(seen))
		}
		got := seen[0].request.URL.RawQuery
		pick := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == '&' || r == ';' })
		}
		if !slices.Equal(pick(got), want) {
			t.Fatalf("got %q of %q, want the pieces %q", got, raw.String(), want)
		}
		if _, query, _ := strings.Cut(seen[0].request.RequestURI, "?"); query != got {
			t.Fatalf("got request target with %q, URL with %q", query, got)
		}
	})
}

func TestCutCookies(t *testing.T) {
	tests := []struct {
		name    string
		cookies []string
		want    []string
	}{
		{"alone", []string{"sid=alice-word"}, nil},
		{"first", []string{"sid=alice-word; a=1; b=2"}, []string{"a=1; b=2"}},
		{"in the middle", []string{"a=1; sid=alice-word; b=2"}, []string{"a=1; b=2"}},
		{"last", []string{"a=1; b=2; sid=alice-word"}, []string{"a=1; b=2"}},
		{"twice", []string{"sid=alice-word; a=1; sid=alice-word"}, []string{"a=1"}},
		{"in two headers", []string{"a=1", "sid=alice-word; b=2"}, []string{"a=1; b=2"}},
		{"quoted", []string{`a=1; sid="alice-word"`}, []string{"a=1"}},
		{"spaces around", []string{"a=1;  sid = alice-word ;b=2"}, []string{"a=1; b=2"}},
		{"without spaces", []string{"a=1;sid=alice-word;b=2"}, []string{"a=1; b=2"}},
		{"odd neighbors", []string{`a="x y"; SID=9; xsid=8; sid=alice-word; =7; b=c=d; e`}, []string{`a="x y"; SID=9; xsid=8; =7; b=c=d; e`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &witness{}
			g := cookieGuard()
			g.Log = quiet()
			var lines []string
			for _, c := range tt.cookies {
				lines = append(lines, "Cookie: "+c)
			}
			through(t, g.Handler(h), request("GET", "self.test", "/", lines...))
			if got := h.saw(t, "alice").request.Header["Cookie"]; !slices.Equal(got, tt.want) {
				t.Errorf("got cookies %q, want %q", got, tt.want)
			}
		})
	}
}

// TestCutEverywhere: what can only be a credential of ours is cut out on every
// route, also where no carrier reads it; what is not ours stays.
func TestCutEverywhere(t *testing.T) {
	h := &witness{}
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Cookie("sid", known)}, Log: quiet()}
	through(t, g.Handler(h), request("GET", "self.test", "/a?x=1&access_token=s3cret&ticket=s3cret&csrf_token=theirs",
		"Authorization: Bearer s3cret", "Authorization: Basic s3cret", "authorization: s3cret",
		"Cookie: sid=alice-word; theirs=1",
		"Sec-WebSocket-Protocol: chat, usher.bearer.s3cret, usher.ticket.s3cret, usher.csrf.s3cret",
		"Sec-WebSocket-Protocol: USHER.Bearer.s3cret, usher.new.s3cret, base64url.bearer.phx.theirs, v2",
		"X-Theirs: 2", "X-Theirs: 1", "X-Csrf-Token: theirs"))
	seen := h.saw(t, "alice")
	if strings.Contains(seen.dump, "s3cret") || strings.Contains(seen.dump, "alice-word") {
		t.Errorf("the handler saw a credential:\n%s", seen.dump)
	}
	r := seen.request
	for name, want := range map[string][]string{
		"Authorization":          nil,
		"Cookie":                 {"theirs=1"},
		"Sec-Websocket-Protocol": {"chat, base64url.bearer.phx.theirs, v2"},
		"X-Theirs":               {"2", "1"},
		"X-Csrf-Token":           {"theirs"},
	} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if got, want := r.RequestURI, "/a?x=1&csrf_token=theirs"; got != want {
		t.Errorf("got request target %q, want %q", got, want)
	}
}

// TestCutSubprotocols: the forms of Kubernetes and Phoenix are credentials on a
// Guard that reads tokens there, in the letters that they are sent in.
func TestCutSubprotocols(t *testing.T) {
	token := strings.TrimPrefix(bearerEntry("alice-word"), "usher.bearer.")
	for name, entry := range map[string]string{
		"our own":    "usher.bearer." + token,
		"Kubernetes": "base64url.bearer.authorization.k8s.io." + token,
		"Phoenix":    "base64url.bearer.phx." + token,
	} {
		t.Run(name, func(t *testing.T) {
			h := &witness{}
			g := &usher.Guard{Carriers: []usher.Carrier{usher.Subprotocol(known)}}
			s := guard(t, g, h)
			for _, offer := range []string{"chat, " + entry, entry + ", chat", "other," + entry + ",chat"} {
				p := dial(t, s.addr, "")
				p.say(upgrade("self.test", "/", "Sec-WebSocket-Protocol: "+offer))
				res := p.status(http.StatusSwitchingProtocols)
				if got := res.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, []string{chat}) {
					t.Errorf("got subprotocol %q, want chat", got)
				}
				if seen := h.saw(t, "alice"); strings.Contains(seen.dump, token) {
					t.Errorf("the handler saw the token:\n%s", seen.dump)
				}
			}
		})
	}
}

// TestCutForm: a form that a middleware in front of the Guard has parsed has no
// credential either.
func TestCutForm(t *testing.T) {
	h := &witness{}
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Query("", known)}, Log: quiet()}
	door := g.Handler(h)
	var parsed *http.Request
	through(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		parsed = r
		door.ServeHTTP(w, r)
	}), request("GET", "self.test", "/?x=1&access_token=alice-word&x=2&ticket=alice-word"))
	got := h.saw(t, "alice").request.Form
	if len(got) != 1 || !slices.Equal(got["x"], []string{"1", "2"}) {
		t.Errorf("got form %q, want x=1&x=2 alone", got)
	}
	if parsed.Form.Get("access_token") == "" || parsed.URL.Query().Get("access_token") == "" {
		t.Error("the request of the middleware in front was changed")
	}
}
