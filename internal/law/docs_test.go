package law

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A block is a piece of code in a page.
type block struct {
	page string
	line int // Of the opening fence.
	// info is what stands behind the fence: the language, then words of ours.
	info []string
	// with is code that the page does not show and the block needs, from a
	// comment before the fence: <!-- with: var login usher.Verifier -->
	with string
	code string
}

// documented are the pages whose code is compiled.
func documented(name string) bool {
	return name == "README.md" || path.Dir(name) == "docs/guide" && path.Ext(name) == ".md"
}

// Code that a reader copies must compile. A block is a whole file, or
// declarations, or statements; what it imports is seen from the names it uses.
func TestDocumentedCode(t *testing.T) {
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	var targets []string
	where := make(map[string]block)
	for _, name := range files(t) {
		if !documented(name) {
			continue
		}
		for _, b := range blocks(name, read(t, name)) {
			if len(b.info) == 0 || b.info[0] != "go" {
				continue
			}
			dir := fmt.Sprintf("documented%03d", len(targets))
			written := filepath.Join(temp, dir+".go")
			if err := os.WriteFile(written, []byte(b.file()), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay.Replace[filepath.Join(base, dir, "main.go")] = written
			targets = append(targets, "./"+dir)
			where[dir] = b
		}
	}
	if len(targets) == 0 {
		t.Fatal("got no code in README.md and docs/guide, want some")
	}
	list := filepath.Join(temp, "overlay.json")
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-overlay", list, "-o", os.DevNull}, targets...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("code of the documentation does not compile: %v\n%s", err, out)
		for dir, b := range where {
			if strings.Contains(string(out), dir) {
				t.Errorf("%s is %s:%d:\n%s", dir, b.page, b.line, b.file())
			}
		}
	}
}

// blocks returns the fenced blocks of a page.
func blocks(page, text string) []block {
	var list []block
	var with []string
	inWith, inBlock := false, false
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case inBlock && trimmed == "```":
			inBlock = false
		case inBlock:
			list[len(list)-1].code += line + "\n"
		case strings.HasPrefix(trimmed, "<!-- with:"):
			first := strings.TrimPrefix(trimmed, "<!-- with:")
			inWith = !strings.HasSuffix(first, "-->")
			with = []string{strings.TrimSuffix(first, "-->")}
		case inWith:
			inWith = !strings.HasSuffix(trimmed, "-->")
			with = append(with, strings.TrimSuffix(trimmed, "-->"))
		case strings.HasPrefix(trimmed, "```"):
			inBlock = true
			list = append(list, block{
				page: page, line: i + 1, info: strings.Fields(trimmed[3:]), with: strings.Join(with, "\n"),
			})
			with = nil
		}
	}
	return list
}

// imports are the packages that blocks use without importing them. A word
// behind the fence says which of several with one name: ```go gorilla
var imports = map[string]string{
	"usher":             module,
	"ushertest":         module + "/ushertest",
	"websocket":         "github.com/coder/websocket",
	"websocket gorilla": "github.com/gorilla/websocket",
	"ws":                "github.com/gobwas/ws",
	"wsutil":            "github.com/gobwas/ws/wsutil",
	"httputil":          "net/http/httputil",
	"http":              "net/http",
	"url":               "net/url",
	"netip":             "net/netip",
	"slog":              "log/slog",
	"httptest":          "net/http/httptest",
	"json":              "encoding/json",
	"sha256":            "crypto/sha256",
	"context":           "context",
	"errors":            "errors",
	"fmt":               "fmt",
	"io":                "io",
	"log":               "log",
	"os":                "os",
	"strings":           "strings",
	"testing":           "testing",
	"time":              "time",
}

var (
	qualifier  = regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]`)
	assigned   = regexp.MustCompile(`(?m)^(\w+(?:, \w+)*) :=`)
	topLevel   = regexp.MustCompile(`(?m)^(func|type|var|const|import) `)
	hasPackage = regexp.MustCompile(`(?m)^package `)
)

// file makes a block into a file that compiles if the block does.
func (b block) file() string {
	if hasPackage.MatchString(b.code) {
		return b.code
	}
	body := b.code
	if !topLevel.MatchString(body) {
		// Statements: a page may introduce a name that it does not use.
		body = "func _() {\n" + body
		for _, names := range assigned.FindAllStringSubmatch(b.code, -1) {
			for name := range strings.SplitSeq(names[1], ",") {
				if name = strings.TrimSpace(name); name != "_" {
					body += "_ = " + name + "\n"
				}
			}
		}
		body += "}\n"
	}
	var list []string
	for _, m := range qualifier.FindAllStringSubmatch(body+b.with, -1) {
		name := m[1]
		if len(b.info) > 1 && imports[name+" "+b.info[1]] != "" {
			name += " " + b.info[1]
		}
		if p := imports[name]; p != "" && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	head := "package documented\n\n"
	for _, p := range list {
		head += fmt.Sprintf("import %q\n", p)
	}
	return head + b.with + "\n" + body
}

// A target that a page tells the reader to make must exist.
func TestDocumentedTargets(t *testing.T) {
	targets := regexp.MustCompile(`(?m)^([a-z]+):`).FindAllStringSubmatch(read(t, "Makefile"), -1)
	known := make(map[string]bool)
	for _, m := range targets {
		known[m[1]] = true
	}
	mention := regexp.MustCompile("(?m)(?:`|^)make ([a-z]+)\\b")
	for _, name := range files(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range mention.FindAllStringSubmatch(read(t, name), -1) {
			if !known[m[1]] {
				t.Errorf("%s: names make %s, which the Makefile does not have", name, m[1])
			}
		}
	}
}

// A link from one page to another file of the repository leads somewhere.
func TestDocumentedLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	for _, name := range files(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if strings.Contains(m[1], ":") {
				continue // Elsewhere.
			}
			target := path.Join(path.Dir(name), m[1])
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: links to %s, which does not exist", name, m[1])
			}
		}
	}
}
