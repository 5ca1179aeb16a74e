package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Systems give out ports by themselves from 32768 on, or from 49152 on. Those of
// FreePorts are below.
const (
	firstPort = 15_000
	lastPort  = 30_000
)

// FreePorts returns ports of loopback that nobody listens at now, for who listens
// there later, or once more. No other test gets one of them meanwhile that leaves
// it to the system which port it has, for a listener or for a connection.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	var held []net.Listener // Until all are found.
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for range 1000 {
		if len(ports) == n {
			return ports
		}
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // Nobody has to guess it.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		held, ports = append(held, l), append(ports, port)
	}
	t.Fatalf("found %d free ports, want %d", len(ports), n)
	return nil
}
