//go:build linux

package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/test/load/figure"
	"github.com/usher-ws/usher/test/load/tokens"
)

// makeTickets makes so many tickets and redeems each, in this process, and
// returns how long it took and what half and 99 % of them took at most, in
// nanoseconds.
func makeTickets(args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("got %d arguments, want how many", len(args))
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	tickets := newTickets()
	id := &usher.Identity{
		Subject: "alice", Issuer: tokens.Issuer, Session: "session", Expires: time.Now().Add(time.Hour),
		Claims: usher.Claims{"sub": "alice", "iss": tokens.Issuer},
	}
	times := make([]time.Duration, n)
	begun := time.Now()
	for i := range times {
		start := time.Now()
		ticket, _, err := tickets.Make(id, tokens.Origin, "/chat")
		if err != nil {
			return "", err
		}
		if _, err := tickets.Verify(context.Background(), usher.Credential{
			Kind: usher.KindTicket, Secret: ticket, Origin: tokens.Origin, Route: "/chat",
		}); err != nil {
			return "", err
		}
		times[i] = time.Since(start)
	}
	took := time.Since(begun)
	return fmt.Sprint(took.Nanoseconds(), figure.Percentile(times, 50).Nanoseconds(), figure.Percentile(times, 99).Nanoseconds()), nil
}
