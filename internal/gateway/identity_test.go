package gateway_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// A scribe is a backend that writes down the heads of its requests.
type scribe struct {
	*rawBackend
	mu    sync.Mutex
	heads []string
}

// scribes starts one that answers handshakes with 101 and all else with 200.
func scribes(t testing.TB, lines ...string) *scribe {
	s := &scribe{}
	s.rawBackend = raw(t, func(c net.Conn, head string) {
		s.mu.Lock()
		s.heads = append(s.heads, head)
		s.mu.Unlock()
		if strings.HasPrefix(strings.ToLower(line(head, "Upgrade")), "websocket") {
			_, _ = io.WriteString(c, switched(head, lines...))
			return
		}
		if line(head, "Transfer-Encoding") == "chunked" {
			_, _ = io.Copy(io.Discard, io.LimitReader(c, 5)) // "0\r\n\r\n"
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	return s
}

// head returns the one head that came since the last call, as a header.
func (s *scribe) head(t testing.TB) http.Header {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heads) != 1 {
		t.Fatalf("the backend got %d requests, want 1: %q", len(s.heads), s.heads)
	}
	head := s.heads[0]
	s.heads = nil
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	return req.Header
}

func identityHeaders(rt *gateway.Route, _ *usher.Guard) {
	rt.Identity.Headers = map[string]string{"X-User-Id": "sub", "X-Email": "email", "X-Admin": "admin", "X-Name": "name", "X-Team": "team"}
	rt.UpstreamHeaders = http.Header{"X-Api-Key": {"hunter2"}}
}

// spellings of X-User-Id that some server takes for it.
var spellings = []string{
	"X-User-Id: root", "x-user-id: root", "X_User_Id: root", "X.User.Id: root", "x_USER.id: root", "X~User!Id: root",
	"X-User_Id: root", "X-User-Id: root\r\nX-User-Id: admin", "X-User-Id:root", "X-User-Id:\troot",
	"Connection: X-User-Id", "Connection: x-user-id, X-Email, X-Api-Key", "X|User|Id: root", "X'User*Id: root",
}

func TestIdentityHeaders(t *testing.T) {
	s := scribes(t)
	g := open(t, target(t, "ws://"+s.addr), identityHeaders)
	want := map[string][]string{
		"X-User-Id": {"alice"}, "X-Email": {"alice@example.com"}, "X-Admin": {"true"},
		"X-Name": {url.PathEscape("Älice\r\nX-Evil: 1")}, "X-Api-Key": {"hunter2"},
	}
	tests := append([]string{
		"X-Team: red", "X_Team: red", "X_Api_Key: mine", "X-Api-Key: mine", "X-EMAIL: mine", "X.Email: mine",
	}, spellings...)
	for _, forged := range tests {
		for _, plain := range []bool{false, true} {
			name := forged
			text := upgrade("/chat", forged, bearer)
			if plain {
				name += ", plain"
				text = "GET /chat HTTP/1.1\r\nHost: gate.example\r\n" + forged + "\r\n" + bearer + "\r\n\r\n"
			}
			t.Run(name, func(t *testing.T) {
				p := dial(t, g.addr)
				p.say(text)
				res := p.answer()
				if res.StatusCode != http.StatusSwitchingProtocols && res.StatusCode != http.StatusOK {
					t.Fatalf("got status %d", res.StatusCode)
				}
				for name := range res.Header {
					if name == "X-Api-Key" || name == "X-User-Id" {
						t.Errorf("the client got %s", name)
					}
				}
				got := map[string][]string{}
				for name, values := range s.head(t) {
					if alike(name, "x-user-id", "x-email", "x-admin", "x-name", "x-team", "x-api-key", "x-evil") {
						got[name] = values
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// alike reports whether name could be taken for one of the names.
func alike(name string, names ...string) bool {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	for _, n := range names {
		if n == plain {
			return true
		}
	}
	return false
}

// A trailer is known after the headers were judged, so none is passed on.
func TestIdentityTrailers(t *testing.T) {
	s := scribes(t)
	g := open(t, target(t, "ws://"+s.addr), identityHeaders, func(_ *gateway.Route, g *usher.Guard) {
		g.Carriers = []usher.Carrier{usher.Bearer(known)}
	})
	p := dial(t, g.addr)
	p.say("POST /chat HTTP/1.1\r\nHost: gate.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-Id\r\nTE: trailers\r\n" +
		bearer + "\r\n\r\n0\r\nX-User-Id: root\r\nX_User_Id: root\r\n\r\n")
	if res := p.answer(); res.StatusCode != http.StatusOK {
		t.Fatalf("got status %d, want 200", res.StatusCode)
	}
	h := s.head(t)
	if got := h["X-User-Id"]; len(got) != 1 || got[0] != "alice" || h.Get("Te") != "" {
		t.Errorf("got header %v, want X-User-Id of alice and no TE", h)
	}
	if got := s.text(); strings.Contains(got, "root") {
		t.Errorf("the backend got a trailer:\n%s", got)
	}
}

// Without an identity to tell of, a client's word does not take its place.
func TestIdentityMissingClaim(t *testing.T) {
	s := scribes(t)
	g := open(t, target(t, "ws://"+s.addr), func(rt *gateway.Route, _ *usher.Guard) {
		rt.Identity.Headers = map[string]string{"X-User-Id": "no-such-claim"}
	})
	for _, forged := range spellings {
		p := dial(t, g.addr)
		p.say(upgrade("/chat", forged, bearer))
		p.answer()
		p.Close()
		for name := range s.head(t) {
			if alike(name, "x-user-id") {
				t.Errorf("%q: the backend got %s", forged, name)
			}
		}
	}
}

// Where a request came from is the gateway's word.
func TestForwardedHeaders(t *testing.T) {
	s := scribes(t)
	lies := []string{
		"X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example",
		"X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X.Forwarded.Server: evil", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6",
		"X-Original-URL: /admin", "X-Rewrite-URL: /admin", "True-Client-IP: 6.6.6.6",
		"X-Forwarded: 6.6.6.6", "X_Forwarded: 6.6.6.6", "Forwarded-For: 6.6.6.6", "Client-IP: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6", bearer,
	}
	want := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"gate.example"}}
	for _, tt := range []struct {
		name    string
		trusted []netip.Prefix
	}{
		{"nobody is trusted", nil},
		{"another proxy is trusted", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := open(t, target(t, "ws://"+s.addr), func(_ *gateway.Route, g *usher.Guard) { g.TrustedProxies = tt.trusted })
			for _, text := range []string{
				upgrade("/chat", lies...), "GET /chat HTTP/1.1\r\nHost: gate.example\r\n" + strings.Join(lies, "\r\n") + "\r\n\r\n",
			} {
				p := dial(t, g.addr)
				p.say(text)
				p.answer()
				p.Close()
				got := http.Header{}
				for name, values := range s.head(t) {
					if strings.Contains(strings.ToLower(name), "forwarded") || alike(name, "x-real-ip", "x-original-url", "x-rewrite-url", "true-client-ip", "client-ip", "cf-connecting-ip") {
						got[name] = values
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			}
		})
	}
	t.Run("the proxy is trusted", func(t *testing.T) {
		g := open(t, target(t, "ws://"+s.addr), func(_ *gateway.Route, g *usher.Guard) {
			g.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		p := dial(t, g.addr)
		p.say(upgrade("/chat", "X-Forwarded-For: 6.6.6.6, 9.9.9.9", "X-Forwarded-Proto: https", bearer))
		p.answer()
		h := s.head(t)
		if got := h.Get("X-Forwarded-For") + " " + h.Get("X-Forwarded-Proto"); got != "9.9.9.9 https" {
			t.Errorf("got %q, want what the proxy says of its client", got)
		}
	})
}

// What frames a message has one spelling, and the gateway writes it.
func TestFramingHeaders(t *testing.T) {
	s := scribes(t)
	g := open(t, target(t, "ws://"+s.addr))
	lies := []string{
		"Transfer_Encoding: chunked", "Content_Length: 5", "Sec_WebSocket_Key: x", "Sec.WebSocket-Protocol: admin",
		"Proxy_Connection: close", "X-Other_One: kept", bearer,
	}
	for _, text := range []string{
		upgrade("/chat", lies...), "GET /chat HTTP/1.1\r\nHost: gate.example\r\n" + strings.Join(lies, "\r\n") + "\r\n\r\n",
	} {
		p := dial(t, g.addr)
		p.say(text)
		p.answer()
		p.Close()
		h := s.head(t)
		if h.Get("X-Other_One") != "kept" {
			t.Errorf("got %v, want what frames nothing to be kept", h)
		}
		for name := range h {
			if strings.ContainsAny(name, "_.") && !alike(name, "x-other-one") {
				t.Errorf("the backend got %s", name)
			}
		}
	}
}

// A backend checks the JWT against the published keys; nobody takes it for a
// credential.
func TestIdentityJWT(t *testing.T) {
	signer, err := gateway.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	s := scribes(t)
	g := open(t, target(t, "ws://"+s.addr+"/app?key=secret"), func(rt *gateway.Route, _ *usher.Guard) {
		rt.Identity = gateway.Identity{JWT: "X-Usher-Identity", Signer: signer}
	})
	connect(t, g.addr, "/chat", "X_Usher_Identity: forged", "X-Usher-Identity: forged")
	h := s.head(t)
	if len(h["X-Usher-Identity"]) != 1 || len(h["X_usher_identity"]) != 0 {
		t.Fatalf("got header %v, want one X-Usher-Identity", h)
	}
	token := h.Get("X-Usher-Identity")
	claims := verified(t, signer, token)
	for name, want := range map[string]any{"sub": "alice", "sid": "s1", "idp": "test", "aud": "ws://" + s.addr + "/app"} {
		if claims[name] != want {
			t.Errorf("got %s %v, want %v", name, claims[name], want)
		}
	}
	issued, expires := claims["iat"].(float64), claims["exp"].(float64)
	if now := float64(time.Now().Unix()); issued > now || issued < now-5 || expires-issued > 60 || expires <= now {
		t.Errorf("got iat %v and exp %v, want at most 60 s from now", issued, expires)
	}

	keys, err := usher.StaticKeys(usher.Key{Public: published(t, signer).Keys[0].Key})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		types []string
		taken bool // Only to show that nothing else is wrong with it.
	}{{"default types", nil, false}, {"all usual types", []string{"JWT", "at+jwt", ""}, false}, {"its own type", []string{gateway.IdentityType}, true}} {
		v := &usher.JWT{Issuer: "usher", Audience: claims["aud"].(string), Keys: keys, Types: tt.types}
		_, err := v.Verify(t.Context(), usher.Credential{Kind: usher.KindToken, Secret: usher.NewSecret(token)})
		if taken := err == nil; taken != tt.taken {
			t.Errorf("%s: got %v, want it taken: %t", tt.name, err, tt.taken)
		}
	}
}

// published is the key set of a signer as a backend reads it.
func published(t *testing.T, signer *gateway.Signer) jose.JSONWebKeySet {
	t.Helper()
	public, err := signer.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(public, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// verified checks a JWT as a backend does.
func verified(t *testing.T, signer *gateway.Signer, token string) map[string]any {
	t.Helper()
	set := published(t, signer)
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	head := jws.Signatures[0].Header
	if typ := head.ExtraHeaders[jose.HeaderType]; typ != gateway.IdentityType {
		t.Errorf("got typ %v, want %s", typ, gateway.IdentityType)
	}
	found := set.Key(head.KeyID)
	if len(found) != 1 || !found[0].IsPublic() {
		t.Fatalf("got %d public keys called %q, want 1", len(found), head.KeyID)
	}
	payload, err := jws.Verify(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestSetCookie(t *testing.T) {
	s := scribes(t, "Set-Cookie: session=planted", "X-Other: kept")
	for _, allowed := range []bool{false, true} {
		g := open(t, target(t, "ws://"+s.addr), func(rt *gateway.Route, _ *usher.Guard) { rt.AllowSetCookie = allowed })
		_, res := connect(t, g.addr, "/chat")
		if got := res.Header.Get("Set-Cookie") != ""; got != allowed {
			t.Errorf("got Set-Cookie %t, want %t", got, allowed)
		}
		if got := res.Header.Get("X-Other"); got != "kept" {
			t.Errorf("got X-Other %q, want kept", got)
		}
	}
}

// Without a Guard in front there is no verdict, and nobody is asked.
func TestRouteWithoutGuard(t *testing.T) {
	s := scribes(t)
	guard := &usher.Guard{Log: slog.New(slog.DiscardHandler)}
	rt := &gateway.Route{Pattern: "/chat", Pool: gateway.NewPool(time.Second, target(t, "ws://"+s.addr)...), Guard: guard}
	g := open(t, nil)
	g.Config.Handler = rt.Handler()
	for _, text := range []string{upgrade("/chat"), "GET /chat HTTP/1.1\r\nHost: gate.example\r\n\r\n"} {
		p := dial(t, g.addr)
		p.say(text)
		if res := p.answer(); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("got status %d, want 500: no credential would help", res.StatusCode)
		}
	}
	if got := s.text(); got != "" {
		t.Errorf("the backend got %q, want nothing", got)
	}
}
