package usher

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// The fuzz targets of the parsers that stand in front of every verdict. Their
// corpus is in testdata/fuzz.

// FuzzOrigin: what is taken for an origin is one by the rules of net/url too,
// and only the listed and the own one come in.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{
		"https://app.example.com", "https://app.example.com:8443", "http://[2001:db8::1]:8080", "null", "",
		"https://app.example.com@evil.example", "https://app.example.com:443", "HTTPS://app.example.com",
	} {
		f.Add(s, "self.test:8080")
	}
	policy := newOriginPolicy(&Guard{Origins: []string{"https://app.example.com"}})
	f.Fuzz(func(t *testing.T, text, host string) {
		if validateOrigin(text) == nil {
			u, parseErr := url.Parse(text)
			if parseErr != nil || u.Scheme+"://"+u.Host != text || u.User != nil || u.Port() == "0" || len(text) > maxOrigin {
				t.Errorf("%q was taken for an origin: %v", text, parseErr)
			}
		}
		r := &http.Request{Header: http.Header{"Origin": {text}}, Host: host}
		got, err := policy.check(r, "http", true)
		allowed := text == "https://app.example.com" || (host != "" && strings.EqualFold(text, "http://"+strings.TrimSuffix(host, ":80")))
		if err == nil && (got != text || !allowed) {
			t.Errorf("origin %q at host %q was let in as %q", text, host, got)
		}
		if policy.allows(text, "http", host) != (err == nil) {
			t.Errorf("origin %q at host %q: got %v from check, and another answer from allows", text, host, err)
		}
		if !policy.serves(host) {
			t.Errorf("host %q was not served where any is", host)
		}
	})
}

// FuzzCutQuery: no piece that decodes to one of our names is left, and the
// others are, byte for byte.
func FuzzCutQuery(f *testing.F) {
	for _, s := range []string{
		"access_token=a&x=1", "x=1;%74icket=b;y", "&&;;", "%zz=1&access%5Ftoken=%zz", "a=access_token=1", "+ticket=1",
	} {
		f.Add(s)
	}
	names := map[string]struct{}{"access_token": {}, "ticket": {}}
	ours := func(piece string) bool {
		name, _, _ := strings.Cut(piece, "=")
		name, err := url.QueryUnescape(name)
		_, ok := names[name]
		return err == nil && ok
	}
	pieces := func(raw string) []string {
		return strings.FieldsFunc(raw, func(r rune) bool { return r == '&' || r == ';' })
	}
	f.Fuzz(func(t *testing.T, raw string) {
		found := 0
		rest, changed := withoutParams(raw, names, func(name, _ string) {
			if _, ok := names[name]; !ok {
				t.Errorf("%q was cut out", name)
			}
			found++
		})
		all := pieces(raw)
		want := slices.DeleteFunc(slices.Clone(all), ours)
		if got := pieces(rest); !slices.Equal(got, want) {
			t.Errorf("got %q of %q, want %q", got, raw, want)
		}
		if found != len(all)-len(want) || changed != (found > 0) || (!changed && rest != raw) {
			t.Errorf("got %d cut out, changed %t, %q of %q", found, changed, rest, raw)
		}
		if left, _ := url.ParseQuery(rest); left.Has("access_token") || left.Has("ticket") {
			t.Errorf("a credential is left in %q of %q", rest, raw)
		}
	})
}

// FuzzCookies: the cookie is gone in whatever way net/http would read it, and
// the others are there, in order.
func FuzzCookies(f *testing.F) {
	for _, s := range []string{"sid=a; b=1", `b=1;sid="x"; sid=y`, "sid", "=; ;;", " sid =a;xsid=b; SID=c", "a=sid=b"} {
		f.Add(s)
	}
	x := newExtractor([]Carrier{Cookie("sid", nil)})
	split := func(line string) []string {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); pair != "" {
				pairs = append(pairs, pair)
			}
		}
		return pairs
	}
	f.Fuzz(func(t *testing.T, line string) {
		h, c := http.Header{"Cookie": {line}}, &cutting{}
		before := (&http.Request{Header: h.Clone()}).CookiesNamed("sid")
		x.cutCookies(h, c)
		if len(before) > len(c.cookies) { // It takes no others.
			t.Errorf("net/http sees %d cookies in %q, the guard %d", len(before), line, len(c.cookies))
		}
		if left := (&http.Request{Header: h}).CookiesNamed("sid"); len(left) > 0 {
			t.Errorf("the cookie is left in %q of %q", h["Cookie"], line)
		}
		want := slices.DeleteFunc(split(line), func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return strings.TrimSpace(name) == "sid"
		})
		if got := split(h.Get("Cookie")); !slices.Equal(got, want) {
			t.Errorf("got %q of %q, want %q", got, line, want)
		}
	})
}

// FuzzSubprotocols: no entry that carries something stays in the offer, and
// the others do, in order.
func FuzzSubprotocols(f *testing.F) {
	for _, s := range []string{
		"chat, usher.bearer.YWJj", "usher.ticket.x,v2", "base64url.bearer.phx.YWJj, a", "USHER.x, b", ",", "a/b",
		"base64url.bearer.authorization.k8s.io.YQ, c", "usher.csrf.x",
	} {
		f.Add(s)
	}
	x := newExtractor([]Carrier{Subprotocol(nil)})
	f.Fuzz(func(t *testing.T, line string) {
		h, c := http.Header{"Sec-Websocket-Protocol": {line}}, &cutting{}
		if err := x.cutSubprotocols(h, c); err != nil {
			if len(h) > 0 {
				t.Errorf("a malformed offer is left: %q", h)
			}
			return
		}
		if got := h.Get("Sec-Websocket-Protocol"); got != strings.Join(c.offer, ", ") {
			t.Errorf("got %q, want the offer %q", got, c.offer)
		}
		if len(c.offer)+len(c.secret)+len(c.csrf) != strings.Count(line, ",")+1 {
			t.Errorf("got %q, %q and %q of %q", c.offer, c.secret, c.csrf, line)
		}
		for _, p := range c.offer {
			lower := strings.ToLower(p)
			if !isToken(p) || strings.HasPrefix(lower, "usher.") || strings.HasPrefix(lower, "base64url.bearer.") {
				t.Errorf("%q is left in the offer", p)
			}
		}
		for _, found := range tokensIn(c.secret) {
			checkCandidate(t, found)
		}
	})
}

// checkCandidate: whatever reaches a verifier has a length and a form.
func checkCandidate(t *testing.T, c candidate) {
	t.Helper()
	secret := c.cred.Secret.Reveal()
	if c.err == nil && (secret == "" || len(secret) > MaxToken) {
		t.Errorf("a credential of %d bytes goes to the verifier", len(secret))
	}
}

// FuzzAuthorization: Basic is read as net/http reads it, or not at all.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  abc ", "Basic dTpw", "basic dTo=", "Basic =", "Bearer", "", "Digest x", "Basic\tdTpw"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, c := range authorization(carrierBearer, []string{value}) {
			checkCandidate(t, c)
			if c.err == nil && !strings.HasSuffix(strings.TrimSpace(value), c.cred.Secret.Reveal()) {
				t.Errorf("got token %q of %q", c.cred.Secret.Reveal(), value)
			}
		}
		for _, c := range authorization(carrierBasic, []string{value}) {
			checkCandidate(t, c)
			if c.err != nil {
				continue
			}
			r := &http.Request{Header: http.Header{"Authorization": {"Basic " + strings.TrimSpace(strings.TrimSpace(value)[len("Basic"):])}}}
			user, password, ok := r.BasicAuth()
			if !ok || user != c.cred.Username || password != c.cred.Secret.Reveal() || !utf8.ValidString(user+password) {
				t.Errorf("got user %q of %q, net/http sees %q (%t)", c.cred.Username, value, user, ok)
			}
		}
		if both := authorization(carrierBearer, []string{value, "Bearer x"}); len(both) != 1 || both[0].err == nil {
			t.Errorf("two headers, %q and another, were told apart", value)
		}
	})
}

// FuzzFirstMessage: a message is a credential only if it is one JSON object of
// the type, with one secret.
func FuzzFirstMessage(f *testing.F) {
	for _, s := range []string{
		`{"type":"auth","token":"a"}`, `{"type":"auth","ticket":"a","ack":true}`, `{"type":"auth","token":"a","ticket":"b"}`,
		`{"type":"auth","token":1}`, `{"Type":"auth"}`, `[]`, `null`, `{"type":"auth","token":"a"}x`, `{"type":"auth","token":"a","ack":1}`,
		`{"type":"auth","token":null}`, `{"type":"auth","token":null,"ticket":"a"}`, `{"type":"auth","token":"a","ack":null}`, `{"type":"auth","token":"a","ack":false,"x":[{}]}`,
		`{"type":"auth","token":"\u0061"}`, `{"type":"auth","token":"a","token":"b"}`, `{"type":null,"ack":1}`, `{"type":"auth","ack":1}`, `{"type":"auth","token":"","ack":1}`,
	} {
		f.Add([]byte(s))
	}
	form := MessageForm{}.withDefaults()
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := form.parse(payload)
		if other, otherErr := form.parseAny(payload); err == nil && m != other || !errors.Is(err, otherErr) {
			t.Errorf("%q: got %v, %v, by the reader of all JSON %v, %v", payload, m.kind, err, other.kind, otherErr)
		}
		switch {
		case err == nil:
			var v map[string]any
			if json.Unmarshal(payload, &v) != nil || v["type"] != "auth" || m.secret == "" ||
				(v["token"] == nil) == (v["ticket"] == nil) || (v["token"] != m.secret && v["ticket"] != m.secret) {
				t.Errorf("%q was taken for a credential %q", payload, m.kind)
			}
		case !errors.Is(err, errNoAuthMessage) && !errors.Is(err, errMalformed) && !errors.Is(err, errTwoCredentials):
			t.Errorf("got error %v, want one of three", err)
		}
	})
}

// FuzzFrameSplits: the bytes of a stream lead to one state however they are split,
// and that is where a WebSocket library would be.
func FuzzFrameSplits(f *testing.F) {
	frame := func(op ws.OpCode, n int) []byte {
		return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, true, make([]byte, n))))
	}
	for _, b := range [][]byte{
		frame(ws.OpText, 5), frame(ws.OpBinary, 126), slices.Concat(frame(ws.OpText, 0), frame(ws.OpClose, 2)),
		{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x81},
		{0x81, 0x7e, 0},
		frame(ws.OpPing, 125),
	} {
		f.Add(b, []byte{1, 2, 3})
	}
	f.Fuzz(func(t *testing.T, stream, splits []byte) {
		var whole, split frames
		whole.follow(stream)
		rest := stream
		for i := 0; len(rest) > 0; i++ {
			n := 1
			if len(splits) > 0 {
				n = min(int(splits[i%len(splits)]), len(rest))
			}
			split.follow(rest[:n])
			if n == 0 {
				splits = nil // An empty piece changes nothing; the rest goes byte by byte.
			}
			rest = rest[n:]
		}
		if whole.boundary() != split.boundary() || whole.closed != split.closed || whole.lost != split.lost ||
			(!whole.lost && (whole.rest != split.rest || whole.got != split.got)) {
			t.Fatalf("got %+v in one piece, %+v in several", whole, split)
		}
		boundary, closed, lost := libraryState(stream)
		if whole.boundary() != boundary || whole.closed != closed || whole.lost != lost {
			t.Errorf("got boundary %t, closed %t, lost %t; a library sees %t, %t, %t",
				whole.boundary(), whole.closed, whole.lost, boundary, closed, lost)
		}
	})
}

// libraryState is what gobwas/ws makes of a stream.
func libraryState(stream []byte) (boundary, closed, lost bool) {
	rd := bytes.NewReader(stream)
	for {
		if rd.Len() == 0 {
			return true, closed, false
		}
		h, err := ws.ReadHeader(rd)
		if errors.Is(err, ws.ErrHeaderLengthMSB) {
			return false, closed, true
		}
		if err != nil || int64(rd.Len()) < h.Length {
			return false, closed, false
		}
		if _, err := io.CopyN(io.Discard, rd, h.Length); err != nil {
			return false, closed, false
		}
		closed = closed || h.OpCode == ws.OpClose
	}
}
