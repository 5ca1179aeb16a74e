package cluster_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

const racers = 200

// race redeems one ticket at all gateways at once, and counts the answers.
func (s *site) race(t *testing.T, ticket string) (winners int, refused map[int]int) {
	t.Helper()
	type result struct {
		c   *client
		err error
	}
	results := make(chan result, racers)
	start := make(chan struct{})
	var racing sync.WaitGroup
	for i := range racers {
		racing.Go(func() {
			<-start
			c, err := dial(t.Context(), s.gateways[i%len(s.gateways)].public, "?ticket="+ticket, "")
			results <- result{c, err}
		})
	}
	close(start)
	racing.Wait()
	close(results)
	refused = make(map[int]int)
	for r := range results {
		if r.err == nil {
			winners++
			_ = r.c.conn.Close()
			continue
		}
		refused[statusOf(r.err)]++
	}
	return winners, refused
}

// TestTicketAdmitsOnce has 200 handshakes over three nodes race for one ticket,
// 100 times: exactly one gets in.
func TestTicketAdmitsOnce(t *testing.T) {
	s := newSite(t)
	token := s.login.Token("alice")
	for round := range 100 {
		ticket, status := s.gateways[round%len(s.gateways)].ticket(token)
		if status != http.StatusOK {
			t.Fatalf("round %d: desk: got status %d, want 200", round, status)
		}
		winners, refused := s.race(t, ticket)
		if winners != 1 || refused[http.StatusUnauthorized] != racers-1 {
			t.Errorf("round %d: got %d winners and refusals by status %v, want 1 and 401 for all others", round, winners, refused)
		}
	}
}

// TestTicketWhileNodeDies kills one NATS node after the other, each while
// tickets are raced for, and starts it again: never do two get in, and who could
// not be judged is told 503.
func TestTicketWhileNodeDies(t *testing.T) {
	s := newSite(t)
	token := s.login.Token("alice")
	won, none := 0, 0
	outcomes := make(map[int]int)
	for round := range 18 {
		ticket, status := s.gateways[round%len(s.gateways)].ticket(token)
		if status != http.StatusOK {
			t.Fatalf("round %d: desk: got status %d, want 200", round, status)
		}
		node := s.nats.nodes[round/3%len(s.nats.nodes)]
		dying := round%3 == 1
		if dying { // Somewhere within the race, at another point each time.
			go func() {
				time.Sleep(time.Duration(round) * 2 * time.Millisecond)
				_ = node.process.cmd.Process.Kill()
			}()
		}
		winners, refused := s.race(t, ticket)
		for status, n := range refused {
			outcomes[status] += n
		}
		switch {
		case winners > 1:
			t.Errorf("round %d: got %d winners with one ticket", round, winners)
		case winners == 1:
			won++
		default:
			none++
		}
		if refused[http.StatusUnauthorized]+refused[http.StatusServiceUnavailable] != racers-winners {
			t.Errorf("round %d: got refusals by status %v, want 401 and 503 only", round, refused)
		}
		if dying {
			node.process.reap()
			node.start(t)
			node.process.line("nats is current")
			s.wellAgain(t, token)
		}
	}
	t.Logf("%d rounds with a winner, %d with none; refusals by status %v", won, none, outcomes)
	if won < 12 {
		t.Errorf("got %d rounds with a winner, want at least the 12 in which no node was killed", won)
	}
}

// wellAgain waits until tickets are redeemed at all gateways: a cluster that has
// lost a node takes its time to agree who leads. What they say of themselves may
// be two seconds old.
func (s *site) wellAgain(t *testing.T, token string) {
	t.Helper()
	for _, g := range s.gateways {
		eventually(t, patience, g.process.name+" redeems tickets", func() bool {
			ticket, status := g.ticket(token)
			if status != http.StatusOK {
				return false
			}
			c, err := dial(t.Context(), g.public, "?ticket="+ticket, "")
			if err != nil {
				return false
			}
			_ = c.conn.Close()
			return true
		})
	}
}
