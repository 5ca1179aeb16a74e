package ably_test

import (
	"testing"

	"github.com/usher-ws/usher/internal/ably"
)

// What a token says of a sender stands in extras, and what a sender says of
// himself there does not, however it is written.
func TestClaimExtras(t *testing.T) {
	tests := []struct{ name, extras, without, with string }{
		{"none", ``, ``, `{"userClaim":"mod"}`},
		{"others", `{"headers":{"a":1.50},"ref":{}}`, `{"headers":{"a":1.50},"ref":{}}`, `{"headers":{"a":1.50},"ref":{},"userClaim":"mod"}`},
		{"its own", `{"userClaim":"admin"}`, ``, `{"userClaim":"mod"}`},
		{"its own beside others", `{"ref":1,"userClaim":"admin"}`, `{"ref":1}`, `{"ref":1,"userClaim":"mod"}`},
		{"twice", `{"userClaim":"admin","userClaim":"root"}`, ``, `{"userClaim":"mod"}`},
		{"with escapes", `{"user\u0043laim":"admin","r":1}`, `{"r":1}`, `{"r":1,"userClaim":"mod"}`},
		{"deeper", `{"headers":{"userClaim":"x"}}`, `{"headers":{"userClaim":"x"}}`, `{"headers":{"userClaim":"x"},"userClaim":"mod"}`},
		{"no object", `["userClaim"]`, ``, ``},
	}
	for _, tt := range tests {
		if got := ably.ClaimExtras(tt.extras, "", false); got != tt.without {
			t.Errorf("%s: got %s where nothing is said, want %s", tt.name, got, tt.without)
		}
		if got := ably.ClaimExtras(tt.extras, "mod", true); got != tt.with {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.with)
		}
	}
}
