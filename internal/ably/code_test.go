package ably

import (
	"slices"
	"testing"
)

// Codes are found by halving, which needs their order.
func TestCodesAreSorted(t *testing.T) {
	for i, e := range codes {
		if i > 0 && codes[i-1].code >= e.code {
			t.Errorf("%d comes after %d", e.code, codes[i-1].code)
		}
		if e.text == "" || e.status < 400 || e.status > 599 {
			t.Errorf("got %+v", e)
		}
	}
	if !slices.Contains(codes, TokenExpired.entry()) {
		t.Errorf("got %+v, which is not in the table", TokenExpired.entry())
	}
}
