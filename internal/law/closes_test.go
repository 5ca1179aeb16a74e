package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

// closes is what a client does after each close code: the one table, from which
// that of the TypeScript client is made. Codes of RFC 6455 that a Guard does not
// send are those of the application behind it.
var closes = []struct {
	code int
	then string
}{
	{1000, "stop"},
	{usher.CloseGoingAway, "now"},
	{usher.CloseProtocolError, "stop"},
	{1003, "stop"},
	{1007, "stop"},
	{1008, "stop"},
	{1009, "stop"},
	{usher.CloseFault, "wait"},
	{usher.CloseUnauthenticated, "fresh"},
	{usher.CloseForbidden, "stop"},
	{usher.CloseAuthTimeout, "now"},
	{usher.CloseTooMany, "wait"},
	{usher.CloseUnavailable, "wait"},
}

const closesFile = "client/src/closes.ts"

// TestCloses holds the client's table to this one, and this one to the codes
// that the library has.
func TestCloses(t *testing.T) {
	var made strings.Builder
	made.WriteString(`// Made from the table in internal/law by "make api". Do not edit.

/** What to do after a close code: get a fresh credential, wait, come back at once, or stop. */
export type Then = 'fresh' | 'wait' | 'now' | 'stop';

export const closes: Readonly<Record<number, Then>> = {
`)
	known := make(map[int]bool)
	for _, c := range closes {
		known[c.code] = true
		fmt.Fprintf(&made, "  %d: '%s',\n", c.code, c.then)
	}
	made.WriteString("};\n")
	for name, code := range closeConstants(t) {
		if !known[code] {
			t.Errorf("%s: %d is not in the table of close codes", name, code)
		}
	}
	if *update {
		if err := os.WriteFile(filepath.Join(root, closesFile), []byte(made.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, closesFile); got != made.String() {
		t.Errorf("%s is not as the table says: make api", closesFile)
	}
}

// closeConstants finds the library's close codes in its source.
func closeConstants(t *testing.T) map[string]int {
	t.Helper()
	found := make(map[string]int)
	for _, f := range goFiles(t) {
		if f.test() || filepath.Dir(f.name) != "." {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Names) != 1 || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Close") {
				return true
			}
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.INT {
				if code, err := strconv.Atoi(lit.Value); err == nil {
					found[v.Names[0].Name] = code
				}
			}
			return true
		})
	}
	if len(found) < 8 {
		t.Fatalf("found only %d close codes in the source", len(found))
	}
	return found
}
