package usher_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

// The text is legal as a subprotocol (RFC 9110 §5.6.2), and shows nothing of
// what is in it, in whatever way it is read.
func TestTicketConceals(t *testing.T) {
	const secret = "quetzalcoatlus-northropi"
	var tickets usher.Tickets
	text := mustMakeTicket(t, &tickets, &usher.Identity{
		Subject: secret, Issuer: secret, Session: secret, Token: secret, Claims: usher.Claims{secret: secret},
	}).Reveal()
	if i := strings.Trim(text, base64url); i != "" {
		t.Errorf("characters: got %q, want base64url only", i)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatalf("decode: got %v, want nil", err)
	}
	for _, part := range []string{secret, secret[:6], "alice", ticketRoute, "app.example"} {
		if strings.Contains(text, part) || strings.Contains(string(raw), part) {
			t.Errorf("ticket has %q in it", part)
		}
		if strings.Contains(text, base64.RawURLEncoding.EncodeToString([]byte(part))) {
			t.Errorf("ticket has %q in it, encoded", part)
		}
	}
	if again := mustMakeTicket(t, &tickets, ticketHolder()).Reveal(); again[8:50] == text[8:50] {
		t.Error("nonce: got the same twice")
	}
}

func TestTicketRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *usher.Credential)
		want   error // Nil: an error without a name.
	}{
		{"another kind", func(c *usher.Credential) { c.Kind = usher.KindToken }, usher.ErrUnrecognized},
		{"no kind", func(c *usher.Credential) { c.Kind = "" }, usher.ErrUnrecognized},
		{"password", func(c *usher.Credential) { c.Kind = usher.KindPassword }, usher.ErrUnrecognized},
		{"other origin", func(c *usher.Credential) { c.Origin = "https://evil.example" }, nil},
		{"other scheme", func(c *usher.Credential) { c.Origin = "http://app.example.com" }, nil},
		{"other port", func(c *usher.Credential) { c.Origin = ticketOrigin + ":8443" }, nil},
		{"origin in another case", func(c *usher.Credential) { c.Origin = "https://APP.example.com" }, nil},
		{"no origin", func(c *usher.Credential) { c.Origin = "" }, nil},
		{"other route", func(c *usher.Credential) { c.Route = "/admin" }, nil},
		{"route with a slash more", func(c *usher.Credential) { c.Route = ticketRoute + "/" }, nil},
		{"no route", func(c *usher.Credential) { c.Route = "" }, nil},
		{"empty", ticketText(func(string) string { return "" }), usher.ErrUnrecognized},
		{"one character", ticketText(func(string) string { return "A" }), usher.ErrUnrecognized},
		{"padded", ticketText(func(s string) string { return s + "=" }), usher.ErrUnrecognized},
		{"line end inside", ticketText(func(s string) string { return s[:9] + "\n" + s[9:] }), usher.ErrUnrecognized},
		{"line end at the end", ticketText(func(s string) string { return s + "\r\n" }), usher.ErrUnrecognized},
		{"space", ticketText(func(s string) string { return " " + s }), usher.ErrUnrecognized},
		{"standard alphabet", ticketText(func(s string) string { return s[:20] + "+/" + s[22:] }), usher.ErrUnrecognized},
		{"other version", ticketByte(0, 2), usher.ErrUnrecognized},
		{"other key", ticketByte(4, 0xa5), usher.ErrUnrecognized},
		{"longer by a byte", ticketText(func(s string) string { return s + "AA" }), nil},
		{"a token", ticketText(func(string) string { return strings.Repeat("eyJhbGciOiJIUzI1NiJ9", 20) }), usher.ErrUnrecognized},
		{"huge", ticketText(func(s string) string { return s + strings.Repeat("A", 1<<20) }), usher.ErrUnrecognized},
		{"not ASCII", ticketText(func(s string) string { return s[:30] + "é" + s[32:] }), usher.ErrUnrecognized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tickets usher.Tickets
			good := presented(mustMakeTicket(t, &tickets, ticketHolder()))
			bad := good
			tt.change(&bad)
			wantTicketRefused(t, &tickets, bad, tt.want)
			if _, err := tickets.Verify(t.Context(), bad); errors.Is(err, usher.ErrUnrecognized) != (tt.want != nil) {
				t.Errorf("Verify: got %v, want ErrUnrecognized: %v", err, tt.want != nil)
			}
			// What was refused is not spent.
			wantTicketAdmitted(t, &tickets, good)
			wantTicketRefused(t, &tickets, good, usher.ErrSpent)
			wantTicketRefused(t, &tickets, bad, tt.want)
		})
	}
}

func ticketText(f func(string) string) func(*usher.Credential) {
	return func(c *usher.Credential) { c.Secret = usher.NewSecret(f(c.Secret.Reveal())) }
}

// ticketByte sets a byte of the ticket, or another bit where it has that value.
func ticketByte(i int, b byte) func(*usher.Credential) {
	return ticketText(func(s string) string {
		raw, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			return s // It is not refused then, which fails the test.
		}
		if raw[i] == b {
			b ^= 1
		}
		raw[i] = b
		return base64.RawURLEncoding.EncodeToString(raw)
	})
}

// Every byte of a ticket counts, in each of its bits, and so does every
// character of its text: none has two texts.
func TestTicketTampered(t *testing.T) {
	var tickets usher.Tickets
	good := presented(mustMakeTicket(t, &tickets, &usher.Identity{Subject: "alice", Claims: usher.Claims{"admin": false}}))
	text := good.Secret.Reveal()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatalf("decode: got %v, want nil", err)
	}
	bad := good
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			bad.Secret = usher.NewSecret(base64.RawURLEncoding.EncodeToString(raw))
			wantTicketRefused(t, &tickets, bad, nil)
			raw[i] ^= 1 << bit
		}
	}
	for i := range len(text) {
		for _, c := range []byte{base64url[(strings.IndexByte(base64url, text[i])+1)%64], '.', '=', '\n', 0, 0xff} {
			bad.Secret = usher.NewSecret(text[:i] + string([]byte{c}) + text[i+1:])
			wantTicketRefused(t, &tickets, bad, nil)
		}
	}
	for n := range len(text) {
		bad.Secret = usher.NewSecret(text[:n])
		wantTicketRefused(t, &tickets, bad, nil)
		bad.Secret = usher.NewSecret(text[len(text)-n:])
		wantTicketRefused(t, &tickets, bad, nil)
	}
	wantTicketAdmitted(t, &tickets, good)
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// The last character has bits that mean nothing, unless the length happens to
// be right: another one with the same meaning must not be the same ticket.
func TestTicketHasOneText(t *testing.T) {
	for _, subject := range []string{"a", "al", "ali"} {
		var tickets usher.Tickets
		good := presented(mustMakeTicket(t, &tickets, &usher.Identity{Subject: subject}))
		bad, text := good, good.Secret.Reveal()
		last := len(text) - 1
		for _, c := range base64url {
			if byte(c) == text[last] {
				continue
			}
			bad.Secret = usher.NewSecret(text[:last] + string(c))
			wantTicketRefused(t, &tickets, bad, nil)
		}
		wantTicketAdmitted(t, &tickets, good)
	}
}
