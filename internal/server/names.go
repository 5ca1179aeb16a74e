package server

import (
	"net"
	"strings"

	"github.com/usher-ws/usher/internal/config"
)

// names are the names that a listener answers to, as [usher.Guard.Hosts] has
// them: with a port, or for any port.
type names map[string]struct{}

// newNames returns nil, which is any name, for an empty list.
func newNames(list []string) names {
	if len(list) == 0 {
		return nil
	}
	n := make(names, len(list))
	for _, name := range list {
		n[strings.ToLower(name)] = struct{}{}
	}
	return n
}

// serves reports whether host, as a request has it, is one of the names.
func (n names) serves(host string) bool {
	if n == nil {
		return true
	}
	host = strings.ToLower(host)
	if _, ok := n[host]; ok {
		return true
	}
	_, ok := n[withoutPort(host)]
	return ok
}

// adminNames are those of loopback, that on which the admin listener listens,
// and those that the operator lists: other names are how a foreign page reaches
// what listens on loopback (DNS rebinding).
func adminNames(c *config.Config) names {
	n := newNames(append([]string{"localhost", "127.0.0.1", "[::1]"}, c.AdminHosts...))
	if host, _, err := net.SplitHostPort(string(c.Admin)); err == nil && host != "" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		n[strings.ToLower(host)] = struct{}{}
	}
	return n
}
