//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/usher-ws/usher/test/load/figure"
)

// markdown writes the results, a table for each row: medians over the rounds,
// and what ours is divided by each other, as the median of the rounds' own
// ratios with the least and the greatest.
func markdown(results []result, about []string, rounds int) string {
	var b strings.Builder
	for _, line := range about {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "- Rounds: %d\n", rounds)
	if rounds < 5 {
		b.WriteString("- **So few rounds show that it works, not how fast.**\n")
	}
	for _, r := range results {
		fmt.Fprintf(&b, "\n### %s\n\n`%s`\n\n", r.title, r.name)
		b.WriteString(r.table())
	}
	return b.String()
}

// table has a line for each contender. The first is whom the others are
// compared with.
func (r *result) table() string {
	head := []string{""}
	for _, c := range r.columns {
		head = append(head, c.title)
	}
	for _, key := range r.costs {
		head = append(head, "ours ÷ it, "+r.titleOf(key))
	}
	var lines [][]string
	for i := range r.standings {
		s := &r.standings[i]
		line := []string{s.name}
		if s.notRun != "" {
			line[0] += ": " + s.notRun
		}
		for _, c := range r.columns {
			line = append(line, figure.Number(figure.Median(s.values(c.key))))
		}
		for _, key := range r.costs {
			line = append(line, r.compared(i, key))
		}
		lines = append(lines, line)
	}
	return figure.Table(head, lines)
}

func (r *result) compared(i int, key string) string {
	if i == 0 {
		return "1"
	}
	ratio, ok := figure.Ratios(r.standings[0].values(key), r.standings[i].values(key))
	if !ok {
		return "–"
	}
	return ratio.String()
}

func (r *row) titleOf(key string) string {
	for _, c := range r.columns {
		if c.key == key {
			return c.title
		}
	}
	return key
}

// about says where and with what the figures were made.
func (b *bench) about() []string {
	lines := []string{"Machine: " + b.machine}
	for _, tool := range []struct{ name, command, arg string }{
		{"nginx", "nginx", "-v"},
		{"HAProxy", "haproxy", "-v"},
		{"Caddy", "caddy", "version"},
		{"Redis", "redis-server", "--version"},
		{"Centrifugo", "centrifugo", "version"},
	} {
		lines = append(lines, tool.name+": "+version(tool.command, tool.arg))
	}
	return append(lines, "Sizes: "+b.sizes())
}

func (b *bench) sizes() string {
	return fmt.Sprintf("%d connects, %d at once; %d round trips over %d connections; %d idle connections, read after %v; %d deliveries, %v at a pace; churn for %v",
		b.connects, b.atOnce, b.exchanges, talking, b.connections, b.settle, b.deliveries, b.paced, b.churn)
}

// version is the first line that a program says of itself.
func version(name, arg string) string {
	path, err := find(name)
	if err != nil {
		return "not run: not installed"
	}
	out, err := exec.Command(path, arg).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " - ")
	return strings.TrimSpace(strings.TrimPrefix(line, "nginx version: "))
}

// A report is what --json writes.
type report struct {
	Time  time.Time   `json:"time"`
	About []string    `json:"about"`
	Rows  []reportRow `json:"rows"`
}

type reportRow struct {
	Name       string       `json:"name"`
	Title      string       `json:"title"`
	Contenders []reportLine `json:"contenders"`
}

type reportLine struct {
	Name    string                   `json:"name"`
	NotRun  string                   `json:"not_run,omitempty"`
	Samples []sample                 `json:"samples,omitempty"`
	Median  sample                   `json:"median,omitempty"`
	Ratio   map[string]figure.Spread `json:"ours_divided_by_it,omitempty"`
}

func writeJSON(name string, b *bench, results []result) error {
	rep := report{Time: time.Now().UTC(), About: b.about()}
	for _, r := range results {
		row := reportRow{Name: r.name, Title: r.title}
		for i := range r.standings {
			s := &r.standings[i]
			line := reportLine{Name: s.name, NotRun: s.notRun, Samples: s.samples, Median: sample{}, Ratio: map[string]figure.Spread{}}
			if s.failed != nil {
				line.NotRun = cmp.Or(s.notRun, "failed") + ": " + s.failed.Error()
			}
			for _, c := range r.columns {
				if m := figure.Median(s.values(c.key)); !math.IsNaN(m) {
					line.Median[c.key] = m
				}
			}
			for _, key := range r.costs {
				if ratio, ok := figure.Ratios(r.standings[0].values(key), s.values(key)); ok && i > 0 {
					line.Ratio[key] = ratio
				}
			}
			row.Contenders = append(row.Contenders, line)
		}
		rep.Rows = append(rep.Rows, row)
	}
	text, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}
