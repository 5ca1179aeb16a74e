package enginetest

import (
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Cluster is a number of NATS servers with JetStream in this process, which
// listen on loopback and store in directories of the test. Its methods are for
// the test's own goroutine.
type Cluster struct {
	options []*server.Options
	servers []*server.Server
}

// NewCluster starts n servers, and ends them with the test. It returns when
// they have a leader. Change, if not nil, changes each server's options first.
func NewCluster(t *testing.T, n int, change func(*server.Options)) *Cluster {
	t.Helper()
	c := &Cluster{servers: make([]*server.Server, n)}
	ports := FreePorts(t, 2*n)
	var routes []*url.URL
	for i := range n {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[n+i])})
	}
	dir := t.TempDir()
	for i := range n {
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i),
			Host:       "127.0.0.1", Port: ports[i],
			NoSigs:    true,
			JetStream: true, SyncAlways: true,
			StoreDir: filepath.Join(dir, fmt.Sprintf("n%d", i)),
		}
		if n > 1 {
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[n+i]}
			o.Routes = routes
		}
		if change != nil {
			change(o)
		}
		c.options = append(c.options, o)
	}
	for i := range n {
		c.start(t, i)
	}
	t.Cleanup(func() {
		for i := range n {
			c.Stop(i)
		}
	})
	c.await(t)
	return c
}

func (c *Cluster) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(c.options[i].Clone())
	if err != nil {
		t.Fatalf("start NATS server %d: %v", i, err)
	}
	c.servers[i] = s
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatalf("NATS server %d is not ready", i)
	}
}

// await waits for JetStream.
func (c *Cluster) await(t *testing.T) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for ; time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, s := range c.servers {
			if s != nil && (len(c.servers) == 1 || s.JetStreamIsLeader()) {
				return
			}
		}
	}
	t.Fatal("NATS cluster has no leader")
}

// URLs are those of all servers.
func (c *Cluster) URLs() []string {
	var urls []string
	for _, o := range c.options {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return urls
}

// Server is a server as it runs, or nil.
func (c *Cluster) Server(i int) *server.Server { return c.servers[i] }

// Dir is where a server stores.
func (c *Cluster) Dir(i int) string { return c.options[i].StoreDir }

// Leader returns the server that leads a stream, or -1.
func (c *Cluster) Leader(stream string) int {
	for i, s := range c.servers {
		if s != nil && s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	return -1
}

// Stop ends a server, if it runs.
func (c *Cluster) Stop(i int) {
	if s := c.servers[i]; s != nil {
		c.servers[i] = nil
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// Start starts a server that was stopped, with what it has stored.
func (c *Cluster) Start(t *testing.T, i int) {
	t.Helper()
	c.start(t, i)
	c.await(t)
}

// Connect returns a plain connection to the cluster, for what an operator does.
func (c *Cluster) Connect(t *testing.T, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(c.URLs()[0], options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Clear deletes all streams: the cluster loses what it has.
func (c *Cluster) Clear(t *testing.T) {
	t.Helper()
	js, err := jetstream.New(c.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	for name := range js.StreamNames(t.Context()).Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatalf("delete stream %s: %v", name, err)
		}
	}
}
