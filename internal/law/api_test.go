package law

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const apiFile = "testdata/api.txt"

// A change of the public API is a decision: this file shows it in a diff.
// Removing a name takes a major version.
func TestAPI(t *testing.T) {
	var lines []string
	for _, f := range goFiles(t) {
		if !f.test() && slices.Contains(public, path.Dir(f.name)) {
			lines = append(lines, api(f)...)
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(apiFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(golden), "\n"), "\n")
	for _, line := range lines {
		if !slices.Contains(want, line) {
			t.Errorf("new in the API: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("gone from the API: %s", line)
		}
	}
	if t.Failed() {
		t.Log("if this was decided: make api")
	}
}

// Every form of declaration has a line.
func TestAPILines(t *testing.T) {
	f := parseGo(t, "x.go", `package x

const A, b = 1, 2
const C Kind = "c"
var D = 4
var E, F int
type G struct { H, I int; j int; K; Embedded *L }
type M interface { N(o int) (p error); q() }
type R func(s int) error
type T[U any] struct{}
type V = G
func W(x, y int, z ...string) (err error) { return nil }
func (g *G) AA(ctx context.Context) {}
func (g hidden) BB() {}
func (t *T[U]) CC() U { return nil }
func dd() {}
`)
	want := []string{
		"x, const A = 1",
		"x, const C Kind = \"c\"",
		"x, func W(x, y int, z ...string) (err error)",
		"x, method (*G) AA(ctx context.Context)",
		"x, method (*T[U]) CC() U",
		"x, type G struct",
		"x, type G struct, Embedded *L",
		"x, type G struct, H int",
		"x, type G struct, I int",
		"x, type G struct, embedded K",
		"x, type M interface",
		"x, type M interface, N(o int) (p error)",
		"x, type R func(s int) error",
		"x, type T[U any] struct",
		"x, type V = G",
		"x, var D",
		"x, var E int",
		"x, var F int",
	}
	got := api(f)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// api returns a line for each exported name that f declares.
func api(f goFile) []string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, f.tree.Name.Name+", "+fmt.Sprintf(format, args...))
	}
	for _, decl := range f.tree.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if !d.Name.IsExported() {
				continue
			}
			if d.Recv == nil {
				add("func %s%s", d.Name.Name, signature(d.Type))
			} else if ast.IsExported(receiver(d)) {
				add("method (%s) %s%s", source(d.Recv.List[0].Type), d.Name.Name, signature(d.Type))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					values(d.Tok, s, add)
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						typeLines(s, add)
					}
				}
			}
		}
	}
	return lines
}

// values adds constants with their value, which is part of the promise, and
// variables without.
func values(tok token.Token, s *ast.ValueSpec, add func(string, ...any)) {
	for i, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		typ, value := "", ""
		if s.Type != nil {
			typ = " " + source(s.Type)
		}
		if tok == token.CONST && i < len(s.Values) {
			value = " = " + source(s.Values[i])
		}
		add("%s %s%s%s", tok, name.Name, typ, value)
	}
}

func typeLines(s *ast.TypeSpec, add func(string, ...any)) {
	name := s.Name.Name
	if s.TypeParams != nil {
		var params []string
		for _, p := range s.TypeParams.List {
			for _, n := range p.Names {
				params = append(params, n.Name+" "+source(p.Type))
			}
		}
		name += "[" + strings.Join(params, ", ") + "]"
	}
	if s.Assign != token.NoPos {
		add("type %s = %s", name, source(s.Type))
		return
	}
	var kind string
	switch s.Type.(type) {
	case *ast.StructType:
		kind = "struct"
	case *ast.InterfaceType:
		kind = "interface"
	default:
		add("type %s %s", name, source(s.Type))
		return
	}
	add("type %s %s", name, kind)
	for _, m := range members(s.Type) {
		if len(m.Names) == 0 {
			add("type %s %s, embedded %s", name, kind, source(m.Type))
		}
		for _, n := range exported(m.Names) {
			if fn, ok := m.Type.(*ast.FuncType); ok && kind == "interface" {
				add("type %s %s, %s%s", name, kind, n.Name, signature(fn))
			} else {
				add("type %s %s, %s %s", name, kind, n.Name, source(m.Type))
			}
		}
	}
}

// signature is a function's type without the word func.
func signature(t *ast.FuncType) string { return strings.TrimPrefix(source(t), "func") }

// source prints an expression on one line.
func source(e ast.Expr) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), e); err != nil {
		panic(err) // A parsed expression always prints.
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
