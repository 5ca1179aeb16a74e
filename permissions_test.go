package usher_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

func permissions(t testing.TB, scope, capability string) usher.Permissions {
	t.Helper()
	p, err := usher.NewPermissions(scope, capability)
	if err != nil {
		t.Fatalf("NewPermissions(%q, %q): %v", scope, capability, err)
	}
	return p
}

func TestPermissionsText(t *testing.T) {
	tests := []struct {
		name, scope, capability         string
		wantScope, wantCapability, want string // want: what the error says.
	}{
		{name: "nothing"},
		{name: "names", scope: "write read", wantScope: "read write"},
		{name: "a name twice", scope: "read read", wantScope: "read"},
		{name: "names have case", scope: "read Read", wantScope: "Read read"},
		{name: "a URL as a name", scope: "https://api.example/read", wantScope: "https://api.example/read"},
		{name: "two spaces", scope: "read  write", want: "one space"},
		{name: "space before", scope: " read", want: "one space"},
		{name: "space behind", scope: "read ", want: "one space"},
		{name: "a space alone", scope: " ", want: "one space"},
		{name: "a comma is part of a name", scope: "read,write", wantScope: "read,write"},
		{name: "a tab", scope: "read\twrite", want: "is not a name"},
		{name: "a quote", scope: `re"ad`, want: "is not a name"},
		{name: "a backslash", scope: `re\ad`, want: "is not a name"},
		{name: "not ASCII", scope: "läsen", want: "is not a name"},
		{name: "too long", scope: strings.Repeat("a", usher.MaxPermissions+1), want: "at most"},

		{name: "sorted", capability: ` {"b":["subscribe","publish"],"a":["*"]} `, wantCapability: `{"a":["*"],"b":["publish","subscribe"]}`},
		{name: "an operation twice", capability: `{"a":["publish","publish"]}`, wantCapability: `{"a":["publish"]}`},
		{name: "no escapes", capability: `{"a<b>&c":["publish"]}`, wantCapability: `{"a<b>&c":["publish"]}`},
		{name: "empty object", capability: `{}`},
		{name: "null", capability: `null`, want: "not a JSON object"},
		{name: "an array", capability: `[]`, want: "not a JSON object"},
		{name: "a text", capability: `"*"`, want: "not a JSON object"},
		{name: "no JSON", capability: `*`, want: "not a JSON object"},
		{name: "more behind it", capability: `{} {}`, want: "not a JSON object"},
		{name: "a list that is none", capability: `{"a":"publish"}`, want: "not a JSON object"},
		{name: "a number", capability: `{"a":[1]}`, want: "not a JSON object"},
		{name: "deep", capability: strings.Repeat(`{"a":`, 100) + strings.Repeat(`}`, 100), want: "not a JSON object"},
		{name: "a resource twice", capability: `{"a":["publish"],"a":["subscribe"]}`, want: "each resource once"},
		{name: "not UTF-8", capability: "{\"\xff\":[\"publish\"]}", want: "not a JSON object"},
		{name: "no operation", capability: `{"a":[]}`, want: "no operation"},
		{name: "null for a list", capability: `{"a":null}`, want: "no operation"},
		{name: "unknown operation", capability: `{"a":["fly"]}`, want: `"fly" is no operation`},
		{name: "operations have case", capability: `{"a":["Publish"]}`, want: "is no operation"},
		{name: "all and another", capability: `{"a":["*","publish"]}`, want: "has to be alone"},
		{name: "another and all", capability: `{"a":["publish","*"]}`, want: "has to be alone"},
		{name: "all twice", capability: `{"a":["*","*"]}`, want: "has to be alone"},
		{name: "empty resource", capability: `{"":["publish"]}`, want: "empty"},
		{name: "qualifier without an end", capability: `{"[meta":["publish"]}`, want: "malformed"},
		{name: "qualifier alone", capability: `{"[meta]":["publish"]}`, want: "malformed"},
		{name: "empty qualifier", capability: `{"[]a":["publish"]}`, want: "malformed"},
		{name: "qualifier without a name of its own", capability: `{"[=x]a":["publish"]}`, want: "malformed"},
		{name: "control character", capability: `{"a\n":["publish"]}`, want: "control character"},
		{name: "long resource", capability: `{"` + strings.Repeat("a", 1025) + `":["*"]}`, want: "1024"},
		{name: "too large", capability: `{"a":["publish"]}` + strings.Repeat(" ", usher.MaxPermissions), want: "at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := usher.NewPermissions(tt.scope, tt.capability)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !p.IsZero() {
					t.Errorf("got %v and %+v, want nothing and an error with %q", err, p, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Scope() != tt.wantScope || p.Capability() != tt.wantCapability {
				t.Errorf("got %q, %s, want %q, %s", p.Scope(), p.Capability(), tt.wantScope, tt.wantCapability)
			}
			if none := tt.wantScope == "" && tt.wantCapability == ""; p.IsZero() != none {
				t.Errorf("IsZero: got %t, want %t", p.IsZero(), none)
			}
		})
	}
}

func TestPermissionsHasScope(t *testing.T) {
	p := permissions(t, "read write", "")
	for want, names := range map[bool][][]string{
		true:  {{}, {"read"}, {"write", "read"}},
		false: {{"admin"}, {"read", "admin"}, {"Read"}, {"rea"}, {""}, {"read write"}},
	} {
		for _, list := range names {
			if got := p.HasScope(list...); got != want {
				t.Errorf("HasScope(%q): got %t, want %t", list, got, want)
			}
		}
	}
	if (usher.Permissions{}).HasScope("read") {
		t.Error("the zero value has a scope")
	}
}

func TestPermissionsMay(t *testing.T) {
	tests := []struct {
		resource string
		yes, no  []string
	}{
		{"foo", []string{"foo"}, []string{"foo:bar", "fo", "Foo", "[meta]foo", "[*]foo", "*", ""}},
		{"foo:*", []string{"foo:bar", "foo:bar:baz", "foo:*"}, []string{"foo", "fool:bar", "*", "*:bar", "[meta]foo:bar"}},
		{"foo*", []string{"foo*"}, []string{"foo", "foobar", "foo:bar"}},
		{"*:bar", []string{"foo:bar", "*:bar"}, []string{"bar", "foo:bar:baz", "a:b:bar", "foo:*", "*"}},
		{"*:bar:*", []string{"foo:bar:baz", "foo:bar:baz:x"}, []string{"foo:bar", "bar:baz"}},
		{"a:*:c", []string{"a:b:c", "a:*:c"}, []string{"a:b:d", "a:c", "a:b:b:c", "a:*"}},
		{"*", []string{"foo", "foo:bar", "*", "foo:*", "x]y"}, []string{"[meta]log", "[queue]q", "[filter=x]foo", "[*]*", "[meta", "[]foo", "[=x]foo", "[?x=1]foo", ""}},
		{"[*]*", []string{"foo", "[meta]log", "[queue]a:b", "[filter=x]foo", "[*]*", "*"}, []string{"[meta", "[]x", "[meta]"}},
		{"[*]foo", []string{"foo", "[meta]foo"}, []string{"bar", "[meta]bar"}},
		{"[meta]*", []string{"[meta]log", "[meta]a:b", "[meta=x]log"}, []string{"log", "[queue]log", "[metal]log", "[*]*", "*"}},
		{"[meta]log", []string{"[meta]log"}, []string{"log", "[meta]log:push"}},
		{"[filter=x]foo", []string{"[filter=x]foo"}, []string{"foo", "[filter]foo", "[filter=y]foo"}},
	}
	for _, tt := range tests {
		text, err := json.Marshal(map[string][]string{tt.resource: {"publish", "history"}})
		if err != nil {
			t.Fatal(err)
		}
		p := permissions(t, "", string(text))
		for want, names := range map[bool][]string{true: tt.yes, false: tt.no} {
			for _, name := range names {
				if got := p.May("publish", name); got != want {
					t.Errorf("%s: publish to %q: got %t, want %t", text, name, got, want)
				}
				if p.May("subscribe", name) || p.May("*", name) || p.May("", name) || p.May("fly", name) {
					t.Errorf("%s: may do more on %q than it says", text, name)
				}
			}
		}
	}
	all := permissions(t, "", `{"foo":["*"],"*":["history"]}`)
	if !all.May("stats", "foo") || !all.May("history", "bar") || all.May("stats", "bar") || all.May("*", "foo") || all.May("fly", "foo") {
		t.Error("all operations on foo, and history anywhere, are not what they say")
	}
	if (usher.Permissions{}).May("publish", "foo") {
		t.Error("the zero value allows something")
	}
}

func TestPermissionsIntersect(t *testing.T) {
	tests := []struct{ name, a, b, want string }{
		{"a list and all", `{"channel2":["publish","subscribe"]}`, `{"channel2":["*"]}`, `{"channel2":["publish","subscribe"]}`},
		{"all and a list", `{"channel6":["*"]}`, `{"channel6":["publish","subscribe"]}`, `{"channel6":["publish","subscribe"]}`},
		{"all and all", `{"a":["*"]}`, `{"a":["*"]}`, `{"a":["*"]}`},
		{"everything covers", `{"*":["subscribe"]}`, `{"cansubscribe:*":["subscribe"]}`, `{"cansubscribe:*":["subscribe"]}`},
		{"a tree covers a name", `{"cansubscribe:*":["subscribe"]}`, `{"cansubscribe:check":["subscribe"]}`, `{"cansubscribe:check":["subscribe"]}`},
		{"a tree covers itself", `{"cansubscribe:*":["subscribe"]}`, `{"cansubscribe:*":["subscribe"]}`, `{"cansubscribe:*":["subscribe"]}`},
		{"no operation in both", `{"a":["subscribe"]}`, `{"a":["publish"]}`, ``},
		{"no resource in both", `{"a":["*"]}`, `{"b":["*"]}`, ``},
		{"one of several", `{"a":["*"],"b":["*"]}`, `{"b":["publish"],"c":["*"]}`, `{"b":["publish"]}`},
		{"two ways to one resource", `{"a":["publish"],"*":["subscribe"]}`, `{"a":["*"]}`, `{"a":["publish","subscribe"]}`},
		{"all by one of two ways", `{"a":["*"],"*":["subscribe"]}`, `{"a":["*"]}`, `{"a":["*"]}`},
		{"a tree does not cover its root", `{"foo:*":["*"]}`, `{"foo":["*"]}`, ``},
		{"overlap is nothing", `{"a:*":["*"]}`, `{"*:b":["*"]}`, ``},
		{"ordinary does not cover qualified", `{"*":["*"]}`, `{"[meta]log":["subscribe"]}`, ``},
		{"all names cover qualified", `{"[*]*":["*"]}`, `{"[meta]log":["subscribe"],"a":["publish"]}`, `{"[meta]log":["subscribe"],"a":["publish"]}`},
		{"all names and ordinary", `{"[*]*":["*"]}`, `{"*":["history"]}`, `{"*":["history"]}`},
		{"nothing", ``, `{"*":["*"]}`, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := permissions(t, "", tt.a), permissions(t, "", tt.b)
			if got := a.Intersect(b).Capability(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := b.Intersect(a).Capability(); got != tt.want {
				t.Errorf("the other way: got %s, want %s", got, tt.want)
			}
		})
	}
	if got := permissions(t, "a b c", "").Intersect(permissions(t, "c b d", "")).Scope(); got != "b c" {
		t.Errorf("scope: got %q, want %q", got, "b c")
	}
}

// someOperations are enough for the properties.
var someOperations = []string{"publish", "subscribe", "history"}

// randomPermissions are made of few words, so that they often overlap.
func randomPermissions(t testing.TB, rnd *rand.Rand) usher.Permissions {
	t.Helper()
	capability := make(map[string][]string)
	for range rnd.IntN(5) {
		ops := []string{"*"}
		if rnd.IntN(3) > 0 {
			ops = someOperations[:1+rnd.IntN(len(someOperations))]
		}
		capability[randomResource(rnd, "*", "a", "b")] = ops
	}
	text, err := json.Marshal(capability)
	if err != nil {
		t.Fatal(err)
	}
	return permissions(t, strings.Join([]string{"x", "y", "z"}[:rnd.IntN(4)], " "), string(text))
}

func randomResource(rnd *rand.Rand, words ...string) string {
	segments := make([]string, 1+rnd.IntN(3))
	for i := range segments {
		segments[i] = words[rnd.IntN(len(words))]
	}
	qualifiers := []string{"", "", "[meta]", "[filter]", "[filter=q]", "[*]"}
	return qualifiers[rnd.IntN(len(qualifiers))] + strings.Join(segments, ":")
}

// The intersection is the same either way, of one with itself is that one, and
// allows nothing that one of the two does not.
func TestPermissionsIntersectProperties(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	allowed := 0
	for range 5000 {
		a, b := randomPermissions(t, rnd), randomPermissions(t, rnd)
		both := a.Intersect(b)
		what := fmt.Sprintf("%s ∩ %s = %s", a.Capability(), b.Capability(), both.Capability())
		if other := b.Intersect(a); both.Capability() != other.Capability() || both.Scope() != other.Scope() {
			t.Fatalf("%s, and the other way %s", what, other.Capability())
		}
		if self := a.Intersect(a); self.Capability() != a.Capability() || self.Scope() != a.Scope() {
			t.Fatalf("%s with itself is %s", a.Capability(), self.Capability())
		}
		if again := both.Intersect(a); again.Capability() != both.Capability() {
			t.Fatalf("%s, and that with the first is %s", what, again.Capability())
		}
		for range 20 {
			name, op := randomResource(rnd, "a", "b", "c"), someOperations[rnd.IntN(3)]
			if !both.May(op, name) {
				continue
			}
			allowed++
			if !a.May(op, name) || !b.May(op, name) {
				t.Fatalf("%s allows %s on %s", what, op, name)
			}
		}
		for _, name := range strings.Fields(both.Scope()) {
			if !a.HasScope(name) || !b.HasScope(name) {
				t.Fatalf("%q ∩ %q has %q", a.Scope(), b.Scope(), name)
			}
		}
	}
	if allowed < 1000 {
		t.Errorf("only %d of the questions were answered with yes: the property shows little", allowed)
	}
}

// What covers another allows at least as much: May of a resource with wildcards
// says so of every name that it stands for.
func TestPermissionsMayProperty(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	met := 0
	for range 50000 {
		wide, narrow := randomResource(rnd, "*", "a", "b"), randomResource(rnd, "*", "a", "b")
		name := randomResource(rnd, "a", "b")
		if !strings.Contains(name, "[*]") && publishTo(t, wide).May("publish", narrow) && publishTo(t, narrow).May("publish", name) {
			if met++; !publishTo(t, wide).May("publish", name) {
				t.Fatalf("%s covers %s, which covers %s, which the first does not", wide, narrow, name)
			}
		}
	}
	if met < 100 {
		t.Errorf("only %d triples met: the property shows little", met)
	}
}

func publishTo(t *testing.T, resource string) usher.Permissions {
	return permissions(t, "", fmt.Sprintf(`{%q:["publish"]}`, resource))
}

func TestIdentityPermissions(t *testing.T) {
	object := map[string]any{"chat:*": []any{"publish"}}
	tests := []struct {
		name      string
		claims    usher.Claims
		wantScope string
		want      string // The capability, or what the error says.
		bad       bool
	}{
		{name: "none", claims: nil},
		{name: "scope", claims: usher.Claims{"scope": "b a"}, wantScope: "a b"},
		{name: "scope as an array", claims: usher.Claims{"scope": []any{"b", "a"}}, wantScope: "a b"},
		{name: "scope of Go", claims: usher.Claims{"scope": []string{"b", "a"}}, wantScope: "a b"},
		{name: "scp as an array", claims: usher.Claims{"scp": []any{"b", "a"}}, wantScope: "a b"},
		{name: "scp", claims: usher.Claims{"scp": "b a"}, wantScope: "a b"},
		{name: "scope before scp", claims: usher.Claims{"scope": "a", "scp": []any{"b"}}, wantScope: "a"},
		{name: "empty scope before scp", claims: usher.Claims{"scope": "", "scp": []any{"b"}}},
		{name: "a number", claims: usher.Claims{"scope": json.Number("1")}, bad: true, want: "scope"},
		{name: "a number in an array", claims: usher.Claims{"scp": []any{"a", json.Number("1")}}, bad: true, want: "is not a name"},
		{name: "a space in a name", claims: usher.Claims{"scp": []any{"a b"}}, bad: true, want: "is not a name"},
		{name: "an object", claims: usher.Claims{"capability": object}, want: `{"chat:*":["publish"]}`},
		{name: "an object of Go", claims: usher.Claims{"capability": map[string][]string{"a": {"*"}}}, want: `{"a":["*"]}`},
		{name: "JSON", claims: usher.Claims{"capability": `{"a":["*"]}`}, want: `{"a":["*"]}`},
		{name: "malformed", claims: usher.Claims{"scope": "a", "capability": `{"a":["fly"]}`}, bad: true, want: "fly"},
		{name: "not JSON", claims: usher.Claims{"capability": func() {}}, bad: true, want: "not JSON"},
		{name: "an array for an object", claims: usher.Claims{"capability": []any{"a"}}, bad: true, want: "not a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := (&usher.Identity{Subject: "alice", Claims: tt.claims}).Permissions()
			if tt.bad {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !p.IsZero() {
					t.Errorf("got %v, want nothing and an error with %q", err, tt.want)
				}
				return
			}
			if err != nil || p.Scope() != tt.wantScope || p.Capability() != tt.want {
				t.Errorf("got %q, %s, %v, want %q, %s", p.Scope(), p.Capability(), err, tt.wantScope, tt.want)
			}
		})
	}
}

// Asking costs no memory, with many grants neither.
func TestPermissionsAllocations(t *testing.T) {
	lists := make(map[string][]string)
	for i := range 200 {
		lists[fmt.Sprintf("room:%d", i)] = []string{"publish"}
	}
	lists["news:*"] = []string{"subscribe"}
	text, err := json.Marshal(lists)
	if err != nil {
		t.Fatal(err)
	}
	p := permissions(t, "read write", string(text))
	got := testing.AllocsPerRun(100, func() {
		if !p.May("publish", "room:150") || !p.May("subscribe", "news:uk:london") || p.May("publish", "other") || !p.HasScope("read") {
			t.Error("wrong answer")
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkPermissionsMay(b *testing.B) {
	p := permissions(b, "", `{"room:1":["publish"],"room:2":["publish"],"news:*":["subscribe"],"*:presence":["presence"]}`)
	b.ReportAllocs()
	for b.Loop() {
		if !p.May("subscribe", "news:uk:london") {
			b.Fatal("may not")
		}
	}
}

// FuzzPermissions holds that what is read can be written and read again as the
// same, and that an intersection with itself changes nothing.
func FuzzPermissions(f *testing.F) {
	for _, seed := range []string{
		`{"a":["publish","subscribe"],"b:*":["*"]}`, `{"[meta]log":["history"]}`, `{"[*]*":["*"]}`, `{"*:a:*":["stats"]}`,
		`{"[filter=x]a":["subscribe"],"[filter]*":["publish"]}`, `{"a":[]}`, `{"a":["*","publish"]}`, `{"[":["*"]}`, `null`, ``,
	} {
		f.Add("read write", seed, "a:b")
	}
	f.Fuzz(func(t *testing.T, scope, capability, name string) {
		p, err := usher.NewPermissions(scope, capability)
		if err != nil {
			return
		}
		q, err := usher.NewPermissions(p.Scope(), p.Capability())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if q.Scope() != p.Scope() || q.Capability() != p.Capability() {
			t.Fatalf("got %q, %s, want %q, %s", q.Scope(), q.Capability(), p.Scope(), p.Capability())
		}
		if r := p.Intersect(q); r.Scope() != p.Scope() || r.Capability() != p.Capability() {
			t.Fatalf("with itself: got %q, %s, want %q, %s", r.Scope(), r.Capability(), p.Scope(), p.Capability())
		}
		for _, op := range slices.Concat(someOperations, []string{"*", ""}) {
			if p.May(op, name) != q.May(op, name) {
				t.Fatalf("%s on %q: not the same once written and read", op, name)
			}
		}
	})
}
