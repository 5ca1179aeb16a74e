package usher

import "testing"

// TestRenewalTurns has renewals of one session, and of many, turned away at their
// bounds and let in again after one is over.
func TestRenewalTurns(t *testing.T) {
	var turns renewalTurns
	for i := range maxRenewalsOfSession {
		if !turns.enter("s1") {
			t.Fatalf("renewal %d of a session: got turned away", i+1)
		}
	}
	if turns.enter("s1") {
		t.Error("one more of that session: got in")
	}
	turns.leave("s1")
	if !turns.enter("s1") {
		t.Error("after one was over: got turned away")
	}
	for i := turns.total; i < maxRenewals; i++ {
		if !turns.enter(string(rune('a' + i))) {
			t.Fatalf("renewal %d in all: got turned away", i+1)
		}
	}
	if turns.enter("another") {
		t.Error("one more in all: got in")
	}
	if a, b := tooManyRenewals(), tooManyRenewals(); a.ID == b.ID {
		t.Error("two refusals have one explain id")
	}
}
