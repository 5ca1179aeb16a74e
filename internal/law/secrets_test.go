package law

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A comparison that stops at the first difference tells an attacker, by its
// time, how much of a guess was right. Secrets meet only through digests and
// crypto/subtle, or the keyed hash's own comparison.
func TestSecretsAreNotCompared(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test() {
			continue
		}
		for _, found := range comparedSecrets(f) {
			t.Error(found)
		}
	}
}

// The check must be able to find something, and must leave alone what tells
// nothing about a secret.
func TestComparedSecrets(t *testing.T) {
	tests := []struct {
		name string
		body string
		want int
	}{
		{"revealed and a variable", `_ = s.Reveal() == guess`, 1},
		{"a variable and revealed", `_ = guess != s.Reveal()`, 1},
		{"by way of a variable", `p := s.Reveal(); _ = p == guess`, 1},
		{"by way of two, and bytes", `p := s.Reveal(); q := []byte(p); _ = bytes.Equal(q, guess)`, 1},
		{"a part of it", `p := s.Reveal(); _ = p[3:] == guess`, 1},
		{"with white space cut off", `_ = strings.TrimSpace(s.Reveal()) == guess`, 1},
		{"without case", `_ = strings.EqualFold(s.Reveal(), guess)`, 1},
		{"a switch on it", `switch s.Reveal() { case guess: }`, 1},
		{"a map of it", `_ = sessions[s.Reveal()]`, 1},
		{"a field with a telling name", `_ = u.password == guess`, 1},
		{"a keyed hash", `_ = bytes.Equal(mac, sum)`, 1},
		{"whether there is one", `_ = s.Reveal() == ""`, 0},
		{"a fixed prefix", `_ = strings.HasPrefix(s.Reveal(), "a.")`, 0},
		{"its length", `_ = len(s.Reveal()) == n`, 0},
		{"digests", `_ = subtle.ConstantTimeCompare(a[:], b[:]) == 1`, 0},
		{"a constant's name", `_ = c.Kind == KindPassword`, 0},
		{"whether it is set", `_ = mac == nil`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parseGo(t, "x.go", "package x\nfunc f() { "+tt.body+" }\n")
			if got := comparedSecrets(f); len(got) != tt.want {
				t.Errorf("got %q, want %d", got, tt.want)
			}
		})
	}
}

// telling matches names of things that must not be compared in the open.
var telling = regexp.MustCompile(`(?i)(secret|password|passwd|mac|signature)$`)

// comparers are functions that compare two of their arguments as == does.
var comparers = []string{
	"bytes.Equal", "bytes.Compare", "strings.EqualFold", "strings.Compare", "slices.Equal",
	"reflect.DeepEqual", "cmp.Compare",
}

// carriers are functions whose result is as secret as their first argument.
var carriers = regexp.MustCompile(`^(strings|bytes)\.(Trim.*|Clone|ToLower|ToUpper)$|^(string|byte)$`)

// comparedSecrets looks through each function of f. It knows a secret by where
// it comes from, the method Reveal, or by its name.
func comparedSecrets(f goFile) []string {
	var found []string
	for _, fn := range functions(f) {
		secret := secretsOf(fn)
		report := func(n ast.Node, what string) {
			found = append(found, fmt.Sprintf("%s:%d: %s: %s; use Secret.Equal, crypto/subtle or hmac.Equal",
				f.name, f.line(n.Pos()), fn.Name.Name, what))
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op != token.EQL && n.Op != token.NEQ || fixed(n.X) || fixed(n.Y) {
					return true
				}
				if secret.has(n.X) || secret.has(n.Y) {
					report(n, "compares a secret with "+n.Op.String())
				}
			case *ast.CallExpr:
				if slices.Contains(comparers, source(n.Fun)) && slices.ContainsFunc(n.Args, secret.has) {
					report(n, "compares a secret with "+source(n.Fun))
				}
			case *ast.SwitchStmt:
				if n.Tag != nil && secret.has(n.Tag) {
					report(n, "switches on a secret")
				}
			case *ast.IndexExpr:
				if secret.has(n.Index) {
					report(n, "looks up by a secret, not by its digest")
				}
			}
			return true
		})
	}
	return found
}

// secrets are the variables of a function that hold what Reveal returned.
type secrets map[string]bool

func secretsOf(fn *ast.FuncDecl) secrets {
	s := make(secrets)
	// In the order of the source, so one pass follows a value from variable to
	// variable.
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, right := range a.Rhs {
				if name, ok := a.Lhs[i].(*ast.Ident); ok && s.has(right) {
					s[name.Name] = true
				}
			}
		}
		return true
	})
	return s
}

// has reports whether e is a secret.
func (s secrets) has(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return s[e.Name] || telling.MatchString(e.Name) && !strings.HasPrefix(e.Name, "Kind")
	case *ast.SelectorExpr:
		return telling.MatchString(e.Sel.Name) && !strings.HasPrefix(e.Sel.Name, "Kind")
	case *ast.ParenExpr:
		return s.has(e.X)
	case *ast.SliceExpr:
		return s.has(e.X)
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
			return true
		}
		if _, conversion := e.Fun.(*ast.ArrayType); conversion || carriers.MatchString(source(e.Fun)) {
			return len(e.Args) > 0 && s.has(e.Args[0])
		}
	}
	return false
}

// fixed reports whether e is written in the source or nil: comparing with what
// everybody knows tells nothing.
func fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return e.Name == "nil" || strings.HasPrefix(e.Name, "Kind")
	case *ast.SelectorExpr:
		return strings.HasPrefix(e.Sel.Name, "Kind")
	}
	return false
}
