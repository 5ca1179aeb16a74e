package usher_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// TestRevokeIssuerAhead revokes whose issuer's clock is ahead: by its own time the
// credential was issued after the revocation, and its connection ends all the same.
func TestRevokeIssuerAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		id := loggedIn("alice", "s1")
		id.Issued = id.Issued.Add(20 * time.Second)
		p := join(t, g, idle, id)
		time.Sleep(time.Second)
		if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 1 || err != nil {
			t.Errorf("got %d connections, %v, want 1", n, err)
		}
		p.closed(usher.CloseUnauthenticated, "revoked")
	})
}

// TestRevokeWithinTheSecond revokes in the middle of a second: of what was issued in
// it, a token is spared that says so with a fraction (RFC 7519 §2).
func TestRevokeWithinTheSecond(t *testing.T) {
	for iat, want := range map[string]bool{"946684800": false, "946684800.25": false, "946684800.5": true, "946684800.75": true} {
		t.Run(iat, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // Which begins at 946684800.
				var s usher.Sessions
				time.Sleep(500 * time.Millisecond)
				if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "u1"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(300 * time.Millisecond)
				id := admits(t, hs256(t), good(map[string]any{"sub": "u1", "iat": json.RawMessage(iat)}))
				if err := s.Admits(id); (err == nil) != want {
					t.Errorf("got %v, want admitted: %t", err, want)
				}
			})
		})
	}
}
