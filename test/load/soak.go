//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher/test/load/epoll"
	"github.com/usher-ws/usher/test/load/figure"
	"github.com/usher-ws/usher/test/load/machine"
)

// soaking is how many connections come and go at one time beside those that
// stay.
const soaking = 32

// Growth of a series by so much, and by more than so many, fails a soak.
var bounds = map[string]struct{ part, least float64 }{
	"memory, MB":       {0.05, 8},
	"goroutines":       {0.01, 100},
	"file descriptors": {0.01, 100},
}

// A watch is what is seen of a server over time.
type watch map[string][]float64

// soakBoth lets connections come and go for a while beside many that stay, first
// with a Guard, then with the gateway, and fails if anything grows.
func (b *bench) soakBoth(ctx context.Context) error {
	var all []error
	for _, c := range []contender{handlers("Guard + gobwas", "guard", "gobwas", "bearer", "HS256"), gateway.contender()} {
		if err := b.soakOne(ctx, c); err != nil {
			all = append(all, fmt.Errorf("soak of %s: %w", c.name, err))
		}
	}
	return errors.Join(all...)
}

func (b *bench) soakOne(ctx context.Context, c contender) error {
	r, err := c.start(ctx, b)
	if err != nil {
		return err
	}
	defer r.stop()
	stay := b.fits(b.connections, c.through)
	_, all, err := b.requests(c, min(stay, b.connects))
	if err != nil {
		return err
	}
	idle := make([]epoll.Request, stay)
	for i := range idle {
		idle[i] = all[i%len(all)]
	}
	client, err := epoll.New(r.addr)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Connect(idle, b.atOnce); err != nil {
		return err
	}
	seen := make(watch)
	every, next := max(b.soak/200, time.Second), time.Now()
	begun := time.Now()
	churned := 0
	for time.Since(begun) < b.soak {
		if err := ctx.Err(); err != nil {
			return err
		}
		// With a pause, so that a soak is days of a life and not a flood.
		o, err := client.Churn(all, soaking, 10*soaking, b.soak, nil)
		if err != nil {
			return err
		}
		churned += len(o.Latencies)
		if err := client.Rest(50 * time.Millisecond); err != nil {
			return err
		}
		if time.Now().After(next) {
			next = next.Add(every)
			if err := seen.look(ctx, r); err != nil {
				return err
			}
		}
		if client.Lost() > 0 || client.Live() != stay {
			return fmt.Errorf("%d of %d idle connections were lost, the last one %w", stay-client.Live(), stay, client.Why())
		}
	}
	// One that its server has no longer may not have been told.
	frame, echo := epoll.Frame(16)
	if _, err := client.Exchange(stay, 1, func(int) ([]byte, int) { return frame, echo }); err != nil {
		return fmt.Errorf("those that stayed do not answer: %w", err)
	}
	log.Printf("%s: %d connections stayed, %d came and went in %v", c.name, stay, churned, time.Since(begun).Round(time.Second))
	fmt.Print(seen.table(c.name))
	return seen.grown()
}

// look adds what a server has now.
func (w watch) look(ctx context.Context, r *running) error {
	user, err := machine.User(r.pids()...)
	if err != nil {
		return err
	}
	p := r.measured[0]
	files, err := machine.Files(p.pid())
	if err != nil {
		return err
	}
	goroutines, err := r.goroutines(ctx)
	if err != nil {
		return err
	}
	for name, v := range map[string]float64{
		"memory, MB": float64(user) / 1e6, "goroutines": goroutines, "file descriptors": float64(files),
	} {
		w[name] = append(w[name], v)
	}
	return nil
}

// goroutines asks the server: a test server by its input, the gateway by its
// metrics.
func (r *running) goroutines(ctx context.Context) (float64, error) {
	if p := r.measured[0]; p.in != nil {
		words, err := p.ask("goroutines")
		if err != nil || len(words) == 0 {
			return 0, fmt.Errorf("ask for goroutines: %v: %w", words, err)
		}
		return strconv.ParseFloat(words[0], 64)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin.String()+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.New("the metrics have no go_goroutines")
}

func (w watch) table(name string) string {
	var lines [][]string
	for _, key := range []string{"memory, MB", "goroutines", "file descriptors"} {
		series := w[key]
		if len(series) == 0 {
			continue
		}
		lines = append(lines, []string{
			key, figure.Number(series[0]), figure.Number(figure.Median(series)), figure.Number(series[len(series)-1]),
			fmt.Sprintf("%+.1f %%", 100*figure.Growth(series)),
		})
	}
	return figure.Table([]string{name, "first", "median", "last", "growth"}, lines)
}

// grown names what has grown beyond its bound.
func (w watch) grown() error {
	var all []error
	for key, series := range w {
		growth, bound := figure.Growth(series), bounds[key]
		if growth > bound.part && growth*figure.Median(series) > bound.least {
			all = append(all, fmt.Errorf("%s have grown by %.1f %%", key, 100*growth))
		}
	}
	return errors.Join(all...)
}
