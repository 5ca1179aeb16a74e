package server

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// probeTime is how long an upstream has to accept a connection, and a key
	// set to be at hand, for the server to be ready.
	probeTime = time.Second
	// probeAge is how long the answer counts: whoever asks more often costs no
	// upstream anything.
	probeAge = 2 * time.Second
)

// A check is one thing that readiness depends on.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// health is the last answer to whether the server is ready.
type health struct {
	mu sync.Mutex
	// Guarded by mu, also while it is found out: all who ask wait for one answer.
	site   *site
	at     time.Time
	checks []check
	ready  bool
}

// readyz answers 200 where clients should be sent here, and 503 where not, with
// what was found.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	draining := s.draining.Load()
	checks, ready := s.health.ask(r.Context(), s.site.Load(), probe{"engine", s.engine.Check})
	answer := struct {
		Status string  `json:"status"`
		Checks []check `json:"checks"`
	}{"ready", append([]check{{Name: "not draining", OK: !draining}}, checks...)}
	status := http.StatusOK
	if draining || !ready {
		answer.Status, status = "unready", http.StatusServiceUnavailable
	}
	writeJSON(w, status, "application/json", answer)
}

// A probe finds out about one check.
type probe struct {
	name string
	ask  func(context.Context) error
}

// ask finds out whether st is ready: whether the engine can be reached, all key
// sets are at hand, and a route has an upstream that can be reached. One route
// whose upstreams are down does not make the others unready.
func (h *health) ask(ctx context.Context, st *site, engine probe) ([]check, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.site == st && time.Since(h.at) < probeAge {
		return h.checks, h.ready
	}
	// Not the context of who asks: the answer is for all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	keys, upstreams := st.probes()
	needed := append([]probe{engine}, keys...)
	checks := settle(ctx, slices.Concat(needed, upstreams))
	h.site, h.at, h.checks = st, time.Now(), checks
	isOK := func(c check) bool { return c.OK }
	all := !slices.ContainsFunc(checks[:len(needed)], func(c check) bool { return !c.OK })
	h.ready = all && (len(upstreams) == 0 || slices.ContainsFunc(checks[len(needed):], isOK))
	return checks, h.ready
}

// probes are what to find out: about the key sets and the hub, and about the
// upstreams.
func (st *site) probes() (keys, upstreams []probe) {
	for _, name := range slices.Sorted(maps.Keys(st.keys)) {
		keys = append(keys, probe{"keys of " + name, func(ctx context.Context) error {
			_, err := st.keys[name].Keys(ctx, "")
			return err
		}})
	}
	if st.hub != nil {
		keys = append(keys, probe{"hub", st.hub.kept.hub.log.Check})
	}
	for _, r := range st.routes {
		for _, u := range r.upstreams {
			upstreams = append(upstreams, probe{"upstream of " + r.name + ": " + u.String(), u.probe})
		}
	}
	return keys, upstreams
}

// settle asks all at once.
func settle(ctx context.Context, probes []probe) []check {
	checks := make([]check, len(probes))
	var asking sync.WaitGroup
	for i, p := range probes {
		asking.Go(func() {
			err := p.ask(ctx)
			checks[i] = check{Name: p.name, OK: err == nil}
			if err != nil {
				checks[i].Detail = err.Error()
			}
		})
	}
	asking.Wait()
	return checks
}

// probe connects to the upstream, and says nothing to it.
func (u upstream) probe(ctx context.Context) error {
	c, err := (&net.Dialer{}).DialContext(ctx, u.Network, u.Address)
	if err != nil {
		return err
	}
	defer c.Close()
	if u.tls == nil {
		return nil
	}
	conf := u.tls.Clone()
	if conf.ServerName, _, err = net.SplitHostPort(u.Address); err != nil {
		return err
	}
	return tls.Client(c, conf).HandshakeContext(ctx)
}
