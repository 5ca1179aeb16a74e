package usher

import (
	"encoding/json"
	"strings"
)

// readPlain reads a JSON object of the kind that issuers write, in which no text
// has an escape, or more than ASCII. All else it leaves to a reader that knows the
// whole of JSON, and ok is false then: also what is no JSON, what has a name
// twice, and what is nested deeper than maxNesting. Texts and numbers are parts of
// text, and cost no memory of their own.
func readPlain(text string) (object map[string]any, ok bool) {
	r := plainReader{rest: text}
	if r.space(); !strings.HasPrefix(r.rest, "{") {
		return nil, false
	}
	v := r.value(0)
	r.space()
	object, ok = v.(map[string]any)
	return object, ok && !r.bad && r.rest == ""
}

// A plainReader reads values from the front of what is left.
type plainReader struct {
	rest string
	bad  bool // It is not plain, and what was read counts for nothing.
}

// space skips white space (RFC 8259 §2).
func (r *plainReader) space() {
	i := 0
	for i < len(r.rest) && (r.rest[i] == ' ' || r.rest[i] == '\n' || r.rest[i] == '\r' || r.rest[i] == '\t') {
		i++
	}
	r.rest = r.rest[i:]
}

// take takes a word that comes next, behind white space, if it does.
func (r *plainReader) take(word string) bool {
	r.space()
	rest, ok := strings.CutPrefix(r.rest, word)
	r.rest = rest
	return ok
}

// cut takes the next n bytes.
func (r *plainReader) cut(n int) string {
	text := r.rest[:n]
	r.rest = r.rest[n:]
	return text
}

func (r *plainReader) value(depth int) any {
	switch {
	case depth > maxNesting:
	case r.take(`"`):
		return r.text()
	case r.take("{"):
		return r.object(depth)
	case r.take("["):
		return r.list(depth)
	case r.take("true"):
		return true
	case r.take("false"):
		return false
	case r.take("null"):
		return nil
	default:
		if n := numberLen(r.rest); n > 0 {
			return json.Number(r.cut(n))
		}
	}
	r.bad = true
	return nil
}

// object reads an object behind its brace.
func (r *plainReader) object(depth int) map[string]any {
	object := make(map[string]any)
	if r.take("}") {
		return object
	}
	for !r.bad {
		if !r.take(`"`) {
			break
		}
		name := r.text()
		if _, twice := object[name]; twice || !r.take(":") {
			break
		}
		object[name] = r.value(depth + 1)
		if r.take("}") {
			return object
		}
		if !r.take(",") {
			break
		}
	}
	r.bad = true
	return nil
}

// list reads an array behind its bracket.
func (r *plainReader) list(depth int) []any {
	list := make([]any, 0, 1)
	if r.take("]") {
		return list
	}
	for !r.bad {
		list = append(list, r.value(depth+1))
		if r.take("]") {
			return list
		}
		if !r.take(",") {
			break
		}
	}
	r.bad = true
	return nil
}

// text reads a text behind its quotation mark.
func (r *plainReader) text() string {
	for i := range len(r.rest) {
		switch c := r.rest[i]; {
		case c == '"':
			text := r.cut(i)
			r.rest = r.rest[1:]
			return text
		case c < ' ' || c == '\\' || c >= 0x80:
			r.bad = true
			return ""
		}
	}
	r.bad = true
	return ""
}

// numberLen returns how long the number is that text begins with (RFC 8259 §6),
// or 0.
func numberLen(text string) int {
	i := 0
	if strings.HasPrefix(text, "-") {
		i++
	}
	whole := digits(text[i:])
	if whole == 0 || whole > 1 && text[i] == '0' {
		return 0
	}
	i += whole
	if strings.HasPrefix(text[i:], ".") {
		n := digits(text[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		sign := 0
		if i+1 < len(text) && (text[i+1] == '+' || text[i+1] == '-') {
			sign = 1
		}
		n := digits(text[i+1+sign:])
		if n == 0 {
			return 0
		}
		i += 1 + sign + n
	}
	return i
}

// digits returns how many digits text begins with.
func digits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}
