package law

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// public are the packages that others import.
var public = []string{".", "ushertest"}

func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue // Tests alone have nobody to tell.
		}
		begin := "Package " + p.Name + " "
		if p.Name == "main" {
			begin = "Command " + path.Base(p.dir()) + " "
		}
		if !strings.HasPrefix(p.Doc, begin) {
			t.Errorf("package %s: got the comment %q, want one that begins with %q and says what it is", p.dir(), p.Doc, begin)
		}
	}
}

// A name that others see has a comment, and so have the fields and methods
// that they write and call.
func TestComments(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test() || !slices.Contains(public, path.Dir(f.name)) {
			continue
		}
		for _, bare := range uncommented(f) {
			t.Errorf("%s:%d: %s has no comment", f.name, f.line(bare.Pos()), bare.Name)
		}
	}
}

// The rule must be able to find something.
func TestUncommented(t *testing.T) {
	f := parseGo(t, "x.go", `package x

type A struct {
	B int
	c int
}

// D is.
type D interface {
	E()
	// F does.
	F()
}

// One method is what the type is about.
type N interface {
	O()
}

// These are.
const (
	G = 1
	H = 2
)

var I = 3

func J() {}
func (a A) K() {}
func (a a) L() {}
func m() {}
`)
	want := []string{"A", "B", "E", "I", "J", "K"}
	var got []string
	for _, name := range uncommented(f) {
		got = append(got, name.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// uncommented returns the exported names of f that nothing is said about.
func uncommented(f goFile) []*ast.Ident {
	var bare []*ast.Ident
	for _, decl := range f.tree.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
				bare = append(bare, d.Name)
			}
		case *ast.GenDecl:
			bare = append(bare, uncommentedSpecs(d)...)
		}
	}
	return bare
}

func uncommentedSpecs(d *ast.GenDecl) []*ast.Ident {
	var bare []*ast.Ident
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			if d.Doc == nil && s.Doc == nil && s.Comment == nil {
				bare = append(bare, exported(s.Names)...)
			}
		case *ast.TypeSpec:
			if !s.Name.IsExported() {
				continue
			}
			if s.Doc == nil && (d.Doc == nil || d.Lparen != token.NoPos) {
				bare = append(bare, s.Name)
			}
			list := members(s.Type)
			if i, ok := s.Type.(*ast.InterfaceType); ok && len(i.Methods.List) == 1 {
				list = nil // The comment of the type is that of its one method.
			}
			for _, m := range list {
				if m.Doc == nil && m.Comment == nil {
					bare = append(bare, exported(m.Names)...)
				}
			}
		}
	}
	return bare
}

// members are the fields of a struct or the methods of an interface.
func members(e ast.Expr) []*ast.Field {
	switch t := e.(type) {
	case *ast.StructType:
		return t.Fields.List
	case *ast.InterfaceType:
		return t.Methods.List
	}
	return nil
}

func exported(names []*ast.Ident) []*ast.Ident {
	return slices.DeleteFunc(slices.Clone(names), func(n *ast.Ident) bool { return !n.IsExported() })
}

// receiver is the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// functions are the functions and methods that f declares with a body.
func functions(f goFile) []*ast.FuncDecl {
	var list []*ast.FuncDecl
	for _, decl := range f.tree.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			list = append(list, fn)
		}
	}
	return list
}
