package server

import (
	"net/http"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/observe"
)

// recent is how many refusals the status shows.
const recent = 50

// admin serves the admin listener: what an operator and his programs may see and
// change. It answers to its own names only, and pages of other sites not at all.
func (s *Server) admin(w http.ResponseWriter, r *http.Request) {
	boundBody(w, r)
	st := s.site.Load()
	if !st.admin.serves(r.Host) {
		writeProblem(w, http.StatusMisdirectedRequest, "this name is not served here")
		return
	}
	if strings.HasPrefix(r.URL.Path, ownPrefix) && isForeign(r) {
		writeProblem(w, http.StatusForbidden, "this is not for pages of other sites")
		return
	}
	if c, ok := st.api.find(r.URL.Path); ok {
		st.api.admin(w, r, c)
		return
	}
	var show http.HandlerFunc
	switch path := r.URL.Path; {
	case path == "/healthz":
		show = func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, "application/json", map[string]string{"status": "alive"})
		}
	case path == "/readyz":
		show = s.readyz
	case path == "/metrics":
		show = s.metrics.Handler().ServeHTTP
	case path == ownPrefix+"status":
		// Its newest refusals say of each what explain does.
		st.api.admin(w, r, call{permission: engine.MayExplain, methods: map[string]operation{http.MethodGet: s.showStatus}})
		return
	case path == jwksPath && st.own[jwksPath] != nil:
		show = st.own[jwksPath].ServeHTTP
	case st.own[path] != nil: // Of pages and their users.
		writeProblem(w, http.StatusNotFound, "this is on the public listener")
		return
	default:
		writeProblem(w, http.StatusNotFound, "")
		return
	}
	if onlyGet(w, r) {
		show(w, r)
	}
}

func (s *Server) showStatus(http.ResponseWriter, *http.Request, call, caller) (answer, error) {
	return answer{http.StatusOK, s.status()}, nil
}

// A status is the gateway at a glance.
type status struct {
	Started     time.Time             `json:"started"`
	Draining    bool                  `json:"draining"`
	Connections int                   `json:"connections"`
	Reload      *reloadStatus         `json:"reload,omitempty"`
	Engine      engineStatus          `json:"engine"`
	Hub         *observe.HubCounts    `json:"hub,omitempty"`
	Routes      []routeStatus         `json:"routes"`
	Recent      []observe.Explanation `json:"recent"`
}

type reloadStatus struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

type engineStatus struct {
	Kind string    `json:"kind"`
	Down time.Time `json:"down_since,omitzero"`
}

type routeStatus struct {
	Route     string           `json:"route"`
	Hosts     []string         `json:"hosts,omitempty"`
	Carriers  []string         `json:"carriers"`
	Upstreams []upstreamStatus `json:"upstreams"`
	Pending   int              `json:"pending"`
	observe.Counts
}

type upstreamStatus struct {
	URL   string `json:"url"`
	Error string `json:"last_error,omitempty"`
}

func (s *Server) status() status {
	st := s.site.Load()
	now := status{
		Started: s.started.UTC(), Draining: s.draining.Load(), Connections: s.sessions.Len(),
		Engine: engineStatus{s.engine.Kind(), s.engine.Down()},
		Routes: make([]routeStatus, 0, len(st.routes)), Recent: s.explanations.Newest(recent),
	}
	if last := s.reloaded.Load(); last != nil {
		now.Reload = &reloadStatus{At: last.at.UTC()}
		if last.err != nil {
			now.Reload.Error = observe.Redact(last.err.Error())
		}
	}
	if s.hub != nil {
		counts := s.hub.counts()
		now.Hub = &counts
	}
	for _, r := range st.routes {
		one := routeStatus{
			Route: r.name, Hosts: r.config.Hosts, Carriers: r.carriers(), Pending: r.guard.Pending(),
			Counts: s.metrics.Counts(r.name),
		}
		health := r.pool.Health()
		for _, u := range r.upstreams {
			about := upstreamStatus{URL: u.String()}
			if err := health[u.String()]; err != nil {
				about.Error = err.Error()
			}
			one.Upstreams = append(one.Upstreams, about)
		}
		now.Routes = append(now.Routes, one)
	}
	return now
}

// carriers are the names of the route's, in order.
func (r *route) carriers() []string {
	list := make([]string, 0, len(r.config.Carriers))
	for _, c := range r.config.Carriers {
		list = append(list, c.Name())
	}
	return list
}

// addresses are the route's upstreams, as they are written.
func (r *route) addresses() []string {
	list := make([]string, 0, len(r.upstreams))
	for _, u := range r.upstreams {
		list = append(list, u.String())
	}
	return list
}
