package usher_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// A means is a deliberate carrier of a handshake: what of the target's query, of
// the offer of subprotocols and of the header brings a secret.
type means struct {
	name  string
	kind  usher.Kind
	query string
	offer string
	line  string
}

func tokenWays(token string) []means {
	return []means{
		{name: "subprotocol", kind: usher.KindToken, offer: bearerEntry(token)},
		{name: "query", kind: usher.KindToken, query: "access_token=" + token},
		{name: "bearer", kind: usher.KindToken, line: "Authorization: Bearer " + token},
	}
}

func ticketWays(ticket string) []means {
	return []means{
		{name: "ticket in query", kind: usher.KindTicket, query: "ticket=" + ticket},
		{name: "ticket in subprotocol", kind: usher.KindTicket, offer: "usher.ticket." + ticket},
	}
}

// handshakeBy is a handshake that brings credentials in all the ways, from a
// page if origin is not empty.
func handshakeBy(origin string, lines []string, ways ...means) string {
	target, offer := "/chat", chat
	sep := "?"
	for _, w := range ways {
		if w.query != "" {
			target += sep + w.query
			sep = "&"
		}
		if w.offer != "" {
			offer += ", " + w.offer
		}
		if w.line != "" {
			lines = append(lines, w.line)
		}
	}
	lines = append(lines, "Sec-WebSocket-Protocol: "+offer)
	if origin != "" {
		lines = append(lines, "Origin: "+origin)
	}
	return upgrade("self.test", target, lines...)
}

const ownOrigin = "http://self.test"

// deliberateGuard takes every deliberate credential of a handshake, and makes
// tickets.
func deliberateGuard() (*usher.Guard, *usher.Tickets) {
	tickets := &usher.Tickets{}
	return &usher.Guard{Carriers: []usher.Carrier{
		usher.Ticket("", tickets), usher.Subprotocol(known), usher.Query("", known), usher.Bearer(known),
	}}, tickets
}

func makeTicket(t testing.TB, tickets *usher.Tickets, subject, origin string) string {
	t.Helper()
	ticket, _, err := tickets.Make(&usher.Identity{Subject: subject}, origin, "/chat")
	if err != nil {
		t.Fatal(err)
	}
	return ticket.Reveal()
}

// TestTwoDeliberateCredentials: each pair of two different ones is a refusal,
// also where both are good and of one subject: the client is confused, or
// somebody has added one.
func TestTwoDeliberateCredentials(t *testing.T) {
	h := &witness{}
	g, tickets := deliberateGuard()
	s := guard(t, g, h)
	for _, second := range []string{"alice-other", "bob-word", "wrong-word"} {
		first := append(tokenWays("alice-word"), ticketWays(makeTicket(t, tickets, "alice", ""))...)
		others := append(tokenWays(second), ticketWays(makeTicket(t, tickets, "alice", ""))...)
		for _, a := range first {
			for _, b := range others {
				if a.line != "" && b.line != "" {
					continue // Two headers of that name: see TestAuthorization.
				}
				t.Run(fmt.Sprintf("%s, %s of %s", a.name, b.name, second), func(t *testing.T) {
					res, body := exchange(t, s.addr, handshakeBy("", nil, a, b))
					if res.StatusCode != http.StatusBadRequest {
						t.Errorf("got status %d %q, want 400", res.StatusCode, body)
					}
					p := dial(t, s.addr, "")
					p.say(handshakeBy(ownOrigin, nil, a, b))
					p.status(http.StatusSwitchingProtocols)
					p.closed(usher.CloseForbidden, "forbidden")
					h.sawNobody(t)
				})
			}
		}
	}
}

// TestOneCredentialTwice: the same one in two ways is one, and admits.
func TestOneCredentialTwice(t *testing.T) {
	h := &witness{}
	g, tickets := deliberateGuard()
	s := guard(t, g, h)
	try := func(t *testing.T, a, b means) {
		p := dial(t, s.addr, "")
		p.say(handshakeBy("", nil, a, b))
		p.status(http.StatusSwitchingProtocols)
		h.saw(t, "alice")
	}
	for _, a := range tokenWays("alice-word") {
		for _, b := range tokenWays("alice-word") {
			if a.name != b.name {
				t.Run(a.name+", "+b.name, func(t *testing.T) { try(t, a, b) })
			}
		}
	}
	t.Run("tickets", func(t *testing.T) {
		ways := ticketWays(makeTicket(t, tickets, "alice", ""))
		try(t, ways[0], ways[1])
		if res, _ := exchange(t, s.addr, handshakeBy("", nil, ways[0])); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("got status %d for a ticket that was used, want 401", res.StatusCode)
		}
		h.sawNobody(t)
	})
}

// TestCarrierOrder: of a credential in two ways the Guard's order of carriers
// says which one counts, always.
func TestCarrierOrder(t *testing.T) {
	ways := tokenWays("alice-word")
	for range 20 {
		for _, first := range []string{"query", "bearer"} {
			var carriers []string
			g := &usher.Guard{Log: quiet(), Observe: func(_ context.Context, e usher.Event) { carriers = append(carriers, e.Carrier) }}
			g.Carriers = []usher.Carrier{usher.Query("", known), usher.Bearer(known)}
			if first == "bearer" {
				slices.Reverse(g.Carriers)
			}
			through(t, g.Handler(&witness{}), request("GET", "self.test", "/?"+ways[1].query, ways[2].line))
			if !slices.Equal(carriers, []string{first}) {
				t.Fatalf("got carriers %q, want %q", carriers, first)
			}
		}
	}
}

func basicLine(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// TestAuthorization: of two headers it cannot be told which one was meant.
func TestAuthorization(t *testing.T) {
	tests := []struct {
		name    string
		lines   []string
		subject string // Empty: refused.
	}{
		{"bearer", []string{"Authorization: Bearer alice-word"}, "alice"},
		{"bearer in lower case", []string{"Authorization: bearer   alice-word"}, "alice"},
		{"basic", []string{basicLine("u", "alice-word")}, "alice"},
		{"bearer twice", []string{"Authorization: Bearer alice-word", "Authorization: Bearer alice-word"}, ""},
		{"bearer and basic", []string{"Authorization: Bearer alice-word", basicLine("u", "alice-word")}, ""},
		{"basic and another", []string{basicLine("u", "alice-word"), "Authorization: Digest x"}, ""},
		{"joined with a comma", []string{"Authorization: Bearer bob-word, Bearer alice-word"}, ""},
		{"no scheme", []string{"Authorization: alice-word"}, ""},
		{"another scheme", []string{"Authorization: Token alice-word"}, ""},
		{"bearer without a token", []string{"Authorization: Bearer"}, ""},
		{"empty", []string{"Authorization:"}, ""},
		{"basic without a user", []string{basicLine("", "alice-word")}, ""},
		{"basic without a colon", []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice-word"))}, ""},
		{"basic that is no base64", []string{"Authorization: Basic !!!"}, ""},
		{"basic that is no UTF-8", []string{basicLine("\xff", "alice-word")}, ""},
		{"bearer over 8 KiB", []string{"Authorization: Bearer " + strings.Repeat("a", usher.MaxToken+1)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &witness{}
			g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known), usher.Basic(known)}, Log: quiet()}
			w := through(t, g.Handler(h), request("GET", "self.test", "/", tt.lines...))
			if tt.subject != "" {
				h.saw(t, tt.subject)
				return
			}
			if w.Code != http.StatusUnauthorized && w.Code != http.StatusBadRequest {
				t.Errorf("got status %d, want 401 or 400", w.Code)
			}
			h.sawNobody(t)
		})
	}
}

// TestAmbientCredentials: what browsers attach by themselves does not decide
// beside a deliberate credential, and may not belong to another subject.
func TestAmbientCredentials(t *testing.T) {
	tests := []struct {
		name                  string
		cookie, basic, bearer string
		subject               string // Empty: refused, with status.
		status                int
	}{
		{"cookie and bearer, one subject", "alice-other", "", "alice-word", "alice", 200},
		{"cookie of another subject", "bob-word", "", "alice-word", "", 400},
		{"cookie that is wrong", "wrong-word", "", "alice-word", "alice", 200},
		{"cookie that has expired", "old-word", "", "alice-word", "alice", 200},
		{"cookie that cannot be judged", "lost-word", "", "alice-word", "", 503},
		{"cookie that is good, bearer wrong", "alice-word", "", "wrong-word", "", 401},
		{"cookie that is good, bearer expired", "alice-word", "", "old-word", "", 401},
		{"cookie and basic, one subject", "alice-word", "alice-other", "", "alice", 200},
		{"cookie and basic, two subjects", "alice-word", "bob-word", "", "", 400},
		{"cookie wrong, basic good", "wrong-word", "alice-word", "", "alice", 200},
		{"cookie good, basic wrong", "alice-word", "wrong-word", "", "alice", 200},
		{"cookie banned, basic wrong", "banned-word", "wrong-word", "", "", 403},
		{"cookie cannot be judged, basic good", "lost-word", "alice-word", "", "", 503},
		{"both wrong", "wrong-word", "wrong-word", "", "", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &witness{}
			g := &usher.Guard{Log: quiet(), Carriers: []usher.Carrier{
				usher.Cookie("sid", known), usher.Basic(known), usher.Query("", known),
			}}
			lines := []string{"Cookie: sid=" + tt.cookie}
			target := "/"
			if tt.basic != "" {
				lines = append(lines, basicLine("u", tt.basic))
			}
			if tt.bearer != "" {
				target += "?access_token=" + tt.bearer
			}
			w := through(t, g.Handler(h), request("GET", "self.test", target, lines...))
			if w.Code != tt.status {
				t.Errorf("got status %d %q, want %d", w.Code, w.Body, tt.status)
			}
			if tt.subject == "" {
				h.sawNobody(t)
			} else {
				h.saw(t, tt.subject)
			}
		})
	}
}

// TestCookieTwice: of two cookies of one name a sibling site may have planted
// one.
func TestCookieTwice(t *testing.T) {
	for _, cookies := range []string{"sid=alice-word; sid=bob-word", "sid=bob-word; sid=alice-word", "sid=alice-word; sid=", "sid; sid=alice-word"} {
		h := &witness{}
		g := cookieGuard()
		g.Log = quiet()
		if w := through(t, g.Handler(h), request("GET", "self.test", "/", "Cookie: "+cookies)); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got status %d, want 401", cookies, w.Code)
		}
		h.sawNobody(t)
	}
}

// TestAmbientBesideFirstMessage: the first message is a deliberate credential
// as any other. What browsers attached and what did not decide may not belong
// to another subject, nor be in doubt.
func TestAmbientBesideFirstMessage(t *testing.T) {
	tests := []struct {
		name, cookie string
		code         int // 0: admitted.
		word         string
	}{
		{"none", "", 0, ""},
		{"of the same subject, without its csrf token", "alice-other", 0, ""},
		{"of another subject, without its csrf token", "bob-word", usher.CloseForbidden, "forbidden"},
		{"wrong", "wrong-word", 0, ""},
		{"cannot be judged", "lost-word", usher.CloseUnavailable, "unavailable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &witness{}
			s := guard(t, &usher.Guard{Carriers: []usher.Carrier{
				usher.CookieCSRF("sid", &usher.CSRF{}, known), usher.FirstMessage(known),
			}}, h)
			p := dial(t, s.addr, "")
			p.say(upgrade("self.test", "/", "Origin: "+ownOrigin, "Cookie: sid="+tt.cookie))
			p.status(http.StatusSwitchingProtocols)
			p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"alice-word"}`))
			if tt.code != 0 {
				p.closed(tt.code, tt.word)
				h.sawNobody(t)
				return
			}
			p.echo("hello")
			h.saw(t, "alice")
		})
	}
}
