//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/usher-ws/usher/test/load/epoll"
)

// measureRevocation opens connections of one subject and revokes that.
func measureRevocation(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	const subject = "user-000000"
	warm, _, err := b.requests(c, 0)
	if err != nil {
		return nil, err
	}
	client, err := epoll.New(r.addr)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	all := make([]epoll.Request, b.fits(b.connections, c.through))
	for i := range all {
		all[i] = warm[0]
	}
	if _, err := client.Connect(all, b.atOnce); err != nil {
		return nil, err
	}
	asked := make(chan error, 1)
	o, cost, err := timed(r, func() (epoll.Outcome, error) {
		return client.AwaitClose(func() error {
			go func() {
				words, err := r.measured[0].ask("revoke " + subject)
				if err == nil && (len(words) != 1 || words[0] != strconv.Itoa(len(all))) {
					err = fmt.Errorf("revoked %v connections, not %d", words, len(all))
				}
				asked <- err
			}()
			return nil
		})
	})
	if err == nil {
		err = <-asked
	}
	if err != nil {
		return nil, err
	}
	s := perOperation(o, cost, len(all))
	return sample{
		"last": float64(o.Took.Microseconds()) / 1e3, "connections": float64(len(all)),
		"cpu": s["cpu"], "p50": s["p50"], "client": s["client"],
	}, nil
}

func measureChurn(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	warm, all, err := b.requests(c, b.connects)
	if err != nil {
		return nil, err
	}
	client, err := warmed(r, warm, b.atOnce)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	o, cost, err := timed(r, func() (epoll.Outcome, error) { return client.Churn(all, b.atOnce, 0, b.churn, nil) })
	if err != nil {
		return nil, err
	}
	return perOperation(o, cost, len(o.Latencies)), nil
}

// ticketsInProcess makes tickets and redeems them where it is asked to.
func ticketsInProcess() contender {
	return contender{name: "usher.Tickets, in process", ours: true, start: func(ctx context.Context, b *bench) (*running, error) {
		p, _, err := b.testServer(ctx, b.serverCore, "-mode", "tickets")
		if err != nil {
			return nil, err
		}
		return &running{measured: []*process{p}}, nil
	}}
}

// redisTickets is a server for tickets that are random keys.
func redisTickets(name string, clients int) contender {
	return contender{name: name, clients: clients, start: func(ctx context.Context, b *bench) (*running, error) {
		command, err := find("redis-server")
		if err != nil {
			return nil, err
		}
		addr, err := freePort()
		if err != nil {
			return nil, err
		}
		p, err := start(ctx, b.serverCore, b.dir, false, command, "--port", strconv.Itoa(int(addr.Port())),
			"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no")
		if err != nil {
			return nil, err
		}
		r := &running{addr: addr, measured: []*process{p}}
		if err := answers(ctx, addr, p); err != nil {
			r.stop()
			return nil, err
		}
		return r, nil
	}}
}

// measureTickets asks whoever it is: Redis has an address, we have none.
func measureTickets(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	if r.addr == (netip.AddrPort{}) {
		return b.ticketsOfOurs(r)
	}
	client, err := epoll.New(r.addr)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.Dial(c.clients); err != nil {
		return nil, err
	}
	warm := newRedisLoad("warm", max(c.clients, b.tickets/10))
	if _, err := warm.exchange(client); err != nil {
		return nil, err
	}
	load := newRedisLoad("load", b.tickets)
	o, cost, err := timed(r, func() (epoll.Outcome, error) { return load.exchange(client) })
	if err != nil {
		return nil, err
	}
	return perOperation(o, cost, b.tickets), nil
}

// A redisLoad is the commands for some tickets, and how long the answers are.
type redisLoad struct {
	set, spend [][]byte
	answer     int
}

func newRedisLoad(name string, n int) redisLoad {
	// What is kept for a ticket is about as long as what ours has sealed in it.
	value := fmt.Sprintf("%0256d", 0)
	l := redisLoad{answer: len(fmt.Sprintf("$%d\r\n%s\r\n", len(value), value))}
	for i := range n {
		key := fmt.Sprintf("ticket:%s%028d", name, i)
		l.set = append(l.set, redisCommand("SET", key, value, "NX", "EX", "600")) // However slow it is.
		l.spend = append(l.spend, redisCommand("GETDEL", key))
	}
	return l
}

// exchange makes all tickets and then redeems them.
func (l redisLoad) exchange(client *epoll.Client) (epoll.Outcome, error) {
	o, err := client.Exchange(len(l.set), 1, func(i int) ([]byte, int) { return l.set[i], len("+OK\r\n") })
	if err != nil {
		return o, err
	}
	p, err := client.Exchange(len(l.spend), 1, func(i int) ([]byte, int) { return l.spend[i], l.answer })
	if err != nil {
		return o, err
	}
	o.Took += p.Took
	// A ticket takes both. They are added in order of size, which errs on the
	// high side for the slow ones.
	slices.Sort(o.Latencies)
	slices.Sort(p.Latencies)
	for i := range o.Latencies {
		o.Latencies[i] += p.Latencies[i]
	}
	return o, nil
}

func (b *bench) ticketsOfOurs(r *running) (sample, error) {
	if _, err := r.measured[0].ask(fmt.Sprintf("make %d", max(100, b.tickets/10))); err != nil {
		return nil, err
	}
	var words []string
	_, cost, err := timed(r, func() (o epoll.Outcome, err error) {
		words, err = r.measured[0].ask(fmt.Sprintf("make %d", b.tickets))
		return o, err
	})
	if err != nil {
		return nil, err
	}
	if len(words) != 3 {
		return nil, fmt.Errorf("got %v of tickets, want three times", words)
	}
	var times [3]time.Duration
	for i, w := range words {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return nil, err
		}
		times[i] = time.Duration(n)
	}
	n := float64(b.tickets)
	return sample{"cpu": micros(cost.server) / n, "rate": n / times[0].Seconds(), "p50": micros(times[1]), "p99": micros(times[2])}, nil
}
