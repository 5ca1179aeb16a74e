//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/usher-ws/usher/test/load/epoll"
	"github.com/usher-ws/usher/test/load/figure"
	"github.com/usher-ws/usher/test/load/machine"
)

// after is how long a server may still be at what it was asked, once the client
// has its answer, before its clock is read.
const after = 50 * time.Millisecond

// timed does something and returns what it cost.
func timed(r *running, do func() (epoll.Outcome, error)) (epoll.Outcome, used, error) {
	var o epoll.Outcome
	var cost used
	err := quietly(func() error {
		before, err := r.used()
		if err != nil {
			return err
		}
		if o, err = do(); err != nil {
			return err
		}
		time.Sleep(after)
		now, err := r.used()
		cost = used{now.server - before.server, now.client - before.client}
		return err
	})
	return o, cost, err
}

// perOperation makes a sample of n operations.
func perOperation(o epoll.Outcome, cost used, n int) sample {
	return sample{
		"cpu":    micros(cost.server) / float64(n),
		"client": micros(cost.client) / float64(n),
		"rate":   float64(n) / o.Took.Seconds(),
		"p50":    micros(figure.Percentile(o.Latencies, 50)),
		"p99":    micros(figure.Percentile(o.Latencies, 99)),
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// admitted fails if a server has accepted connections to close them at once: a
// refusal that a browser can read, which a client that only looks for the 101
// takes for an admission.
func admitted(client *epoll.Client) error {
	if err := client.Rest(after); err != nil {
		return err
	}
	if n := client.Lost(); n > 0 {
		return fmt.Errorf("%d connections were closed again", n)
	}
	return nil
}

// warmed returns a client that has opened the warm connections.
func warmed(r *running, warm []epoll.Request, atOnce int) (*epoll.Client, error) {
	client, err := epoll.New(r.addr)
	if err != nil {
		return nil, err
	}
	_, err = client.Connect(warm, atOnce)
	if err == nil {
		err = admitted(client)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func measureConnect(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	warm, all, err := b.requests(c, b.fits(b.connects, c.through))
	if err != nil {
		return nil, err
	}
	return b.connect(r, warm, all)
}

// measureReconnect opens connections with tokens that came before: those of the
// warm connections.
func measureReconnect(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	warm, _, err := b.requests(c, 0)
	if err != nil {
		return nil, err
	}
	all := make([]epoll.Request, b.fits(b.connects, c.through))
	for i := range all {
		all[i] = warm[i%len(warm)]
	}
	return b.connect(r, warm, all)
}

func (b *bench) connect(r *running, warm, all []epoll.Request) (sample, error) {
	client, err := warmed(r, warm, b.atOnce)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	o, cost, err := timed(r, func() (epoll.Outcome, error) { return client.Connect(all, b.atOnce) })
	if err != nil {
		return nil, err
	}
	return perOperation(o, cost, len(all)), admitted(client)
}

// measureMemory reads what idle connections take that have said nothing yet.
func measureMemory(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	return b.idleMemory(c, r, func(*epoll.Client) error { return nil })
}

// measureTalked reads what those take that have exchanged a message each.
func measureTalked(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	frame, echo := epoll.Frame(128)
	return b.idleMemory(c, r, func(client *epoll.Client) error {
		_, err := client.Exchange(client.Live(), 1, func(int) ([]byte, int) { return frame, echo })
		return err
	})
}

// idleMemory reads what connections take that were opened and have done talk.
func (b *bench) idleMemory(c contender, r *running, talk func(*epoll.Client) error) (sample, error) {
	n := b.fits(b.connections, c.through)
	warm, all, err := b.requests(c, n)
	if err != nil {
		return nil, err
	}
	return b.memoryOf(r, warm[:min(len(warm), (n+9)/10)], all, talk)
}

// memoryOf is idleMemory with connections that are prepared, as many as with the
// warm ones fit.
func (b *bench) memoryOf(r *running, warm, all []epoll.Request, talk func(*epoll.Client) error) (sample, error) {
	client, err := warmed(r, warm, b.atOnce)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	n := max(1, len(all)-len(warm))
	if err := talk(client); err != nil {
		return nil, err
	}
	before, err := b.memory(client, r)
	if err != nil {
		return nil, err
	}
	if _, err := client.Connect(all[:n], b.atOnce); err != nil {
		return nil, err
	}
	if err := talk(client); err != nil {
		return nil, err
	}
	now, err := b.memory(client, r)
	if err != nil {
		return nil, err
	}
	if err := admitted(client); err != nil {
		return nil, err
	}
	s := sample{"connections": float64(n)}
	for key, bytes := range now {
		if was, ok := before[key]; ok {
			s[key] = (bytes - was) / 1024 / float64(n)
		}
	}
	return s, nil
}

// memory is what is taken after a rest, in bytes. What of the sockets is the
// superuser's to know is left out for others.
func (b *bench) memory(client *epoll.Client, r *running) (sample, error) {
	if err := client.Rest(b.settle); err != nil {
		return nil, err
	}
	user, err := machine.User(r.pids()...)
	if err != nil {
		return nil, err
	}
	kernel, err := machine.Kernel()
	if err != nil {
		return nil, err
	}
	s := sample{"user": float64(user), "kernel": float64(kernel)}
	sockets, err := machine.Sockets()
	if err == nil {
		s["sockets"] = float64(sockets)
	} else if !errors.Is(err, os.ErrPermission) {
		return nil, err
	}
	return s, nil
}

// talking is how many connections exchange messages.
const talking = 16

func (b *bench) talk(c contender, r *running, connections int) (*epoll.Client, error) {
	warm, _, err := b.requests(c, 0)
	if err != nil {
		return nil, err
	}
	return warmed(r, warm[:connections], b.atOnce)
}

func measureEcho(payload, total int) func(context.Context, *bench, contender, *running) (sample, error) {
	return func(_ context.Context, b *bench, c contender, r *running) (sample, error) {
		client, err := b.talk(c, r, talking)
		if err != nil {
			return nil, err
		}
		defer client.Close()
		frame, echo := epoll.Frame(payload)
		ask := func(int) ([]byte, int) { return frame, echo }
		if _, err := client.Exchange(max(talking, total/10), 1, ask); err != nil { // Warming.
			return nil, err
		}
		o, cost, err := timed(r, func() (epoll.Outcome, error) { return client.Exchange(total, 1, ask) })
		if err != nil {
			return nil, err
		}
		return perOperation(o, cost, total), nil
	}
}

// measureStream has so much under way on four connections that nobody waits for
// an answer before the next frame.
func measureStream(_ context.Context, b *bench, c contender, r *running) (sample, error) {
	const window = 16
	client, err := b.talk(c, r, 4)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	frame, echo := epoll.Frame(16 << 10)
	ask := func(int) ([]byte, int) { return frame, echo }
	if _, err := client.Exchange(max(4*window, b.exchanges/20), window, ask); err != nil {
		return nil, err
	}
	o, cost, err := timed(r, func() (epoll.Outcome, error) { return client.Exchange(b.exchanges/2, window, ask) })
	if err != nil {
		return nil, err
	}
	mb := float64(o.Bytes) / 1e6
	return sample{"cpu": micros(cost.server) / mb, "client": micros(cost.client) / mb, "rate": mb / o.Took.Seconds()}, nil
}
