package usher

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// plainAndNot are objects that readPlain reads, and others.
var plainAndNot = []struct {
	text  string
	plain bool
}{
	{`{}`, true},
	{" {\t\"a\" : 1 ,\r\n\"b\":[ ] , \"c\":{ } } ", true},
	{`{"iss":"https://login.example.com","aud":["a","b"],"exp":1700000000,"x":{"y":[true,false,null,-0.5e+7,"~ !#[]{}"]}}`, true},
	{`{"a":0,"b":-0,"c":10,"d":1.0,"e":1e9,"f":1E-9}`, true},
	{`{"a":"` + "\x7f" + `"}`, true},
	{`{"":""}`, true},
	{`{"a":` + strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting-1) + `}`, true},
	{`{"a":` + strings.Repeat("[", 2*maxNesting) + strings.Repeat("]", 2*maxNesting) + `}`, false},
	{`{"a":1,"a":1}`, false},
	{`{"a":{"b":1,"c":2,"b":3}}`, false},
	{`{"a":"\u0061"}`, false},
	{`{"\u0061":1,"a":2}`, false},
	{`{"a":"é"}`, false},
	{"{\"a\":\"\x00\"}", false},
	{"{\"a\":\"\xff\"}", false},
	{`{"a":01}`, false},
	{`{"a":-}`, false},
	{`{"a":1.}`, false},
	{`{"a":.5}`, false},
	{`{"a":1e}`, false},
	{`{"a":1e+}`, false},
	{`{"a":+1}`, false},
	{`{"a":1x}`, false},
	{`{"a":1 2}`, false},
	{`{"a":1,}`, false},
	{`{,"a":1}`, false},
	{`{"a":[1,]}`, false},
	{`{"a":[,1]}`, false},
	{`{"a":[1 2]}`, false},
	{`{"a":[1}`, false},
	{`{"a" 1}`, false},
	{`{"a":}`, false},
	{`{"a"}`, false},
	{`{a:1}`, false},
	{`{"a":tru}`, false},
	{`{"a":truex}`, false},
	{`{"a":nul}`, false},
	{`{"a":1}}`, false},
	{`{"a":1}x`, false},
	{"{\"a\":1}\x00", false},
	{"\u00a0{\"a\":1}", false},
	{`{"a":"b`, false},
	{`{"a`, false},
	{`{`, false},
	{`[{}]`, false},
	{`"a"`, false},
	{`1`, false},
	{`null`, false},
	{``, false},
}

func TestReadPlain(t *testing.T) {
	for _, tt := range plainAndNot {
		if _, ok := readPlain(tt.text); ok != tt.plain {
			t.Errorf("%q: got plain %v, want %v", tt.text, ok, tt.plain)
		}
	}
}

// FuzzPlainJSON: what is read as plain is read by the strict reader, and by the
// standard library, to the same. Private for the reader that has another behind it.
func FuzzPlainJSON(f *testing.F) {
	for _, tt := range plainAndNot {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := readPlain(string(text))
		if !ok {
			return
		}
		want, strict := claimsByReadingOn(text)
		if !strict || !reflect.DeepEqual(Claims(got), want) {
			t.Errorf("%q: got %v, want %v, %v", text, got, want, strict)
		}
		var plain map[string]any
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&plain); err != nil || !reflect.DeepEqual(got, plain) {
			t.Errorf("%q: got %v, the standard library %v, %v", text, got, plain, err)
		}
	})
}
