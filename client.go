package usher

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Client returns the address of the client that sent r, and the scheme that it
// used, "http" or "https": its own word, or that of the TrustedProxies. The
// address is invalid where there is none, as on a Unix socket.
func (g *Guard) Client(r *http.Request) (addr netip.Addr, scheme string) {
	return g.compile().proxies.clientOf(r)
}

// proxies are the networks whose word about a client is believed.
type proxies []netip.Prefix

// clientOf returns the client's address and the scheme it used. What proxies
// say is believed from trusted ones only, from the nearest one backwards.
func (p proxies) clientOf(r *http.Request) (netip.Addr, string) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	addr := remoteAddr(r.RemoteAddr)
	if !p.trusts(addr) {
		return addr, scheme
	}
	if protos := r.Header["X-Forwarded-Proto"]; len(protos) > 0 {
		last := lastItem(protos)
		if last != "http" && last != "https" {
			last = "unknown" // Equal to no origin's scheme.
		}
		scheme = last
	}
	hops := r.Header["X-Forwarded-For"]
	for i := len(hops) - 1; i >= 0; i-- {
		items := strings.Split(hops[i], ",")
		for j := len(items) - 1; j >= 0; j-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(items[j]))
			if err != nil {
				return addr, scheme
			}
			if addr = hop; !p.trusts(addr) {
				return addr, scheme
			}
		}
	}
	return addr, scheme
}

func (p proxies) trusts(addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(addr) })
}

func remoteAddr(hostport string) netip.Addr {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}

func lastItem(values []string) string {
	last := values[len(values)-1]
	if i := strings.LastIndexByte(last, ','); i >= 0 {
		last = last[i+1:]
	}
	return strings.ToLower(strings.TrimSpace(last))
}

// clientNetwork is what counts as one client: an IPv4 address, or the 64-bit
// network of an IPv6 address, since whoever has one address there has them all.
func clientNetwork(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // No address, as on a Unix socket: all are one.
	}
	return p
}
