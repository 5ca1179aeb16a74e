package usher_test

import (
	"net/http"
	"testing"

	"github.com/usher-ws/usher"
)

// Two ambient credentials of two subjects are a refusal, also where the first
// verifies and lacks only its csrf token.
func TestAmbientOfTwoSubjects(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{
		usher.CookieCSRF("sid", &usher.CSRF{}, known), usher.Cookie("legacy", known),
	}}, h)
	p := dial(t, s.addr, "")
	p.say(upgrade("self.test", "/", "Cookie: sid=alice-word; legacy=bob-word", "Origin: http://self.test"))
	p.status(http.StatusSwitchingProtocols)
	p.closed(usher.CloseForbidden, "forbidden")
	h.sawNobody(t)
}

// The same token twice in one message, differently.
func TestMessageDuplicateMember(t *testing.T) {
	for _, text := range []string{
		`{"type":"auth","token":"alice-word","token":"bob-word"}`,
		`{"type":"chat","type":"auth","token":"bob-word"}`,
	} {
		h := &witness{}
		s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.FirstMessage(known)}}, h)
		p := dial(t, s.addr, "")
		p.say(upgrade("self.test", "/"))
		p.status(http.StatusSwitchingProtocols)
		p.sendFrame(1, []byte(text))
		p.sendFrame(1, []byte("ping"))
		if f := p.receive(); f.Header.OpCode != 8 {
			t.Errorf("%s: admitted as %q", text, h.sightings()[0].subject)
		}
	}
}

// The token of a page's own URL comes back in the Referer of all that the page
// loads from the same origin.
func TestReferer(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Query("", known)}}, h)
	res, _ := exchange(t, s.addr, request("GET", "self.test", "/app.js?access_token=alice-word",
		"Referer: http://self.test/page?access_token=alice-word"))
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.StatusCode)
	}
	for _, seen := range h.sightings() {
		if contains(seen.dump, "alice-word") {
			t.Errorf("the token reached the handler:\n%s", seen.dump)
		}
	}
}

func contains(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i:i+len(sub)] == sub {
			return true
		}
	}
	return false
}
