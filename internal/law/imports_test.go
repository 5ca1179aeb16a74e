package law

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// A rule says what a package may import. Packages are named by their folder,
// "." is the root. A name that ends in "/..." means that and all below it.
type rule struct {
	pkg string
	// ours are the packages of this module that it may import.
	ours []string
	// modules are the modules of others that it may import, beside the
	// standard library.
	modules []string
	// never are packages of the standard library that it must not import.
	never []string
}

// law is the import law. This is a statement of policy: change it first, in a
// commit of its own that says why, and then the code. Packages that are
// planned stand here already, so that nobody has to invent where they belong.
//
//	cmd → server → {gateway, issuer, realtime, rest, console, engine} → apps → hub → usher
var law = []rule{
	// The library. Whoever imports it gets these modules and no others. Of ours
	// it needs only what knows nothing of it.
	{pkg: ".", ours: []string{"internal/alarm", "internal/direct", "internal/pump", "internal/within"}, modules: []string{
		"github.com/go-jose/go-jose/v4",
		"github.com/gobwas/ws",
		"golang.org/x/crypto",
	}},
	// Reading without a buffer while nothing comes: for Guard and tunnel.
	{pkg: "internal/pump", ours: []string{"internal/direct"}},
	// TCP connections in few system calls.
	{pkg: "internal/socket", ours: []string{"internal/direct"}},
	// System calls of which the scheduler is not told.
	{pkg: "internal/direct"},
	// Heads of HTTP messages that are plain: no I/O, so that it can be fuzzed beside
	// net/http.
	{pkg: "internal/head", never: []string{"net", "os"}},
	// Many alarms by one timer: for leases, and what else there is one of for each
	// connection.
	{pkg: "internal/alarm"},
	// Contexts with a time, for what mostly waits for nothing.
	{pkg: "internal/within"},
	// For users' tests: it may need what the library needs.
	{pkg: "ushertest", ours: []string{"."}, modules: []string{"github.com/go-jose/go-jose/v4"}},

	// The program. Only cmd knows the command line.
	{
		pkg:     "cmd/usher",
		ours:    []string{".", "internal/server", "internal/config", "internal/demo"},
		modules: []string{"github.com/alecthomas/kong", "github.com/go-jose/go-jose/v4"},
	},
	// The demo shows the gateway as "usher serve" runs it, from a configuration
	// that the page prints: so it is beside cmd in this, and has its own chat and
	// logins with what any user has.
	{
		pkg:     "internal/demo",
		ours:    []string{".", "internal/server", "internal/config"},
		modules: []string{"github.com/coder/websocket", "github.com/gobwas/ws", "github.com/go-jose/go-jose/v4"},
	},

	// The server is where everybody meets; nobody else knows the configuration.
	{pkg: "internal/server", ours: []string{
		".", "internal/ably", "internal/apps", "internal/config", "internal/console", "internal/engine", "internal/gateway", "internal/hub",
		"internal/head", "internal/issuer", "internal/login", "internal/observe", "internal/realtime", "internal/rest", "internal/socket",
	}, modules: []string{
		"github.com/pires/go-proxyproto", "golang.org/x/time", "github.com/maypok86/otter/v2", // The latter two slow down who guesses.
	}},
	{pkg: "internal/config", ours: []string{"."}, modules: []string{"github.com/goccy/go-yaml", "github.com/invopop/jsonschema"}},

	// Gateway and issuer do not know the hub, nor each other.
	{pkg: "internal/gateway", ours: []string{".", "internal/head", "internal/observe", "internal/pump", "internal/socket"}, modules: []string{
		"github.com/gobwas/ws", "github.com/go-jose/go-jose/v4", // The latter signs who it is for the backend.
	}},
	{pkg: "internal/issuer", ours: []string{".", "internal/observe"}, modules: []string{"github.com/go-jose/go-jose/v4"}},
	// Login is a client of other issuers: it is not ours, and knows ours not.
	{pkg: "internal/login", ours: []string{".", "internal/observe"}, modules: []string{
		"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2",
	}},

	// The hub knows no HTTP and no encoding: what goes over a wire is the
	// business of the translators at its edge, which never import each other.
	{pkg: "internal/hub", ours: []string{".", "internal/observe"}, never: []string{"net/http", "net", "encoding/json", "encoding/binary"}},
	{pkg: "internal/hub/hubtest", ours: []string{".", "internal/hub"}, modules: []string{"github.com/google/go-cmp"}},
	{pkg: "internal/realtime", ours: []string{".", "internal/ably", "internal/alarm", "internal/hub", "internal/lexicon", "internal/observe", "internal/within"}, modules: []string{"github.com/gobwas/ws"}},
	{pkg: "internal/rest", ours: []string{".", "internal/ably", "internal/apps", "internal/hub", "internal/lexicon"}},
	// The hub's words and the wire's, one for the other: what both translators
	// have to say the same.
	{pkg: "internal/lexicon", ours: []string{"internal/ably", "internal/hub"}},
	// Who may use the hub, and what its tokens say. Both translators need the
	// answer and must not meet, so it is beside them: realtime asks for it by an
	// interface of its own, which the server fulfills with this.
	{pkg: "internal/apps", ours: []string{".", "internal/ably", "internal/hub"}, modules: []string{
		"github.com/go-jose/go-jose/v4", // Its strict JSON.
	}},
	// The words of the Ably wire: no I/O, so that it can be fuzzed and reused. Both
	// encodings are read value by value, which encoding/json does not offer before
	// it becomes what the second module is.
	{pkg: "internal/ably", modules: []string{
		"github.com/tinylib/msgp", "github.com/go-json-experiment/json",
	}, never: []string{"net", "net/http", "os", "os/exec"}},

	{
		pkg:     "internal/engine",
		ours:    []string{".", "internal/hub", "internal/observe"},
		modules: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"},
	},
	{
		pkg:     "internal/engine/enginetest",
		ours:    []string{".", "ushertest", "internal/hub", "internal/engine"},
		modules: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"}, // A cluster for tests.
	},
	{pkg: "internal/console", ours: []string{".", "internal/hub", "internal/observe"}},
	{pkg: "internal/observe", ours: []string{"."}, modules: []string{"github.com/prometheus/client_golang"}},

	// Tests of the architecture, and programs that only measure or show.
	{pkg: "internal/law"},
	{pkg: "examples/...", ours: []string{"."}, modules: []string{"*"}},
	// The hub is tried with its parts, one of which is broken on purpose.
	{
		pkg:     "test/hub",
		ours:    []string{".", "internal/ably", "internal/engine", "internal/hub", "internal/realtime"},
		modules: []string{"github.com/gobwas/ws"},
	},
	{pkg: "test/...", ours: []string{".", "ushertest", "internal/demo", "internal/gateway", "test/smuggling"}, modules: []string{"*"}},
}

// beneath are modules that those the root imports need in their turn. Whoever
// imports the root has these in go.sum too, so they are part of its price.
var beneath = []string{"github.com/gobwas/httphead", "github.com/gobwas/pool", "golang.org/x/sys"}

// forTests may be imported by the tests of every package.
var forTests = []string{".", "ushertest", "internal/engine/enginetest", "internal/hub/hubtest"}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		r, ok := ruleFor(p.dir())
		if !ok {
			t.Errorf("%s is not in the import law: say there first what it may import", p.dir())
			continue
		}
		for _, imported := range p.Imports {
			if why := r.forbids(imported); why != "" {
				t.Errorf("%s imports %s: %s", p.dir(), imported, why)
			}
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			if ours(imported) && imported != p.ImportPath && !slices.Contains(forTests, dirOf(imported)) && r.forbids(imported) != "" {
				t.Errorf("a test of %s imports %s: %s", p.dir(), imported, r.forbids(imported))
			}
		}
	}
}

// The price of the library is a promise: a module that comes in by way of
// another is counted too.
func TestRootDependencies(t *testing.T) {
	r, _ := ruleFor(".")
	r.modules = append(slices.Clone(r.modules), beneath...)
	for _, p := range packages(t) {
		if p.dir() != "." {
			continue
		}
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, "vendor/") {
				continue // The standard library's own.
			}
			if why := r.forbids(dep); why != "" {
				t.Errorf("the root depends on %s: %s", dep, why)
			}
		}
		return
	}
	t.Error("go list does not know the root package")
}

// A replaced module is one that nobody gets who imports ours.
func TestNoReplace(t *testing.T) {
	for line := range strings.Lines(read(t, "go.mod")) {
		if strings.HasPrefix(strings.TrimSpace(line), "replace") {
			t.Errorf("go.mod has a replace directive: %s", line)
		}
	}
}

// The law must be able to say no.
func TestLawForbids(t *testing.T) {
	tests := []struct {
		name, pkg, imported string
		forbidden           bool
	}{
		{"root and the standard library", ".", "net/http", false},
		{"root and its module", ".", "github.com/go-jose/go-jose/v4/jwt", false},
		{"root and a module that begins alike", ".", "github.com/gobwas/wsx", true},
		{"root and a WebSocket library", ".", "github.com/coder/websocket", true},
		{"root and a package of ours", ".", module + "/internal/observe", true},
		{"gateway and hub", "internal/gateway", module + "/internal/hub", true},
		{"hub and HTTP", "internal/hub", "net/http", true},
		{"realtime and rest", "internal/realtime", module + "/internal/rest", true},
		{"hub and root", "internal/hub", module, false},
		{"a test program and the library", "test/load/fanout", module, false},
		{"anyone and the law", "cmd/usher", module + "/internal/law", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := ruleFor(tt.pkg)
			if !ok {
				t.Fatalf("got no rule for %s", tt.pkg)
			}
			if why := r.forbids(tt.imported); (why != "") != tt.forbidden {
				t.Errorf("got %q, want forbidden %t", why, tt.forbidden)
			}
		})
	}
	if _, ok := ruleFor("internal/util"); ok {
		t.Error("got a rule for a package that is not in the law")
	}
}

func ruleFor(dir string) (rule, bool) {
	for _, r := range law {
		if r.pkg == dir {
			return r, true
		}
		if tree, ok := strings.CutSuffix(r.pkg, "/..."); ok && (dir == tree || strings.HasPrefix(dir, tree+"/")) {
			return r, true
		}
	}
	return rule{}, false
}

// forbids says why importPath may not be imported, or "".
func (r rule) forbids(importPath string) string {
	switch {
	case ours(importPath):
		if dir := dirOf(importPath); dir != r.pkg && !slices.Contains(r.ours, dir) && !r.below(dir) {
			return "the import law does not allow it"
		}
	case external(importPath):
		if !slices.ContainsFunc(r.modules, func(m string) bool { return m == "*" || within(importPath, m) }) {
			return "not one of the modules that the import law names"
		}
	case slices.Contains(r.never, importPath):
		return "the import law forbids it by name"
	}
	return ""
}

// below reports whether dir is in the same tree as a rule that is for a tree.
func (r rule) below(dir string) bool {
	tree, ok := strings.CutSuffix(r.pkg, "/...")
	return ok && within(dir, tree)
}

// within reports whether name is the path tree or one below it.
func within(name, tree string) bool {
	return path.Clean(name) == tree || strings.HasPrefix(name, tree+"/")
}
