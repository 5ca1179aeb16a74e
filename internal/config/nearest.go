package config

import (
	"reflect"
	"slices"
	"strings"
)

// didYouMean returns a hint for a name that is none of those that are known, or
// "" where none of them is near.
func didYouMean(name string, known []string) string {
	best, distance := "", 0
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); best == "" || d < distance {
			best, distance = k, d
		}
	}
	if best == "" || distance > max(1, len(best)/3) {
		return ""
	}
	return "; did you mean " + best + "?"
}

// below returns the sections of a section, at p, that have a key. One of a map is
// called NAME there, and one of a list is its first.
func below(key string, section reflect.Type, p path) (places []path) {
	for _, f := range fieldsOf(section) {
		at, t := p.with(f.key), elem(f.typ)
		switch t.Kind() {
		case reflect.Map:
			at, t = at.with("NAME"), elem(t.Elem())
		case reflect.Slice:
			at, t = at.with(0), elem(t.Elem())
		}
		if !isSection(t) {
			continue
		}
		if slices.Contains(keysOf(t), key) {
			places = append(places, at)
		}
		places = append(places, below(key, t, at)...)
	}
	return places
}

// editDistance counts the letters that must be put in, left out, changed or
// swapped with their neighbor to make a into b. Names beyond a bound are
// infinitely far apart.
func editDistance(a, b string) int {
	const bound = 128
	if len(a) > bound || len(b) > bound {
		return bound
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
