package usher_test

import (
	"net/http"
	"testing"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// A sibling site can set a cookie whose name begins with white space outside of
// ASCII: no browser takes " __Host-sid" for a name with the prefix. The
// Guard trims it, and reads it as the prefixed cookie.
func TestCookiePrefix(t *testing.T) {
	for name, cookie := range map[string]string{
		"U+2000 in front": "\u2000__Host-sid=bob-word",
		"U+00A0 in front": "\u00a0__Host-sid=bob-word",
		"U+0085 in front": "\u0085__Host-sid=bob-word",
		"U+3000 behind":   "__Host-sid\u3000=bob-word",
	} {
		t.Run(name, func(t *testing.T) {
			h := &witness{}
			s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Cookie("__Host-sid", known)}}, h)
			res, _ := exchange(t, s.addr, request("GET", "self.test", "/", "Cookie: "+cookie))
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("planted cookie: got %d", res.StatusCode)
			}
			h.sawNobody(t)
			p := dial(t, s.addr, "")
			p.say(upgrade("self.test", "/", "Origin: http://self.test", "Cookie: "+cookie))
			p.status(http.StatusSwitchingProtocols)
			if f := p.receiveWithin(); f.Header.OpCode != ws.OpClose {
				t.Errorf("planted cookie opened a socket")
			}
			h.sawNobody(t)
			// The victim is locked out by it, too.
			res, _ = exchange(t, s.addr, request("GET", "self.test", "/", "Cookie: __Host-sid=alice-word; "+cookie))
			if res.StatusCode != http.StatusOK {
				t.Errorf("own cookie beside a planted one: got %d", res.StatusCode)
			}
		})
	}
}

func (p *peer) receiveWithin() ws.Frame {
	p.sendFrame(ws.OpText, []byte("x"))
	return p.receive()
}
