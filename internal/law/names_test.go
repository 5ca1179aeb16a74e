package law

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// vague names say nothing about what is in a package or a file, so everything
// ends up in them.
var vague = []string{
	"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models",
	"misc", "shared", "base", "stuff", "manager",
}

func TestNames(t *testing.T) {
	standard := make(map[string]bool)
	for name := range strings.FieldsSeq(string(command(t, "go", "list", "std"))) {
		if !strings.Contains(name, "internal/") && !strings.HasPrefix(name, "vendor/") {
			standard[path.Base(name)] = true
		}
	}
	for _, p := range packages(t) {
		if slices.Contains(vague, p.Name) || slices.Contains(vague, path.Base(p.dir())) {
			t.Errorf("package %s: a vague name; say what it is", p.dir())
		}
		if standard[p.Name] {
			t.Errorf("package %s: the standard library has a package %s", p.dir(), p.Name)
		}
	}
	for _, name := range files(t) {
		stem, _, _ := strings.Cut(path.Base(name), ".")
		if slices.Contains(vague, strings.TrimSuffix(stem, "_test")) {
			t.Errorf("%s: a vague name; a file is named by the one idea in it", name)
		}
	}
}

// Bounds on length, in lines. Tests are let off more lightly: a table is long
// without being hard to read.
const (
	maxFile         = 400
	maxFunction     = 60
	maxTestFile     = 600
	maxTestFunction = 120
)

func TestSizes(t *testing.T) {
	for _, f := range goFiles(t) {
		fileMax, functionMax := maxFile, maxFunction
		if f.test() {
			fileMax, functionMax = maxTestFile, maxTestFunction
		}
		if n := f.line(f.tree.FileEnd); n > fileMax+1 {
			t.Errorf("%s: got %d lines, want at most %d: it holds more than one idea", f.name, n-1, fileMax)
		}
		for _, fn := range functions(f) {
			if n := f.line(fn.End()) - f.line(fn.Pos()) + 1; n > functionMax {
				t.Errorf("%s:%d: %s: got %d lines, want at most %d", f.name, f.line(fn.Pos()), fn.Name.Name, n, functionMax)
			}
		}
	}
	for _, name := range files(t) {
		if !slices.Contains([]string{".ts", ".tsx", ".js", ".mjs", ".css"}, path.Ext(name)) {
			continue
		}
		limit := maxFile
		if strings.Contains(path.Base(name), ".test.") {
			limit = maxTestFile
		}
		if n := strings.Count(read(t, name), "\n"); n > limit {
			t.Errorf("%s: got %d lines, want at most %d", name, n, limit)
		}
	}
}
