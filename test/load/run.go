//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/usher-ws/usher/test/load/figure"
)

// A result is what a row has shown.
type result struct {
	row
	standings []standing
}

// A standing is one contender's part of a result.
type standing struct {
	contender
	samples []sample // By round.
	notRun  string   // Why there are none: it is not installed, or it failed.
	failed  error
}

// runRows measures all rows.
func (b *bench) runRows(ctx context.Context, list []row) ([]result, error) {
	var results []result
	for i, r := range list {
		log.Printf("%d of %d: %s", i+1, len(list), r.name)
		res := b.runRow(ctx, r)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		results = append(results, res)
	}
	return results, nil
}

// runRow measures a row in rounds. In each every server has its turn, in an
// order that alternates, so that what drifts falls on all alike. One that fails
// is out of the row, which goes on.
func (b *bench) runRow(ctx context.Context, r row) result {
	res := result{row: r, standings: make([]standing, len(r.contenders))}
	for i, c := range r.contenders {
		res.standings[i].contender = c
	}
	for round := range b.rounds {
		for _, i := range order(len(r.contenders), round) {
			s := &res.standings[i]
			if s.notRun != "" || ctx.Err() != nil {
				continue
			}
			got, err := b.turn(ctx, r, s.contender)
			switch {
			case errors.Is(err, errNotInstalled):
				s.notRun = "not run: not installed"
				log.Printf("  %s: %v", s.name, err)
			case err != nil && ctx.Err() == nil:
				s.failed, s.notRun = err, "failed"
				log.Printf("  %s: %v", s.name, err)
			case err == nil:
				s.samples = append(s.samples, got)
				log.Printf("  round %d, %s: %s", round+1, s.name, describe(r, got))
			}
		}
	}
	return res
}

// turn starts a server, measures it, and stops it.
func (b *bench) turn(ctx context.Context, r row, c contender) (sample, error) {
	running, err := c.start(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	defer running.stop()
	s, err := r.measure(ctx, b, c, running)
	if err != nil {
		for _, p := range running.measured {
			if said := strings.TrimSpace(p.errors.String()); said != "" {
				log.Printf("  %s said: %s", c.name, said)
			}
		}
	}
	return s, err
}

// order is who has which turn in a round: there and back.
func order(n, round int) []int {
	turns := make([]int, n)
	for i := range turns {
		turns[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(turns)
	}
	return turns
}

func describe(r row, s sample) string {
	var parts []string
	for _, c := range r.columns {
		parts = append(parts, c.title+" "+figure.Number(s.value(c.key)))
	}
	return strings.Join(parts, ", ")
}

// values are a figure of all rounds.
func (s *standing) values(key string) []float64 {
	list := make([]float64, len(s.samples))
	for i := range list {
		list[i] = s.samples[i].value(key)
	}
	return list
}

// failures joins what went wrong, which the table shows too.
func failures(results []result) error {
	var all []error
	for _, r := range results {
		for _, s := range r.standings {
			if s.failed != nil {
				all = append(all, fmt.Errorf("%s, %s: %w", r.name, s.name, s.failed))
			}
		}
	}
	return errors.Join(all...)
}
