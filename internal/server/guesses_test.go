package server

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// Ten thousand wrong keys are slowed down, by key and by address, and who has
// nothing to do with them is not.
func TestGuesses(t *testing.T) {
	at := netip.MustParseAddr
	told := func(g *guesses, key func(n int) string, from func(n int) netip.Addr) int {
		n := 0
		for i := range 10_000 {
			if g.Wrong(key(i), from(i)) == 0 {
				n++
			}
		}
		return n
	}
	one := func(int) string { return "one" }
	many := func(n int) string { return fmt.Sprint("key ", n) }
	here := func(int) netip.Addr { return at("192.0.2.1") }
	there := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
	near := func(n int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(n >> 8), 15: byte(n)})
	}
	tests := []struct {
		name string
		key  func(int) string
		from func(int) netip.Addr
		want int
	}{
		{"one key from one address", one, here, wrongOfKey},
		{"one key from many addresses", one, there, wrongOfKey},
		{"many keys from one address", many, here, wrongOfAddress},
		{"many keys from one network", many, near, wrongOfAddress},
		{"no key that could be one", func(int) string { return "" }, here, wrongOfAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g guesses
				if got := told(&g, tt.key, tt.from); got != tt.want {
					t.Errorf("got %d told that they are wrong, want %d", got, tt.want)
				}
				if wait := g.Wrong(tt.key(0), tt.from(0)); wait <= 0 || wait > wrongEach {
					t.Errorf("got a wait of %v, want one of at most %v", wait, wrongEach)
				}
				if wait := g.Wrong("another", at("198.51.100.1")); wait != 0 {
					t.Errorf("got a wait of %v for somebody else", wait)
				}
				time.Sleep(wrongEach)
				if wait := g.Wrong(tt.key(9999), tt.from(9999)); wait != 0 {
					t.Errorf("got a wait of %v after one", wait)
				}
			})
		})
	}
}

// What is remembered is bounded, and who goes on is not forgotten.
func TestGuessesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g guesses
		persistent := netip.MustParseAddr("192.0.2.1")
		told := 0
		for n := range 5 * maxGuessers {
			g.Wrong("", netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
			if n%100 == 0 && g.Wrong("", persistent) == 0 {
				told++
			}
		}
		if told != wrongOfAddress {
			t.Errorf("got one that went on told %d times, want %d", told, wrongOfAddress)
		}
		if n := len(g.young) + len(g.old); n > 2*maxGuessers {
			t.Errorf("got %d remembered", n)
		}
	})
}
