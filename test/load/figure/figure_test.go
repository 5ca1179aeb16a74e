package figure

import (
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMedian(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 3, 2}, 2.5},
		{"one that is missing", []float64{math.NaN(), 2, 4}, 3},
		{"none", nil, math.NaN()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Median(tt.values); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	values := []float64{3, 1, 2}
	Median(values)
	if values[0] != 3 {
		t.Errorf("got %v: Median has sorted what is the caller's", values)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // Not in order.
	}
	tests := []struct {
		name  string
		times []time.Duration
		p     float64
		want  time.Duration
	}{
		{"half of a hundred", hundred, 50, 50},
		{"99 of a hundred", hundred, 99, 99},
		{"all", hundred, 100, 100},
		{"nothing of them", hundred, 0, 1},
		{"99 of three", []time.Duration{3, 1, 2}, 99, 3},
		{"half of two", []time.Duration{2, 1}, 50, 1},
		{"of none", nil, 50, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Percentile(tt.times, tt.p); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// A round that was slow for both must not count for either.
func TestRatios(t *testing.T) {
	got, ok := Ratios([]float64{10, 100, 12}, []float64{20, 200, 20})
	want := Spread{Median: 0.5, Min: 0.5, Max: 0.6}
	if !ok || got != want {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
	if got.String() != "0.50 (0.50–0.60)" {
		t.Errorf("got %q", got)
	}
	for name, theirs := range map[string][]float64{"zero": {0}, "missing": {math.NaN()}, "none": nil} {
		if got, ok := Ratios([]float64{1}, theirs); ok {
			t.Errorf("divided by %s: got %v, want none", name, got)
		}
	}
}

func TestGrowth(t *testing.T) {
	tests := []struct {
		name   string
		series []float64
		want   float64
	}{
		{"steady", []float64{1, 1, 2, 2, 2, 2, 2, 2, 2, 2}, 0},
		{"warming up is not growth", []float64{1, 1, 9, 9, 9, 9, 9, 9, 9, 9}, 0},
		{"growing", []float64{1, 1, 2, 2, 2, 2, 2, 2, 3, 3}, 0.5},
		{"too short to say", []float64{1, 2, 3}, 0},
		{"of nothing", make([]float64, 10), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Growth(tt.series); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	got := Table([]string{"server", "CPU µs", "rate"}, [][]string{{"a|b", Number(1.234), Number(5678)}, {"c", Number(math.NaN()), Number(45.67)}})
	want := strings.Join([]string{
		"| server | CPU µs | rate |",
		"|---|---:|---:|",
		`| a\|b | 1.23 | 5678 |`,
		"| c | – | 45.7 |",
		"",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
