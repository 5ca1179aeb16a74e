package cluster_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A natsNode is one server of a cluster.
type natsNode struct {
	Name    string
	Client  int // Ports on loopback.
	Cluster int
	Routes  []string
	Store   string

	process *process
}

const natsSettings = "USHER_CLUSTER_NATS"

// runNATS is a process that is a NATS server.
func runNATS() {
	var n natsNode
	if err := json.Unmarshal([]byte(os.Getenv(natsSettings)), &n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	o := &server.Options{
		ServerName: n.Name, Host: "127.0.0.1", Port: n.Client, JetStream: true, StoreDir: n.Store, SyncAlways: true, NoSigs: true,
		// Clients keep to the addresses that they are given, so that they can be cut off.
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: n.Cluster, NoAdvertise: true},
	}
	for _, r := range n.Routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: r})
	}
	s, err := server.NewServer(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s.ConfigureLogger()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	s.Start()
	for !s.JetStreamIsCurrent() {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("nats is current")
	<-stop
	s.Shutdown()
	s.WaitForShutdown()
}

// A natsCluster is three servers with JetStream.
type natsCluster struct{ nodes []*natsNode }

func startNATS(t *testing.T) *natsCluster {
	t.Helper()
	c := &natsCluster{}
	ports := freePorts(t, 6)
	var routes []string
	for i := range 3 {
		routes = append(routes, net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[3+i])))
	}
	for i := range 3 {
		c.nodes = append(c.nodes, &natsNode{
			Name: fmt.Sprintf("nats%d", i), Client: ports[i], Cluster: ports[3+i], Routes: routes, Store: t.TempDir(),
		})
	}
	for _, n := range c.nodes {
		n.start(t)
	}
	for _, n := range c.nodes {
		n.process.line("nats is current")
	}
	return c
}

// start starts the node, for the first time or again.
func (n *natsNode) start(t *testing.T) {
	t.Helper()
	settings, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=nats", natsSettings+"="+string(settings))
	n.process = start(t, n.Name, cmd)
}

// address is what clients connect to.
func (n *natsNode) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Client)) }

// urls names all nodes, beginning with node first.
func (c *natsCluster) urls(first int) string {
	list := make([]string, 0, len(c.nodes))
	for i := range c.nodes {
		list = append(list, "nats://"+c.nodes[(first+i)%len(c.nodes)].address())
	}
	return strings.Join(list, ",")
}

// freePorts returns ports on which nobody listens.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	var held []net.Listener // Until all are found.
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
