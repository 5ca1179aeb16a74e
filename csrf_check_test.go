package usher

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Private, since only a Guard checks tokens.
func TestCSRFCheck(t *testing.T) {
	key := NewSecret(strings.Repeat("k", minCSRFKey))
	id := &Identity{Issuer: "i", Subject: "alice", Session: "s"}
	other := func(change func(*Identity)) *Identity {
		o := *id
		change(&o)
		return &o
	}
	c := &CSRF{Key: key}
	token := c.Token(id)
	now := time.Now()
	tests := []struct {
		name  string
		csrf  *CSRF
		token string
		id    *Identity
		now   time.Time
		want  bool
	}{
		{"good", c, token, id, now, true},
		{"good on another node", &CSRF{Key: key, TTL: time.Minute}, token, id, now, true},
		{"good again", c, token, id, now.Add(12*time.Hour - 2*time.Second), true},
		{"expired", c, token, id, now.Add(12 * time.Hour), false},
		{"another subject", c, token, other(func(o *Identity) { o.Subject = "bob" }), now, false},
		{"another issuer", c, token, other(func(o *Identity) { o.Issuer = "j" }), now, false},
		{"another session", c, token, other(func(o *Identity) { o.Session = "t" }), now, false},
		{"texts cut elsewhere", c, token, other(func(o *Identity) { o.Issuer, o.Subject = "ia", "lice" }), now, false},
		{"nobody", c, token, nil, now, false},
		{"another key", &CSRF{Key: NewSecret(strings.Repeat("l", minCSRFKey))}, token, id, now, false},
		{"random key", &CSRF{}, token, id, now, false},
		{"short key", &CSRF{Key: NewSecret("k")}, token, id, now, false},
		{"empty", c, "", id, now, false},
		{"cut off", c, token[:53], id, now, false},
		{"padded", c, token + "==", id, now, false},
		{"line end", c, token[:52] + "\r\n", id, now, false},
		{"of zeros", c, strings.Repeat("A", 54), id, now, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.csrf.check(tt.token, tt.id, tt.now); got != tt.want {
				t.Errorf("check: got %v, want %v", got, tt.want)
			}
		})
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatalf("decode: got %v, want nil", err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if c.check(base64url.EncodeToString(raw), id, now) {
				t.Errorf("check with bit %d of byte %d turned: got true, want false", bit, i)
			}
			raw[i] ^= 1 << bit
		}
	}
}

// A session that a verifier did not name is the derived one, before the Guard
// has filled it in and after.
func TestCSRFDerivedSession(t *testing.T) {
	var c CSRF
	bare := &Identity{Issuer: "i", Subject: "alice"}
	full := &Identity{Issuer: "i", Subject: "alice", Session: derivedSession("i", "alice")}
	if !c.check(c.Token(bare), full, time.Now()) || !c.check(c.Token(full), bare, time.Now()) {
		t.Error("check across the derived session: got false, want true")
	}
}

func TestCSRFLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &CSRF{TTL: 10 * time.Second}
		id := &Identity{Subject: "alice"}
		token := c.Token(id)
		time.Sleep(9 * time.Second)
		if !c.check(token, id, time.Now()) {
			t.Error("check before its end: got false, want true")
		}
		time.Sleep(time.Second)
		if c.check(token, id, time.Now()) {
			t.Error("check at its end: got true, want false")
		}
	})
}
