package figure

import (
	"fmt"
	"math"
	"strings"
)

// Table writes a table in Markdown. All rows are as long as the head; the first
// column is text, the others are flush right.
func Table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| ")
			b.WriteString(strings.ReplaceAll(c, "|", `\|`))
			b.WriteString(" ")
		}
		b.WriteString("|\n")
	}
	line(head)
	b.WriteString("|---" + strings.Repeat("|---:", len(head)-1) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// Number writes a value with three digits that count, and a missing one as a
// dash.
func Number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case size >= 100:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// String writes the median and, where they differ from it, the bounds.
func (s Spread) String() string {
	if Number(s.Min) == Number(s.Max) {
		return Number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", Number(s.Median), Number(s.Min), Number(s.Max))
}
