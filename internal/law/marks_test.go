package law

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// What is true only of the machine that a file was written on does not belong
// in it: paths of its file system, and the registries that it was set up with.
// The strings are put together here so that this file has none of them.
var marks = []string{
	"/wo" + "rk/",
	"/ro" + "ot/",
	"/tm" + "p/bash",
	"proxy.gol" + "ang.org",
	"registry.npm" + "js.org",
	"registry.yarn" + "pkg.com",
	"deb.deb" + "ian.org",
}

func TestMarks(t *testing.T) {
	binary := []string{".png", ".ico", ".woff2", ".gz"}
	for _, name := range files(t) {
		if slices.Contains(binary, path.Ext(name)) {
			continue
		}
		for i, line := range strings.Split(read(t, name), "\n") {
			for _, mark := range marks {
				if strings.Contains(line, mark) {
					t.Errorf("%s:%d: has %q, which is true of one machine only", name, i+1, mark)
				}
			}
		}
	}
}
