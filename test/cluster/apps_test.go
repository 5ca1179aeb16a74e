package cluster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// apps calls the admin API about apps, and decodes an answer of success into to. It
// may be called by many goroutines.
func (g *gateway) apps(method, path, body string, to any) (status int, err error) {
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.admin+"/usher/v1/apps"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := httpClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && to != nil && res.StatusCode < 300 {
		err = json.Unmarshal(text, to)
	}
	return res.StatusCode, err
}

// takes reports whether the hub of a node takes a key.
func (g *gateway) takes(key string) bool {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.public+"/stats?key="+key, http.NoBody)
	if err != nil {
		g.t.Fatal(err)
	}
	res, err := httpClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// TestAppsOverGateways: an app that one node makes is there at all of them; a key that
// another removes, or whose app it does, ends its sockets everywhere within a second,
// and lets nobody in any more.
func TestAppsOverGateways(t *testing.T) {
	const rounds, each = 30, 2
	nats := startNATS(t)
	nodes := startHubs(t, nats)
	var took []time.Duration
	for n := range rounds {
		app := fmt.Sprintf("app%d", n)
		if status, err := nodes[n%3].apps("POST", "", `{"id":"`+app+`"}`, nil); err != nil || status != http.StatusCreated {
			t.Fatalf("make %s: got %d and %v", app, status, err)
		}
		// At another node, which need not have heard of the app.
		key := makeAppKey(t, nodes[(n+1)%3], app)
		var clients []*hubClient
		for _, g := range nodes {
			eventually(t, patience, "the key is known at "+g.process.name, func() bool { return g.takes(key) })
			for range each {
				c := g.hub("key=" + key)
				c.next() // It is connected.
				clients = append(clients, c)
			}
		}
		gone := "/" + app
		if n%2 == 0 {
			name, _, _ := strings.Cut(key, ":")
			gone += "/keys/" + strings.TrimPrefix(name, app+".")
		}
		begun := time.Now()
		if status, err := nodes[(n+2)%3].apps("DELETE", gone, "", nil); err != nil || status != http.StatusNoContent {
			t.Fatalf("remove %s: got %d and %v", gone, status, err)
		}
		for _, c := range clients {
			if w := c.next(); w.Action != wordDisconnected || w.Error.Code != 40141 {
				t.Errorf("%s: got %+v, want disconnected and 40141", gone, w)
			}
			took = append(took, time.Since(begun))
		}
		for _, g := range nodes {
			if g.takes(key) {
				t.Errorf("%s: its key is taken at %s after it was removed", gone, g.process.name)
			}
		}
	}
	slices.Sort(took)
	t.Logf("%d sockets of %d keys on three nodes ended: p50 %v, p99 %v, last %v",
		len(took), rounds, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if last := took[len(took)-1]; last >= time.Second {
		t.Errorf("got the last end after %v, want under 1s", last)
	}
}

func startHubs(t *testing.T, nats *natsCluster) (nodes []*gateway) {
	t.Helper()
	for i := range 3 {
		nodes = append(nodes, startHub(t, fmt.Sprintf("hub%d", i), nats.urls(i)))
	}
	return nodes
}

// makeAppKey makes a key of an app that is known, and returns its text.
func makeAppKey(t *testing.T, g *gateway, app string) string {
	t.Helper()
	var key struct{ Key string }
	if status, err := g.apps("POST", "/"+app+"/keys", `{}`, &key); err != nil || status != http.StatusCreated || key.Key == "" {
		t.Fatalf("key of %s: got %d and %v", app, status, err)
	}
	return key.Key
}

// TestAppsWhileServerDies: while a server of the engine dies, and comes back, a change
// is either done or answered 503; what was said to be done holds on all nodes.
func TestAppsWhileServerDies(t *testing.T) {
	nats := startNATS(t)
	nodes := startHubs(t, nats)
	var mu sync.Mutex
	said := make(map[int]int)
	var made []string
	stop := make(chan struct{})
	var working sync.WaitGroup
	for i, g := range nodes {
		working.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				id := fmt.Sprintf("n%d-%d", i, n)
				status, err := g.apps("POST", "", `{"id":"`+id+`"}`, nil)
				if err != nil {
					t.Errorf("make %s: %v", id, err)
				}
				mu.Lock()
				said[status]++
				if status == http.StatusCreated {
					made = append(made, id)
				}
				mu.Unlock()
			}
		})
	}
	for _, n := range nats.nodes[:2] { // One after the other: one of them may have led.
		time.Sleep(time.Second)
		n.process.stop()
		time.Sleep(3 * time.Second)
		n.start(t)
		n.process.line("nats is current")
	}
	time.Sleep(2 * time.Second)
	close(stop)
	working.Wait()
	t.Logf("answers by status: %v", said)
	if len(made) < 50 || said[http.StatusCreated]+said[http.StatusServiceUnavailable] != sum(said) {
		t.Errorf("got %v, want 201 and 503 alone, and 50 apps at least", said)
	}
	for _, g := range nodes {
		eventually(t, patience, "all that was made is known at "+g.process.name, func() bool {
			var list struct{ Apps []struct{ ID string } }
			status, err := g.apps("GET", "?limit=1000", "", &list)
			known := make(map[string]bool)
			for _, a := range list.Apps {
				known[a.ID] = true
			}
			return err == nil && status == http.StatusOK && !slices.ContainsFunc(made, func(id string) bool { return !known[id] })
		})
	}
}

func sum(counts map[int]int) (n int) {
	for _, one := range counts {
		n += one
	}
	return n
}
