//go:build linux

package main

import (
	"context"
	"math"
	"regexp"
	"slices"
)

// A row is one thing that is measured, with all servers that do it.
type row struct {
	name, title string
	columns     []column
	// costs are the columns that ours are compared with the others' by: less is
	// better, but of a rate.
	costs      []string
	contenders []contender
	measure    func(ctx context.Context, b *bench, c contender, r *running) (sample, error)
}

// A column is a figure of a sample.
type column struct{ key, title string }

// A sample is what one contender did in one round.
type sample map[string]float64

// value returns a figure, or NaN if the sample has none.
func (s sample) value(key string) float64 {
	if v, ok := s[key]; ok {
		return v
	}
	return math.NaN()
}

var (
	operations = []column{
		{"cpu", "CPU µs"},
		{"rate", "per second"},
		{"p50", "p50 µs"},
		{"p99", "p99 µs"},
		{"client", "client's CPU µs"},
	}
	idling = []column{{"user", "user KB"}, {"kernel", "kernel KB, all ends"}, {"sockets", "of it sockets KB"}, {"connections", "connections"}}
	flow   = []column{{"cpu", "CPU µs per MB"}, {"rate", "MB per second"}, {"client", "client's CPU µs per MB"}}
	ending = []column{{"last", "last Close, ms"}, {"p50", "half, µs"}, {"cpu", "CPU µs each"}, {"connections", "connections"}, {"client", "client's CPU µs"}}
)

// selected returns the rows whose names match, with the contenders whose names
// do.
func selected(all []row, names, contenders *regexp.Regexp) []row {
	var list []row
	for _, r := range all {
		if !names.MatchString(r.name) {
			continue
		}
		r.contenders = slices.DeleteFunc(slices.Clone(r.contenders), func(c contender) bool { return !contenders.MatchString(c.name) })
		if len(r.contenders) > 0 {
			list = append(list, r)
		}
	}
	return list
}

// rows are all that is measured, in the order of the table.
func rows(b *bench) []row {
	var list []row
	for _, carrier := range []string{"subprotocol", "ticket", "first_message", "cookie", "query", "bearer", "basic"} {
		list = append(list, connectRow("connect/"+carrier, "Connect by "+carrier+proof(carrier), "gobwas", carrier, "HS256"))
	}
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		list = append(list, connectRow("connect/"+algorithm, "Connect by subprotocol, "+algorithm, "gobwas", "subprotocol", algorithm))
	}
	for _, library := range []string{"gorilla", "coder"} {
		list = append(list, connectRow("connect/"+library, "Connect by subprotocol, HS256, in front of "+library, library, "subprotocol", "HS256"))
	}
	reconnect := connectRow("reconnect", "Reconnect with an ES256 token seen before", "gobwas", "subprotocol", "ES256")
	reconnect.measure = measureReconnect
	list = append(list, reconnect)
	list = append(list, gatewayRows(b)...)
	list = append(list, hubRows()...)
	return append(list, otherRows()...)
}

// proof says what the credential of a carrier is.
func proof(carrier string) string {
	switch carrier {
	case "ticket":
		return ""
	case "basic":
		return ", without a hash"
	}
	return ", HS256"
}

// connectRow is a Guard in front of a library, beside the same without: with a
// check in the handler, and with none.
func connectRow(name, title, library, carrier, algorithm string) row {
	list := []contender{
		handlers("Guard + "+library, "guard", library, carrier, algorithm),
		handlers(library+" + check", "check", library, carrier, algorithm),
		handlers(library+", no check", "bare", library, carrier, algorithm),
	}
	if carrier == "first_message" {
		list[2].carrier = "none" // Nobody answers its message.
	}
	return row{name: name, title: title, columns: operations, costs: []string{"cpu"}, contenders: list, measure: measureConnect}
}

func gatewayRows(b *bench) []row {
	direct := handlers("gobwas, no proxy, no check", "bare", "gobwas", "bearer", "HS256")
	tunnels := []contender{gateway.contender(), nginx.contender(), haproxy.contender(), caddy.contender(), reverseProxy(), direct}
	connects := append([]contender{gateway.contender(), nginxAuth.contender()}, tunnels[1:]...)
	memory := []string{"user", "kernel"}
	var list []row
	for _, library := range []string{"gobwas", "gorilla", "coder"} {
		list = append(list, row{
			"memory/" + library, "Memory of an idle connection, " + library, idling, memory, []contender{
				handlers("Guard + "+library, "guard", library, "bearer", "HS256"),
				handlers(library+" + check", "check", library, "bearer", "HS256"),
			}, measureMemory,
		})
	}
	return append(list, []row{
		{"gateway/connect", "Gateway: authenticated connect, HS256 (others without authentication unless they say so)", operations, []string{"cpu"}, connects, measureConnect},
		{"memory/gateway", "Memory of an idle connection, gateway", idling, memory, tunnels[:4], measureMemory},
		{"memory/talked", "Memory of a connection that idles after one message, gateway", idling, memory, tunnels[:4], measureTalked},
		{"gateway/128B", "Gateway: round trip of 128 bytes", operations, []string{"cpu"}, tunnels, measureEcho(128, b.exchanges)},
		{"gateway/16KiB", "Gateway: round trip of 16 KiB", operations, []string{"cpu"}, tunnels, measureEcho(16<<10, (b.exchanges+3)/4)},
		{"gateway/stream", "Gateway: streaming both ways, frames of 16 KiB", flow, []string{"cpu"}, tunnels, measureStream},
	}...)
}

func otherRows() []row {
	guards := []contender{
		handlers("Guard + gobwas", "guard", "gobwas", "bearer", "HS256"),
		handlers("Guard + gorilla", "guard", "gorilla", "bearer", "HS256"),
		handlers("Guard + coder", "guard", "coder", "bearer", "HS256"),
	}
	churning := []contender{
		gateway.contender(), nginxAuth.contender(), nginx.contender(), haproxy.contender(), caddy.contender(),
	}
	return []row{
		{"tickets", "Ticket: make and redeem", operations, []string{"cpu"}, []contender{
			ticketsInProcess(), redisTickets("Redis: SET NX, GETDEL, one client", 1), redisTickets("Redis, 16 clients", talking),
		}, measureTickets},
		{"revocation", "Revocation of all connections of one subject", ending, nil, guards, measureRevocation},
		{"churn/library", "Churn: connect and close, library", operations, []string{"cpu"}, []contender{
			guards[0], handlers("gobwas + check", "check", "gobwas", "bearer", "HS256"),
		}, measureChurn},
		{"churn/gateway", "Churn: connect and close, gateway", operations, []string{"cpu"}, churning, measureChurn},
	}
}
