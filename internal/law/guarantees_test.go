package law

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	guarantees = "docs/guarantees.md"
	// contracts is how many there are; DESIGN.md has them whole.
	contracts = 12
)

var (
	contractRow = regexp.MustCompile(`^\| (\d+) \|`)
	testName    = regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w*)`")
	testFile    = regexp.MustCompile("`(test/[\\w./-]+)`")
)

// A guarantee is worth the tests that hold it, so the page that lists them may
// not name one that was renamed or removed.
func TestGuarantees(t *testing.T) {
	declared := make(map[string]bool)
	for _, f := range goFiles(t) {
		for _, fn := range functions(f) {
			if f.test() || path.Dir(f.name) == "ushertest" {
				declared[fn.Name.Name] = true
			}
		}
	}
	all := files(t)
	seen := make([]bool, contracts+1)
	for i, line := range strings.Split(read(t, guarantees), "\n") {
		names := testName.FindAllStringSubmatch(line, -1)
		for _, name := range names {
			if !declared[name[1]] {
				t.Errorf("%s:%d: names %s, which is not declared", guarantees, i+1, name[1])
			}
		}
		paths := testFile.FindAllStringSubmatch(line, -1)
		for _, name := range paths {
			if !slices.Contains(all, name[1]) {
				t.Errorf("%s:%d: names %s, which does not exist", guarantees, i+1, name[1])
			}
		}
		if row := contractRow.FindStringSubmatch(line); row != nil {
			n, err := strconv.Atoi(row[1])
			if err != nil || n < 1 || n > contracts {
				t.Errorf("%s:%d: got contract %s, want 1 to %d", guarantees, i+1, row[1], contracts)
				continue
			}
			seen[n] = true
			if len(names)+len(paths) == 0 && !strings.Contains(line, "Planned") {
				t.Errorf("%s:%d: contract %d names no test and is not planned either", guarantees, i+1, n)
			}
		}
	}
	for n := 1; n <= contracts; n++ {
		if !seen[n] {
			t.Errorf("%s: contract %d is missing", guarantees, n)
		}
	}
}
