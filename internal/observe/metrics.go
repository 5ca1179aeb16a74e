package observe

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/usher-ws/usher"
)

// words are the reasons that a Guard gives, which are the values of the label
// "reason": what a client sends never becomes one.
var words = []string{
	"unauthenticated", "expired", "revoked", "forbidden", "auth_timeout", "too_many", "unavailable", "fault",
	"protocol_error", "draining", "misdirected", "bad_request", "not_implemented", "method_not_allowed", "version",
	"bad_handshake", "origin", "idle", "replaced", "unresponsive",
}

// Metrics counts what Guards and tunnels do. Its labels have values of the
// configuration and of the program only, so that no client can make series.
type Metrics struct {
	// Immutable after NewMetrics.
	registry    *prometheus.Registry
	connections *prometheus.GaugeVec
	verdicts    *prometheus.CounterVec
	took        *prometheus.HistogramVec
	lived       *prometheus.HistogramVec
	bytes       *prometheus.CounterVec
	reloads     *prometheus.CounterVec
	renewals    *prometheus.CounterVec
	revocations *prometheus.CounterVec
	calls       *prometheus.CounterVec
	asked       *prometheus.CounterVec
	reused      prometheus.Counter
	hub         hubMetrics // Set by WatchHub.
	handler     http.Handler
	tallies     sync.Map // Of *tally, by route.
}

// A tally counts for one route what the status of the gateway shows.
type tally struct{ live, admitted, refused atomic.Int64 }

// NewMetrics returns metrics to which, whenever they are asked for, pending adds
// how many sockets of each route wait for a verdict, and engineDown since when
// the engine cannot be reached, zero while it can.
func NewMetrics(pending func() map[string]int, engineDown func() time.Time) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "usher_connections", Help: "Admitted WebSocket connections that are open.",
		}, []string{"route"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_verdicts_total", Help: "Requests that were admitted or refused, by the carrier that decided and the reason.",
		}, []string{"route", "carrier", "verdict", "reason"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_verdict_seconds", Help: "Time from a request to its verdict.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "verdict"}),
		lived: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "usher_connection_seconds", Help: "How long connections lived that have ended.",
			Buckets: []float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}, []string{"route", "reason"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_bytes_total", Help: "Bytes that tunnels carried, in from clients and out to them, counted when a tunnel ends.",
		}, []string{"route", "direction"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_reloads_total", Help: "Configurations that were loaded anew, or refused.",
		}, []string{"result"}),
	}
	m.ofSessions()
	m.ofTokens()
	m.registry.MustRegister(m.connections, m.verdicts, m.took, m.lived, m.bytes, m.reloads,
		m.renewals, m.revocations, m.calls, m.asked, m.reused, pendingCollector{pending}, engineCollector{engineDown},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	return m
}

// Handler serves the metrics in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return m.handler
}

func (m *Metrics) tally(route string) *tally {
	if t, ok := m.tallies.Load(route); ok {
		return t.(*tally)
	}
	t, _ := m.tallies.LoadOrStore(route, new(tally))
	return t.(*tally)
}

// Observe counts what a Guard has done. It is for [usher.Guard.Observe], with a
// Guard whose Route is set: its name is a label.
func (m *Metrics) Observe(_ context.Context, e usher.Event) {
	carrier := e.Carrier
	if carrier == "" {
		carrier = "none"
	}
	switch e.Kind {
	case usher.EventAdmitted:
		m.tally(e.Route).admitted.Add(1)
		m.verdicts.WithLabelValues(e.Route, carrier, "admitted", "").Inc()
		m.took.WithLabelValues(e.Route, "admitted").Observe(e.Took.Seconds())
	case usher.EventRefused:
		m.tally(e.Route).refused.Add(1)
		m.verdicts.WithLabelValues(e.Route, carrier, "refused", word(e.Refusal)).Inc()
		m.took.WithLabelValues(e.Route, "refused").Observe(e.Took.Seconds())
	case usher.EventRenewed:
		m.renewals.WithLabelValues(e.Route).Inc()
	case usher.EventEnded:
		m.lived.WithLabelValues(e.Route, word(e.Refusal)).Observe(e.Took.Seconds())
	}
}

// word returns the reason as a label: that of a connection which its peers
// closed is "closed".
func word(why *usher.Refusal) string {
	switch {
	case why == nil:
		return "closed"
	case !slices.Contains(words, why.Word):
		return "other"
	}
	return why.Word
}

// Connected counts a connection of route as open until done is called.
func (m *Metrics) Connected(route string) (done func()) {
	t := m.tally(route)
	t.live.Add(1)
	gauge := m.connections.WithLabelValues(route)
	gauge.Inc()
	return func() {
		gauge.Dec()
		t.live.Add(-1)
	}
}

// Carried counts the bytes of a connection of route that has ended.
func (m *Metrics) Carried(route string, fromClient, toClient int64) {
	m.bytes.WithLabelValues(route, "in").Add(float64(fromClient))
	m.bytes.WithLabelValues(route, "out").Add(float64(toClient))
}

// Reloaded counts a configuration that was loaded anew, or refused with err.
func (m *Metrics) Reloaded(err error) {
	result := "ok"
	if err != nil {
		result = "refused"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// Counts is what happened on a route since the process began.
type Counts struct {
	// Connections is how many are open.
	Connections int64 `json:"connections"`
	// Admitted and Refused count requests.
	Admitted int64 `json:"admitted"`
	Refused  int64 `json:"refused"`
}

// Counts returns what happened on route.
func (m *Metrics) Counts(route string) Counts {
	t := m.tally(route)
	return Counts{Connections: t.live.Load(), Admitted: t.admitted.Load(), Refused: t.refused.Load()}
}
