package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Name of the file or of the environment variable.
	Name string
	// Line and Column in the file, both from 1, in characters. Zero for a
	// variable.
	Line, Column int
	// Path leads to the key, such as routes[0].path. It may be empty.
	Path string
	// Text says what is wrong and what was expected.
	Text string
	// Source is the line of the file, without what may be a secret. Empty for a
	// variable.
	Source string
	// Caret is the column of Source that is meant, from 1.
	Caret int
}

// String returns the problem in one line, as compilers write theirs, and the
// offending line below it.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Name)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Text)
	if p.Line > 0 && p.Source != "" {
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s^", p.Line, p.Source, strings.Repeat(" ", p.Caret-1))
	}
	return b.String()
}

// Problems is the error of a configuration that cannot be used: all that is
// wrong with it, in the order of the file, then of the variables.
type Problems []Problem

// Error returns all problems, each on lines of its own.
func (p Problems) Error() string {
	all := make([]string, 0, len(p))
	for _, one := range p {
		all = append(all, one.String())
	}
	return strings.Join(all, "\n")
}

// maxProblems bounds a report: nobody reads on.
const maxProblems = 100

// A report collects problems.
type report struct {
	found []found
	paths map[string]bool // Those with a problem at them or below.
}

// A found is a problem before the whole source is known to be looked through,
// and with it all that must be hidden.
type found struct {
	at   place
	path path
	text string
}

func (r *report) add(at place, p path, format string, args ...any) {
	if r.paths == nil {
		r.paths = make(map[string]bool)
	}
	for i := range len(p) + 1 {
		r.paths[p[:i].String()] = true
	}
	if len(r.found) < maxProblems {
		r.found = append(r.found, found{at, p, printable(fmt.Sprintf(format, args...))})
	}
}

// clean reports whether nothing was wrong so far with what is at p.
func (r *report) clean(p path) bool { return !r.paths[p.String()] }

// err returns the problems, or nil if there are none.
func (r *report) err() error {
	if len(r.found) == 0 {
		return nil
	}
	list := make(Problems, 0, len(r.found))
	for _, f := range r.found {
		list = append(list, f.problem())
	}
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(min(b.Line, 1), min(a.Line, 1)), // The file first.
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Name, b.Name),
		)
	})
	return slices.Compact(list)
}

func (f found) problem() Problem {
	p := Problem{Name: f.at.in.name, Path: f.path.String(), Text: f.text}
	if f.at.in.variable {
		return p
	}
	p.Line, p.Column = f.at.line, f.at.column
	if p.Line >= 1 && p.Line <= len(f.at.in.lines) {
		p.Source, p.Caret = quote(f.at.in, f.at.line, f.at.column)
	}
	return p
}

// Bounds of a quoted line, in characters, before and behind the caret.
const (
	quoteBefore = 60
	quoteBehind = 80
)

// quote returns a line of in as a message may show it, and the column in it.
func quote(in *source, line, column int) (string, int) {
	text := []rune(suspicious(strings.TrimRight(in.lines[line-1], "\r")))
	column = min(max(column, 1), len(text)+1)
	before, behind := string(text[:column-1]), string(text[column-1:])
	for _, h := range in.hidden {
		if h.line != line {
			continue
		}
		if h.column < column {
			before = mask(before, h.column, h.text)
		} else {
			behind = mask(behind, h.column-column+1, h.text)
		}
	}
	b, a := []rune(printable(before)), []rune(printable(behind))
	if len(b) > quoteBefore {
		b = append([]rune("…"), b[len(b)-quoteBefore:]...)
	}
	if len(a) > quoteBehind {
		a = append(a[:quoteBehind], '…')
	}
	return string(b) + string(a), len(b) + 1
}

// mask replaces secret, which begins in line at column, by as many stars. Where
// it does not look as the parser said, all from there on is replaced.
func mask(line string, column int, secret string) string {
	runes := []rune(line)
	if column > len(runes) {
		return line
	}
	n := len([]rune(secret))
	if !strings.HasPrefix(string(runes[column-1:]), secret) {
		n = len(runes) - column + 1
	}
	for i := range n {
		runes[column-1+i] = '*'
	}
	return string(runes)
}

// What looks like a secret in a place where nothing says so: in a line that
// cannot be parsed, or in a URL. The first group is kept.
var (
	secretValue = regexp.MustCompile(`(?i)([\w-]*(?:secret|password|passwd|credential|token|api_?-?key|authorization)["']?\s*:\s+)[^\s,{}\[\]][^,}\]]*`)
	secretUser  = regexp.MustCompile(`(://)[^/@\s]*@`)
	secretQuery = regexp.MustCompile(`(://[^\s?"',}\]]*\?)[^\s"',}\]]+`)
)

// suspicious replaces what looks like a secret by as many stars.
func suspicious(line string) string {
	for _, re := range []*regexp.Regexp{secretValue, secretUser, secretQuery} {
		line = re.ReplaceAllStringFunc(line, func(m string) string {
			keep := re.FindStringSubmatch(m)[1]
			if strings.HasPrefix(keep, "htpasswd") {
				return m // The one key of ours that looks alike: a file's name.
			}
			return keep + strings.Repeat("*", len([]rune(m))-len([]rune(keep)))
		})
	}
	return line
}

// printable returns text without what would move a terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}
