package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// Figures are the gateway's own at this moment.
type figures struct {
	// Admin is the URL of the admin listener, which anybody on this machine may
	// look at.
	Admin       string        `json:"admin"`
	Connections int           `json:"connections"`
	Pending     int           `json:"pending"`
	Verdicts    []verdictsFor `json:"verdicts"`
}

// VerdictsFor counts the verdicts with one reason; that of an admission is
// empty.
type verdictsFor struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
}

// figures asks the admin listener for its status and its metrics.
func (g *gateway) figures(ctx context.Context) (*figures, error) {
	f := new(figures)
	var err error
	if f.Admin, err = g.adminURL(ctx); err != nil {
		return nil, err
	}
	text, err := g.ask(ctx, "/usher/v1/status")
	if err != nil {
		return nil, err
	}
	var status struct {
		Connections int
		Routes      []struct{ Pending int }
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return nil, fmt.Errorf("read the gateway's status: %w", err)
	}
	f.Connections = status.Connections
	for _, r := range status.Routes {
		f.Pending += r.Pending
	}
	if text, err = g.ask(ctx, "/metrics"); err != nil {
		return nil, err
	}
	f.Verdicts = countVerdicts(text)
	return f, nil
}

// A verdict series, in the text format of Prometheus, and its labels.
var (
	verdictSeries = regexp.MustCompile(`^usher_verdicts_total\{(.*)\} ([0-9]+)$`)
	seriesLabel   = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// countVerdicts sums the verdicts in metrics up over routes and carriers.
func countVerdicts(metrics []byte) []verdictsFor {
	sums := make(map[string]*verdictsFor)
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		series := verdictSeries.FindStringSubmatch(lines.Text())
		if series == nil {
			continue
		}
		labels := make(map[string]string)
		for _, l := range seriesLabel.FindAllStringSubmatch(series[1], -1) {
			labels[l[1]] = l[2]
		}
		key := labels["verdict"] + " " + labels["reason"]
		if sums[key] == nil {
			sums[key] = &verdictsFor{Verdict: labels["verdict"], Reason: labels["reason"]}
		}
		n, err := strconv.Atoi(series[2])
		if err == nil { // A count is never too large for an int here.
			sums[key].Count += n
		}
	}
	list := make([]verdictsFor, 0, len(sums))
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, *sums[key])
	}
	return list
}
