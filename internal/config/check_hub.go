package config

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
)

// hubPaths are the paths of the hub, as patterns of a ServeMux.
var hubPaths = []string{
	"/{$}", "/time", "/keys/", "/channels", "/channels/", "/messages", "/presence", "/stats", "/apps", "/apps/", "/comet/", "/push/",
}

// HubOwns reports whether a path, as it was escaped, is one of the hub's.
func HubOwns(escaped string) bool {
	first, _, more := strings.Cut(strings.TrimPrefix(escaped, "/"), "/")
	switch first {
	case "":
		return !more
	case "time", "messages", "presence", "stats":
		return !more
	case "channels", "apps":
		return true
	case "keys", "comet", "push":
		return more
	}
	return false
}

func (k *checker) hub(p path, h *Hub) {
	if h == nil {
		return
	}
	for _, id := range sorted(h.Apps) {
		k.app(p.with("apps", id), id, h.Apps[id])
	}
	for i, o := range h.Origins {
		k.guard(p.with("origins", i), &usher.Guard{Origins: []string{o}})
	}
	k.unique(p.with("origins"), h.Origins)
	if h.Durability != "" && h.Durability != "memory" && k.config.Engine.Memory {
		k.report(p.with("durability"), "an engine in memory keeps nothing; want memory, or another engine")
	}
	if h.Durability == "replicated" && len(k.config.Engine.NATS) == 0 {
		k.report(p.with("durability"), "wants a NATS cluster as the engine")
	}
	k.hubCarriers(p, h)
	for i, r := range k.config.Routes {
		at := path{"routes", i, "path"}
		if r == nil || r.Path == "" || !k.reports.clean(at) || register(patternsOf(r)) != "" {
			continue
		}
		if overlapsHub(r.Path) {
			k.report(at, "overlaps the hub's own paths: /, %s", oneOf(hubNames(), "and"))
		}
	}
}

// hubNames are the hub's paths as people write them.
func hubNames() []string {
	var names []string
	for _, p := range hubPaths[1:] {
		if name := strings.TrimSuffix(p, "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// overlapsHub reports whether a route's pattern would serve one of the hub's
// paths, or the hub one of the route's.
func overlapsHub(pattern string) bool {
	first, _, more := strings.Cut(strings.TrimPrefix(pattern, "/"), "/")
	wild := strings.HasPrefix(first, "{") && first != "{$}"
	return wild || first == "{$}" || pattern == "/" || HubOwns(pattern) || more && HubOwns("/"+first+"/x")
}

// hubCarriers looks at who else opens the hub, and how. It is a route in this.
func (k *checker) hubCarriers(p path, h *Hub) {
	if len(h.Verify)+len(h.Carriers) > 0 && len(h.Apps) > 1 {
		k.report(p.with("verify"), "is for a hub with one app: such a credential names none")
	}
	r := &Route{Path: "/", InsecureAnyOrigin: len(h.Origins) == 0, Carriers: slices.Clone(h.Carriers)}
	told := len(k.reports.found)
	if len(h.Verify) > 0 { // From which a ticket takes its own.
		tokens := &Carrier{Bearer: &Verify{Verify: h.Verify}}
		k.verify(p, tokens, &Route{})
		r.Carriers = append(r.Carriers, tokens)
	}
	again := len(k.reports.found) > told // It would be said again.
	for i, c := range h.Carriers {
		if c != nil && (c.Query != nil || c.Bearer != nil || c.Basic != nil || c.FirstMessage != nil) {
			k.report(p.with("carriers", i), "the hub takes this from the SDKs already; put the verifiers in verify, or want ticket, cookie or subprotocol")
			return
		}
		if c != nil && len(h.Origins) == 0 && (c.Cookie != nil || c.Ticket != nil && c.Ticket.Cookie != "") {
			k.report(p.with("carriers", i), "browsers attach a cookie to what any page starts; want origins beside it")
		}
		if c != nil && c.Ticket != nil && len(c.Ticket.Verify) == 0 && len(deskVerifiers(r)) == 0 {
			k.report(p.with("carriers", i), "who may have a ticket? want verify in it, or hub.verify to take it from")
		}
	}
	if !again {
		k.carriers(p.with("carriers"), r)
	}
}

var isHubID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString

// minKeySecret is how long the secret of an app's key is at least, in bytes.
const minKeySecret = 16

func (k *checker) app(p path, id string, a *App) {
	if !isHubID(id) {
		k.report(p, "no id of an app; want letters, digits, - and _")
	}
	if a == nil {
		return
	}
	for _, id := range sorted(a.Keys) {
		at := p.with("keys", id)
		if !isHubID(id) {
			k.report(at, "no id of a key; want letters, digits, - and _")
		}
		if key := a.Keys[id]; key != nil {
			k.appKey(at, key)
		}
	}
	for _, name := range sorted(a.Namespaces) {
		if !IsNamespace(name) {
			k.report(p.with("namespaces", name), "no namespace; want what stands before the first colon of a channel's name")
		}
	}
}

// IsNamespace reports whether channels can have a name as their namespace.
func IsNamespace(name string) bool { return name != "" && !strings.ContainsAny(name, ":[]*") }

func (k *checker) appKey(p path, key *AppKey) {
	if key.Secret != nil && k.reports.clean(p.with("secret")) {
		if at, value, ok := k.reveal(p.with("secret"), key.Secret); ok && len(value) < minKeySecret {
			k.report(at, "the secret has %d bytes; want at least %d, such as those of: openssl rand -base64 24", len(value), minKeySecret)
		}
	}
	if _, err := key.Permissions(); err != nil {
		k.report(p.with("capability"), "%s", printable(err.Error()))
	}
}

// Permissions are what the key allows.
func (key *AppKey) Permissions() (usher.Permissions, error) {
	capability := key.Capability
	if len(capability) == 0 {
		capability = map[string][]string{"*": {"*"}}
	}
	text, err := json.Marshal(capability)
	if err != nil {
		return usher.Permissions{}, err
	}
	return usher.NewPermissions("", string(text))
}
