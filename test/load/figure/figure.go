// Package figure sums up what was measured: medians and percentiles, and ratios
// of figures of one round. It measures nothing itself. Command load and its
// tests call it.
package figure

import (
	"math"
	"slices"
	"time"
)

// Median returns the middle of the values, or the mean of the two in the middle.
// NaNs are left out; of no values it is NaN.
func Median(values []float64) float64 {
	sorted := numbers(values)
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Percentile returns the smallest of the times that at least p percent of them
// do not exceed (nearest rank). It sorts them. Of none it is 0.
func Percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	rank := int(math.Ceil(p / 100 * float64(len(times))))
	return times[min(max(rank, 1), len(times))-1]
}

// A Spread is the median of some values with their least and greatest.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Ratios divides ours by theirs round by round, and sums up the quotients: what
// slows a round down slows both in it. A round in which either is missing (NaN)
// or theirs is zero counts for nothing; ok is false if none is left.
func Ratios(ours, theirs []float64) (s Spread, ok bool) {
	var quotients []float64
	for i := range min(len(ours), len(theirs)) {
		if q := ours[i] / theirs[i]; !math.IsNaN(q) && !math.IsInf(q, 0) {
			quotients = append(quotients, q)
		}
	}
	if len(quotients) == 0 {
		return Spread{}, false
	}
	return Spread{Median: Median(quotients), Min: slices.Min(quotients), Max: slices.Max(quotients)}, true
}

// Growth says by what part the last fifth of a series is above its second
// fifth, by their medians: the first is for warming up. It is 0 for a series of
// fewer than ten values.
func Growth(series []float64) float64 {
	fifth := len(series) / 5
	if fifth < 2 {
		return 0
	}
	before := Median(series[fifth : 2*fifth])
	after := Median(series[len(series)-fifth:])
	if before == 0 {
		return 0
	}
	return after/before - 1
}

// numbers returns the values that are numbers, sorted.
func numbers(values []float64) []float64 {
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(sorted)
	return sorted
}
