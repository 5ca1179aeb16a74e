package server_test

import (
	"fmt"
	"net/http"
	"testing"
)

// Who tries key after key is told so less and less, and a good key comes through
// from the same address, also one whose secret was guessed at.
func TestGuessedKeys(t *testing.T) {
	g := twoRoutes(t)
	key := makeKey(t, g, "connections")
	last := byte('B')
	if key.Text[len(key.Text)-1] == last {
		last = 'C'
	}
	wrong := key
	wrong.Text = key.Text[:len(key.Text)-1] + string(last)
	got := make(map[int]int)
	for range 100 {
		a := call(t, g.public, "GET", "connections", "", bearerOf(wrong)...)
		if got[a.status]++; (a.status == http.StatusTooManyRequests) != (a.header.Get("Retry-After") != "") {
			t.Fatalf("got %d with Retry-After %q", a.status, a.header.Get("Retry-After"))
		}
	}
	if got[401] < 60 || got[429] < 20 || got[401]+got[429] != 100 {
		t.Errorf("got %v, want some 60 times 401 and then 429", got)
	}
	for n := range 300 { // The address.
		wrong.Text = fmt.Sprintf("usher_aaaaaaaaa%c%c%c_AAAAAAAAAAAAAAAAAAAAAAAAAA", 'a'+n%26, 'a'+n/26%26, 'a')
		got[call(t, g.public, "GET", "connections", "", bearerOf(wrong)...).status]++
	}
	if got[429] < 80 {
		t.Errorf("got %v, want the address slowed down as well", got)
	}
	if a := call(t, g.public, "GET", "connections", "", bearerOf(key)...); a.status != 200 {
		t.Errorf("got %d %s for the good key", a.status, a.text)
	}
	if a := call(t, g.public, "GET", "connections", ""); a.status != 401 {
		t.Errorf("got %d for no key: there is nothing guessed at", a.status)
	}
}

// Behind a proxy that is trusted, whoever guesses is told so for itself alone, and
// named in the log.
func TestGuessedKeysBehindAProxy(t *testing.T) {
	g := start(t, front+"trusted_proxies: [127.0.0.1]\n")
	guess := func(from string, n int) int {
		t.Helper()
		text := fmt.Sprintf("usher_aaaaaaaaa%c%c%c_AAAAAAAAAAAAAAAAAAAAAAAAAA", 'a'+n%26, 'a'+n/26%26, 'a')
		return call(t, g.public, "GET", "connections", "", "Authorization", "Bearer "+text, "X-Forwarded-For", from).status
	}
	last := 0
	for n := range 400 {
		if last = guess("192.0.2.1", n); last == http.StatusTooManyRequests {
			break
		}
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("got %d after 400 guesses, want 429", last)
	}
	if got := guess("192.0.2.2", 0); got != http.StatusUnauthorized {
		t.Errorf("got %d for another client of the proxy, want 401", got)
	}
	g.logs.await(t, "client=192.0.2.2")
}
