package usher_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

// FuzzHandshake: no bytes of a request make the Guard panic, let anybody in
// whom no verifier knows, or get anything but a refusal; and what is left of
// the request for Deny has nothing in it that could be a credential.
func FuzzHandshake(f *testing.F) {
	for _, tt := range badHandshakes() {
		f.Add([]byte(tt.text))
	}
	for _, c := range carry("wrong-word", "wrong-ticket", "wrong-proof") {
		f.Add([]byte(upgrade("self.test", c.target, append(c.lines, "Origin: "+ownOrigin)...)))
		f.Add([]byte(request("POST", "self.test", c.target, c.lines...)))
	}
	nobody := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
		return nil, errors.New("unknown")
	})
	token := []usher.Carrier{
		usher.Ticket("", &usher.Tickets{}), usher.Subprotocol(nobody), usher.Query("", nobody), usher.Bearer(nobody),
		usher.CookieCSRF("sid", &usher.CSRF{}, nobody),
	}
	var left *http.Request
	deny := func(w http.ResponseWriter, r *http.Request, _ error) {
		left = r
		w.WriteHeader(http.StatusTeapot)
	}
	guards := []*usher.Guard{
		{Carriers: append(token[:5:5], usher.FirstMessage(nobody)), Log: quiet()},
		{Carriers: append(token[:5:5], usher.Basic(nobody)), Log: quiet(), Deny: deny},
	}
	h := &witness{}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, g := range guards {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				return // net/http answers it.
			}
			r.RemoteAddr = "192.0.2.1:1024"
			w := httptest.NewRecorder()
			left = nil
			g.Handler(h).ServeHTTP(w, r)
			h.sawNobody(t)
			if w.Code < 400 || w.Code > 599 {
				t.Errorf("got status %d, want a refusal", w.Code)
			}
			if left == nil {
				continue
			}
			if q := left.URL.Query(); q.Has("access_token") || q.Has("ticket") || q.Has("csrf_token") || len(left.CookiesNamed("sid")) > 0 ||
				left.Header["Authorization"] != nil || strings.Contains(strings.ToLower(left.Header.Get("Sec-Websocket-Protocol")), "usher.") {
				t.Errorf("Deny got a credential: %q %q", left.RequestURI, left.Header)
			}
		}
	})
}
