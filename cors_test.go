package usher_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
)

// corsOf returns the headers of an answer that speak of other origins.
func corsOf(h http.Header) map[string]string {
	got := make(map[string]string)
	for name, values := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			got[strings.TrimPrefix(name, "Access-Control-")] = strings.Join(values, "|")
		}
	}
	return got
}

func TestDeskCORS(t *testing.T) {
	const (
		preflight = "Access-Control-Request-Method: POST"
		asksFor   = "Access-Control-Request-Headers: authorization"
	)
	readable := map[string]string{"Allow-Origin": ticketOrigin, "Allow-Credentials": "true"}
	full := map[string]string{
		"Allow-Origin": ticketOrigin, "Allow-Credentials": "true", "Allow-Methods": "POST",
		"Allow-Headers": "authorization, content-type, x-requested-with, x-csrf-token", "Max-Age": "600",
	}
	tests := []struct {
		name, method string
		headers      []string
		status       int
		want         map[string]string
	}{
		{"preflight", "OPTIONS", []string{deskOrigin, preflight, asksFor}, 204, full},
		{"preflight of a foreign page", "OPTIONS", []string{deskEvil, preflight, asksFor}, 403, nil},
		{"preflight of null", "OPTIONS", []string{"Origin: null", preflight}, 403, nil},
		{"preflight of two", "OPTIONS", []string{deskOrigin, deskEvil, preflight}, 403, nil},
		{"preflight of a look-alike", "OPTIONS", []string{"Origin: https://app.example.com.evil.example", preflight}, 403, nil},
		{"options of no page", "OPTIONS", nil, 204, nil},
		{"ticket", "POST", []string{deskOrigin, deskBearer}, 200, readable},
		{"refused credential", "POST", []string{deskOrigin, "Authorization: Bearer no"}, 401, readable},
		{"no credential", "POST", []string{deskOrigin}, 401, readable},
		{"refused by the desk", "POST", []string{deskOrigin, deskCookie}, 403, readable},
		{"wrong method", "DELETE", []string{deskOrigin, deskBearer}, 405, readable},
		{"foreign page", "POST", []string{deskEvil, deskBearer}, 403, nil},
		{"no page", "POST", []string{deskBearer}, 200, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDeskFixture("/chat")
			resp := askDesk(d.handler, tt.method, "/", "", tt.headers...)
			if resp.StatusCode != tt.status {
				t.Errorf("status: got %d, want %d", resp.StatusCode, tt.status)
			}
			want := tt.want
			if want == nil {
				want = map[string]string{}
			}
			if diff := cmp.Diff(want, corsOf(resp.Header)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Origin") {
				t.Errorf("Vary: got %q, want Origin", resp.Header.Values("Vary"))
			}
			if tt.status == http.StatusMethodNotAllowed && resp.Header.Get("Allow") != "POST, OPTIONS" {
				t.Errorf("Allow: got %q, want POST, OPTIONS", resp.Header.Get("Allow"))
			}
			if tt.method == "OPTIONS" && d.verifier.asked.Load() != 0 {
				t.Error("verifier: got asked about a preflight, want not")
			}
		})
	}
}

// Credentials are allowed only where the Guard takes those that browsers
// attach, and every origin only where it says so.
func TestDeskCORSFollowsGuard(t *testing.T) {
	var tickets usher.Tickets
	v := &deskVerifier{secret: "x"}
	bearer, cookie, basic := usher.Bearer(v), usher.Cookie("c", v), usher.Basic(v)
	tests := []struct {
		name   string
		guard  *usher.Guard
		origin string
		want   map[string]string
	}{
		{"bearer", &usher.Guard{Carriers: []usher.Carrier{bearer}, Origins: []string{ticketOrigin}}, ticketOrigin, map[string]string{"Allow-Origin": ticketOrigin}},
		{"own origin", &usher.Guard{Carriers: []usher.Carrier{bearer}}, "http://example.com", map[string]string{"Allow-Origin": "http://example.com"}},
		{"own name, other scheme", &usher.Guard{Carriers: []usher.Carrier{bearer}}, "https://example.com", map[string]string{}},
		{"cookie", &usher.Guard{Carriers: []usher.Carrier{cookie}, Origins: []string{ticketOrigin}}, ticketOrigin, map[string]string{"Allow-Origin": ticketOrigin, "Allow-Credentials": "true"}},
		{"basic", &usher.Guard{Carriers: []usher.Carrier{basic}, Origins: []string{ticketOrigin}}, ticketOrigin, map[string]string{"Allow-Origin": ticketOrigin, "Allow-Credentials": "true"}},
		{"any origin", &usher.Guard{Carriers: []usher.Carrier{bearer}, InsecureAnyOrigin: true}, "https://x.example", map[string]string{"Allow-Origin": "https://x.example"}},
		{"any origin but null", &usher.Guard{Carriers: []usher.Carrier{bearer}, InsecureAnyOrigin: true}, "null", map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.guard.Log = slog.New(slog.DiscardHandler)
			resp := askDesk(tickets.Desk(tt.guard, "/chat"), "POST", "/", "", "Origin: "+tt.origin)
			if diff := cmp.Diff(tt.want, corsOf(resp.Header)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}
