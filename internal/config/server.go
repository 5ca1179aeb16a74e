package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Servers are those of a NATS cluster, each as a URL with scheme, host and port.
type Servers []string

// A server is one of them, while it is read.
type server string

// natsPort is where NATS listens unless told otherwise.
const natsPort = "4222"

var (
	errServer       = errors.New("want NATS servers such as nats://n1, tls://n1:4222 or tls://n1,n2,n3")
	errServerSecret = errors.New("want servers without user name, password and token; a credential goes into a file that engine.credentials names")
)

func readServer(text string) (server, error) {
	// Looked for first: what a password is made of may be no URL.
	if strings.Contains(text, "@") {
		return "", errServerSecret
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || !isHost(u.Hostname()) || strings.HasSuffix(u.Host, ":") {
		return "", errServer
	}
	if u.Opaque != "" || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errServer
	}
	port := u.Port()
	if port == "" {
		port = natsPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errServer
	}
	u.Host = net.JoinHostPort(strings.ToLower(u.Hostname()), port)
	return server(u.String()), nil
}

// isHost reports whether host is a name or an address, and not several with
// something else than commas between them.
func isHost(host string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && strings.Trim(host, letters+".-_") == ""
}

// servers fills a cluster from one text, in which commas part the servers and
// the first one's scheme is that of all that have none, or from a list.
func (d *decoder) servers(n *node, v reflect.Value, p path) {
	items := n.items
	secret := func(n *node) bool { return strings.Contains(n.text, "@") }
	if secret(n) || slices.ContainsFunc(items, secret) {
		n.hide() // All of it: a part of a password may stand in another item.
	}
	switch n.kind {
	case text, raw:
		if secret(n) {
			d.reports.add(n.at, p, "%v", errServerSecret)
			return
		}
		scheme, _, _ := strings.Cut(n.text, "://")
		for part := range strings.SplitSeq(n.text, ",") {
			if part = strings.TrimSpace(part); !strings.Contains(part, "://") {
				part = scheme + "://" + part
			}
			items = append(items, &node{at: n.at, kind: text, text: part})
		}
	case list:
	default:
		d.wrong(n, p, "got %v, %v", n.kind, errServer)
		return
	}
	if len(items) == 0 {
		d.reports.add(n.at, p, "empty; %v", errServer)
		return
	}
	all := make(Servers, 0, len(items))
	for i, item := range items {
		at := p
		if n.kind == list {
			at = p.with(i)
		}
		var one server
		d.decode(item, reflect.ValueOf(&one).Elem(), at)
		all = append(all, string(one))
	}
	v.Set(reflect.ValueOf(all))
}
