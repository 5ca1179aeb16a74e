package usher

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzTicket: whatever comes as a ticket is refused, without a panic, unless
// it is the one text that was made. Private for the plaintexts: some of what
// is tried is sealed with the right key.
func FuzzTicket(f *testing.F) {
	key := NewSecret(strings.Repeat("k", ticketKeySize))
	ring, err := newKeyring([]Secret{key})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", false)
	f.Add("AQ", false)
	f.Add("not a ticket", true)
	f.Add(strings.Repeat("A", MaxToken), false)
	f.Add(strings.Repeat("A", MaxToken+1), false)
	f.Fuzz(func(t *testing.T, text string, sealed bool) {
		tickets := &Tickets{Keys: []Secret{key}}
		made, _, err := tickets.Make(&Identity{Subject: "alice"}, "", "/")
		if err != nil {
			t.Fatal(err)
		}
		if sealed && sealedLen(len(text)) <= MaxToken {
			text = ring.seal(append(make([]byte, ticketHead), text...))
		}
		c := Credential{Kind: KindTicket, Secret: NewSecret(text), Route: "/"}
		if id, err := tickets.Verify(context.Background(), c); err == nil || id != nil {
			t.Errorf("Verify of %q: got %v and %v, want a refusal", text, id, err)
		}
		c.Secret = made
		if _, err := tickets.Verify(context.Background(), c); err != nil {
			t.Errorf("Verify of the ticket that was made: got %v, want nil", err)
		}
	})
}

// FuzzTicketBody: what decodes can be encoded, and decodes to the same again.
func FuzzTicketBody(f *testing.F) {
	b := &ticketBody{
		issued: time.UnixMicro(1), expires: time.UnixMicro(2), origin: "https://a.example", route: "/chat",
		identity: Identity{Subject: "alice", Issuer: "i", Session: "s", Token: "t", Claims: Claims{"n": 1}},
	}
	plain, err := b.encode()
	if err != nil {
		f.Fatal(err)
	}
	plain = plain[ticketHead:]
	f.Add(plain)
	f.Add(plain[:len(plain)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		b, err := decodeTicket(plain)
		if err != nil {
			return
		}
		if b.identity.Subject == "" || b.route == "" || b.expires.IsZero() || b.identity.Recheck {
			t.Fatalf("decode: got %+v, want what Make makes", b)
		}
		again, err := b.encode()
		if err != nil {
			t.Fatalf("encode of what was decoded: got %v, want nil", err)
		}
		second, err := decodeTicket(again[ticketHead:])
		if err != nil {
			t.Fatalf("decode of what was encoded: got %v, want nil", err)
		}
		if !reflect.DeepEqual(b, second) {
			t.Errorf("decode: got %+v, want %+v", second, b)
		}
	})
}

// FuzzTicketClaims: claims arrive as JSON would carry them.
func FuzzTicketClaims(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":null,"b":[true,false,"",-1.5e+9,0,{"":[]}]}`, `{"roles":["admin","<&>"],"n":123456789012345678901234567890}`,
		`{"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, `{"a":"\ud800"}`, `{"a":1,"a":2}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read := func(text string) (c Claims, err error) {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			err = d.Decode(&c)
			return c, err
		}
		claims, err := read(text)
		if err != nil || claims == nil {
			return
		}
		packed, err := appendClaims(nil, claims)
		if errors.Is(err, errClaimDepth) {
			return
		}
		if err != nil {
			t.Fatalf("append: got %v, want nil", err)
		}
		got, rest, ok := cutClaim(string(packed), 0)
		if !ok || len(rest) > 0 {
			t.Fatalf("cut: got %v and %q behind it, want all", ok, rest)
		}
		carried, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		want, err := read(string(carried))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, map[string]any(want)) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// FuzzDeskBody: a body names an origin only if it is the one member there is.
func FuzzDeskBody(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"origin":"https://a.example"}`, `{"origin":null}`, `{"origin":"a","origin":"b"}`,
		`{"Origin":"a"}`, `[]`, `{"origin":{"origin":"a"}}`, `{}{}`, `{"origin":"a"`, "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		origin, given, err := parseMember(body, "origin")
		switch {
		case err != nil && (origin != "" || given):
			t.Errorf("parse: got %q and %v beside an error", origin, given)
		case err != nil && len(body) > 20 && strings.Contains(err.Error(), string(body)):
			t.Error("parse: the error quotes the body")
		case given && strings.Count(string(body), ":") < 1:
			t.Errorf("parse of %q: got an origin, want none", body)
		case !given && origin != "":
			t.Errorf("parse of %q: got origin %q that is not given", body, origin)
		}
	})
}

// FuzzCSRF: no text but the token itself is good.
func FuzzCSRF(f *testing.F) {
	c := &CSRF{Key: NewSecret(strings.Repeat("k", minCSRFKey))}
	id := &Identity{Subject: "alice", Session: "s"}
	f.Add("")
	f.Add(strings.Repeat("A", 54))
	f.Add(c.Token(&Identity{Subject: "alice", Session: "other"}))
	f.Fuzz(func(t *testing.T, text string) {
		now := time.Now()
		good := c.Token(id)
		if !c.check(good, id, now) {
			t.Error("check of the token: got false, want true")
		}
		if text != good && c.check(text, id, now) {
			t.Errorf("check of %q: got true, want false", text)
		}
	})
}
