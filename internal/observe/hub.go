package observe

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// HubCounts are what the hub has to do on this node.
type HubCounts struct {
	// Connected are the clients that are connected now, and Disconnected the
	// connections that have lost their client and can be resumed.
	Connected    int64 `json:"connected"`
	Disconnected int64 `json:"disconnected"`
	// Channels are those that are in use now.
	Channels int64 `json:"channels"`
	// In are the messages and presence events that clients have published since the
	// process began, and Out those that were written to clients: one for each of
	// them. InBytes and OutBytes are how large they were.
	In       int64 `json:"in"`
	InBytes  int64 `json:"in_bytes"`
	Out      int64 `json:"out"`
	OutBytes int64 `json:"out_bytes"`
}

var (
	hubConnectionsDesc = prometheus.NewDesc("usher_hub_connections",
		"Connections of the hub, by whether their client is connected, or could resume them.", []string{"state"}, nil)
	hubChannelsDesc = prometheus.NewDesc("usher_hub_channels", "Channels of the hub that are in use.", nil, nil)
	hubMessagesDesc = prometheus.NewDesc("usher_hub_messages_total",
		"Messages and presence events, in from clients and out to them.", []string{"direction"}, nil)
	hubBytesDesc = prometheus.NewDesc("usher_hub_bytes_total",
		"Bytes of messages and presence events, in from clients and out to them.", []string{"direction"}, nil)
)

// hubMetrics are counted as things happen; what a hub counts itself is asked for.
type hubMetrics struct {
	stored, lost prometheus.Observer
	refused      *prometheus.CounterVec
}

// WatchHub adds the metrics of a hub, which is asked for its counts whenever they
// are. It is called once at most, before anybody is served.
func (m *Metrics) WatchHub(counts func() HubCounts) {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "usher_hub_append_seconds", Help: "Time until the hub's log has answered for what was published, by result.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"result"})
	m.hub = hubMetrics{
		stored: took.WithLabelValues("ok"), lost: took.WithLabelValues("failed"),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "usher_hub_refusals_total", Help: "Refusals that clients of the hub were told, by the code of Ably's error.",
		}, []string{"code"}),
	}
	m.registry.MustRegister(took, m.hub.refused, hubCollector{counts})
}

// Appended counts what was given to the hub's log, and how long it took to say
// that it has it, or err, that it may not.
func (m *Metrics) Appended(took time.Duration, err error) {
	if err != nil {
		m.hub.lost.Observe(took.Seconds())
		return
	}
	m.hub.stored.Observe(took.Seconds())
}

// HubRefused counts a refusal by its code, which is one of the program's.
func (m *Metrics) HubRefused(code int) { m.hub.refused.WithLabelValues(strconv.Itoa(code)).Inc() }

// A hubCollector asks the hub when it is asked.
type hubCollector struct{ counts func() HubCounts }

func (c hubCollector) Describe(to chan<- *prometheus.Desc) {
	to <- hubConnectionsDesc
	to <- hubChannelsDesc
	to <- hubMessagesDesc
	to <- hubBytesDesc
}

func (c hubCollector) Collect(to chan<- prometheus.Metric) {
	n := c.counts()
	for _, one := range []struct {
		desc   *prometheus.Desc
		kind   prometheus.ValueType
		n      int64
		labels []string
	}{
		{hubConnectionsDesc, prometheus.GaugeValue, n.Connected, []string{"connected"}},
		{hubConnectionsDesc, prometheus.GaugeValue, n.Disconnected, []string{"disconnected"}},
		{hubChannelsDesc, prometheus.GaugeValue, n.Channels, nil},
		{hubMessagesDesc, prometheus.CounterValue, n.In, []string{"in"}},
		{hubMessagesDesc, prometheus.CounterValue, n.Out, []string{"out"}},
		{hubBytesDesc, prometheus.CounterValue, n.InBytes, []string{"in"}},
		{hubBytesDesc, prometheus.CounterValue, n.OutBytes, []string{"out"}},
	} {
		to <- prometheus.MustNewConstMetric(one.desc, one.kind, float64(one.n), one.labels...)
	}
}
