package usher_test

import (
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
