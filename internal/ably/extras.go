package ably

import (
	"encoding/json"
	"strings"
)

// userClaim is the member of extras that says what the sender's token says of it.
const userClaim = "userClaim"

// ClaimExtras returns extras with what the sender's token says of it, or where
// that says nothing, without: nobody says it of himself.
func ClaimExtras(extras, claim string, said bool) string {
	// A name may be written with escapes.
	if !said && !strings.Contains(extras, userClaim) && !strings.Contains(extras, `\`) {
		return extras
	}
	members := make(map[string]json.RawMessage)
	if extras != "" && json.Unmarshal([]byte(extras), &members) != nil {
		return "" // It is no object, and what it says counts for nothing.
	}
	delete(members, userClaim)
	if said {
		text, err := json.Marshal(claim)
		if err != nil {
			return ""
		}
		members[userClaim] = text
	}
	if len(members) == 0 {
		return ""
	}
	text, err := json.Marshal(members)
	if err != nil {
		return ""
	}
	return string(text)
}
