//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"

	"github.com/usher-ws/usher/test/load/figure"
)

// allowed is by what part a ratio may be above the one that is committed. Rounds
// on one machine differ by less.
const allowed = 0.20

// ratios are processor time per operation of ours, divided by that of bare
// gobwas in the same round: by row and contender.
type ratios map[string]float64

// checkFigures measures the rows that have a yardstick, and compares the ratios
// with those of a file, or writes that file.
func (b *bench) checkFigures(ctx context.Context, all []row) error {
	var committed ratios
	if !b.write {
		text, err := os.ReadFile(b.check)
		if err != nil {
			return fmt.Errorf("read the committed figures (--write makes them): %w", err)
		}
		if err := json.Unmarshal(text, &committed); err != nil {
			return fmt.Errorf("read the committed figures in %s: %w", b.check, err)
		}
	}
	results, err := b.runRows(ctx, measurable(all))
	if err != nil {
		return err
	}
	if err := failures(results); err != nil {
		return err
	}
	seen := ratiosOf(results)
	if b.write {
		text, err := json.MarshalIndent(seen, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(b.check, append(text, '\n'), 0o644)
	}
	table, err := compare(seen, committed)
	fmt.Print(table)
	return err
}

// measurable are the rows with a yardstick, and of their contenders that and
// ours.
func measurable(all []row) []row {
	var list []row
	for _, r := range all {
		r.contenders = slices.DeleteFunc(slices.Clone(r.contenders), func(c contender) bool { return !c.ours && !c.yardstick })
		if slices.ContainsFunc(r.contenders, func(c contender) bool { return c.yardstick }) && slices.Contains(r.costs, "cpu") {
			list = append(list, r)
		}
	}
	return list
}

// ratiosOf divides ours by the yardstick of each row.
func ratiosOf(results []result) ratios {
	seen := make(ratios)
	for _, r := range results {
		at := slices.IndexFunc(r.standings, func(s standing) bool { return s.yardstick })
		if at < 0 {
			continue
		}
		for i := range r.standings {
			s := &r.standings[i]
			if ratio, ok := figure.Ratios(s.values("cpu"), r.standings[at].values("cpu")); ok && s.ours {
				seen[r.name+", "+s.name] = ratio.Median
			}
		}
	}
	return seen
}

// compare shows what is seen beside what is committed. Its error names what has
// grown too much, or is in one of the two only.
func compare(seen, committed ratios) (string, error) {
	var lines [][]string
	var wrong []error
	names := maps.Clone(seen)
	maps.Copy(names, committed)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		now, isSeen := seen[name]
		before, isCommitted := committed[name]
		switch {
		case !isSeen:
			wrong = append(wrong, fmt.Errorf("%s: is committed, and was not measured", name))
			continue
		case !isCommitted:
			wrong = append(wrong, fmt.Errorf("%s: no figure is committed", name))
			continue
		}
		growth := now/before - 1
		lines = append(lines, []string{name, figure.Number(before), figure.Number(now), fmt.Sprintf("%+.0f %%", 100*growth)})
		if growth > allowed {
			wrong = append(wrong, fmt.Errorf("%s: CPU against bare gobwas was %s and is %s, %.0f %% more", name, figure.Number(before), figure.Number(now), 100*growth))
		}
	}
	if len(wrong) == 0 {
		log.Printf("no ratio has grown by more than %.0f %%", 100*allowed)
	}
	return figure.Table([]string{"CPU ÷ bare gobwas", "committed", "seen", "growth"}, lines), errors.Join(wrong...)
}
