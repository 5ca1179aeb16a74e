package usher_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

func csrfFixture(csrf *usher.CSRF) (http.Handler, *deskVerifier) {
	v := &deskVerifier{secret: "let-me-in", id: usher.Identity{Subject: "alice", Session: "s1"}}
	return csrf.Desk(&usher.Guard{
		Carriers: []usher.Carrier{usher.Cookie("__Host-session", v)},
		Origins:  []string{ticketOrigin},
		Log:      slog.New(slog.DiscardHandler),
	}), v
}

func TestCSRFHandler(t *testing.T) {
	tests := []struct {
		name, method string
		headers      []string
		want         int
	}{
		{"page of our own, by GET", "GET", []string{deskCookie}, 200},
		{"listed page, by GET", "GET", []string{deskCookie, deskOrigin}, 200},
		{"listed page, by POST", "POST", []string{deskCookie, deskOrigin}, 200},
		{"foreign page, by GET", "GET", []string{deskCookie, deskEvil}, 403},
		{"foreign page, by POST", "POST", []string{deskCookie, deskEvil}, 403},
		{"foreign page, without an origin", "GET", []string{deskCookie, "Sec-Fetch-Site: cross-site"}, 403},
		{"no cookie", "GET", []string{deskOrigin}, 401},
		{"wrong cookie", "GET", []string{"Cookie: __Host-session=no", deskOrigin}, 401},
		{"preflight", "OPTIONS", []string{deskOrigin}, 204},
		{"preflight of a foreign page", "OPTIONS", []string{deskEvil}, 403},
		{"other method", "DELETE", []string{deskCookie, deskOrigin}, 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := csrfFixture(&usher.CSRF{})
			resp := askDesk(h, tt.method, "/", "", tt.headers...)
			if resp.StatusCode != tt.want {
				t.Fatalf("status: got %d, want %d", resp.StatusCode, tt.want)
			}
			if tt.want != http.StatusOK {
				if tt.want != http.StatusNoContent {
					wantProblem(t, resp, "")
				}
				return
			}
			var got struct {
				Token     string `json:"csrf_token"`
				ExpiresIn int    `json:"expires_in"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
				t.Fatalf("answer: got %v, want JSON", err)
			}
			if len(got.Token) != 54 || got.ExpiresIn != 12*3600 {
				t.Errorf("answer: got %d characters for %d s, want 54 for 43200 s", len(got.Token), got.ExpiresIn)
			}
			if cc := resp.Header.Get("Cache-Control"); cc != "no-store" {
				t.Errorf("Cache-Control: got %q, want no-store", cc)
			}
		})
	}
}

func TestCSRFValidate(t *testing.T) {
	tests := []struct {
		name  string
		csrf  *usher.CSRF
		valid bool
	}{
		{"zero", &usher.CSRF{}, true},
		{"key of 32 bytes", &usher.CSRF{Key: ticketKeyOf('k')}, true},
		{"key of 31 bytes", &usher.CSRF{Key: usher.NewSecret(strings.Repeat("k", 31))}, false},
		{"negative lifetime", &usher.CSRF{TTL: -time.Second}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.csrf.Validate(); (err == nil) != tt.valid {
				t.Errorf("Validate: got %v, want valid %v", err, tt.valid)
			}
			if got := tt.csrf.Token(ticketHolder()) != ""; got != tt.valid {
				t.Errorf("Token: got one: %v, want %v", got, tt.valid)
			}
			h, _ := csrfFixture(tt.csrf)
			if resp := askDesk(h, "GET", "/", "", deskCookie); (resp.StatusCode == http.StatusOK) != tt.valid {
				t.Errorf("status: got %d, want valid %v", resp.StatusCode, tt.valid)
			}
		})
	}
	if got := (&usher.CSRF{}).Token(nil); got != "" {
		t.Errorf("Token of nobody: got %q, want none", got)
	}
}

// The whole way: a page gets a token at the endpoint and sends it with an
// unsafe request behind CookieCSRF. The desk is such a request.
func TestCSRFBeforeDesk(t *testing.T) {
	var csrf usher.CSRF
	h, v := csrfFixture(&csrf)
	var got struct {
		Token string `json:"csrf_token"`
	}
	resp := askDesk(h, "GET", "/", "", deskCookie, deskOrigin)
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("answer: got %v, want JSON", err)
	}
	var tickets usher.Tickets
	desk := tickets.Desk(&usher.Guard{
		Carriers: []usher.Carrier{usher.CookieCSRF("__Host-session", &csrf, v)},
		Origins:  []string{ticketOrigin},
		Log:      slog.New(slog.DiscardHandler),
	}, "/chat")
	tests := []struct {
		name  string
		token []string
		want  int
	}{
		{"token", []string{"X-CSRF-Token: " + got.Token}, 200},
		{"none", nil, 403},
		{"of another CSRF", []string{"X-CSRF-Token: " + (&usher.CSRF{}).Token(&v.id)}, 403},
		{"of another session", []string{"X-CSRF-Token: " + csrf.Token(&usher.Identity{Subject: "alice", Session: "s2"})}, 403},
		{"twice", []string{"X-CSRF-Token: " + got.Token, "X-CSRF-Token: " + got.Token}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := askDesk(desk, "POST", "/", "", append([]string{deskCookie, deskOrigin, deskAjax}, tt.token...)...)
			if resp.StatusCode != tt.want {
				t.Errorf("status: got %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
}
