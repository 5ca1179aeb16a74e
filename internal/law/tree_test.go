package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// module is the path that every package of ours begins with.
const module = "github.com/usher-ws/usher"

// root is the repository, as seen from here.
const root = "../.."

// A goPackage is what `go list -json` says about a package of ours.
type goPackage struct {
	ImportPath   string
	Name         string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// dir names the package by its folder; the root package is ".".
func (p goPackage) dir() string { return dirOf(p.ImportPath) }

// dirOf returns the folder of a package of ours, "." for the root.
func dirOf(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// ours reports whether importPath is a package of this module.
func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

// external reports whether importPath belongs to neither the standard library
// nor this module. Only the paths of the former have no dot in their first
// element.
func external(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return strings.Contains(first, ".") && !ours(importPath)
}

// packages lists the packages of the module.
func packages(t *testing.T) []goPackage {
	t.Helper()
	var list []goPackage
	dec := json.NewDecoder(bytes.NewReader(command(t, "go", "list", "-json", "./...")))
	for {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		list = append(list, p)
	}
}

// command runs a command in the repository and returns what it printed.
func command(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// files lists the repository's files, by path from the root with slashes:
// neither what was built or installed, nor what editors and git leave.
func files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (rel == ".git" || rel == "bin" || d.Name() == "node_modules" || d.Name() == "artifacts" || d.Name() == "dist"):
			return fs.SkipDir
		case d.Type().IsRegular() && rel != ".git" && !strings.HasSuffix(rel, ".test"):
			list = append(list, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk the repository: %v", err)
	}
	return list
}

// read returns the text of a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A goFile is a parsed file of the repository.
type goFile struct {
	name string // Path from the root.
	set  *token.FileSet
	tree *ast.File
}

// line returns the line that pos is on.
func (f goFile) line(pos token.Pos) int { return f.set.Position(pos).Line }

// test reports whether the file belongs to a test.
func (f goFile) test() bool { return strings.HasSuffix(f.name, "_test.go") }

// goFiles parses the repository's Go files, those of testdata left out.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var list []goFile
	for _, name := range files(t) {
		if path.Ext(name) == ".go" && !strings.Contains(name, "testdata/") {
			list = append(list, parseGo(t, name, read(t, name)))
		}
	}
	return list
}

// parseGo parses source, or fails the test.
func parseGo(t *testing.T, name, source string) goFile {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return goFile{name: name, set: set, tree: tree}
}
