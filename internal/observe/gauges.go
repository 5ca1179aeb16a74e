package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	pendingDesc = prometheus.NewDesc("usher_pending",
		"Sockets that wait for a verdict or for their goodbye.", []string{"route"}, nil)
	engineUpDesc   = prometheus.NewDesc("usher_engine_up", "Whether the engine can be reached: 1 or 0.", nil, nil)
	engineDownDesc = prometheus.NewDesc("usher_engine_down_seconds",
		"For how long the engine cannot be reached; 0 while it can.", nil, nil)
)

// A pendingCollector asks when it is asked.
type pendingCollector struct{ pending func() map[string]int }

func (c pendingCollector) Describe(to chan<- *prometheus.Desc) { to <- pendingDesc }

func (c pendingCollector) Collect(to chan<- prometheus.Metric) {
	for route, n := range c.pending() {
		to <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(n), route)
	}
}

// An engineCollector does the same for the engine.
type engineCollector struct{ down func() time.Time }

func (c engineCollector) Describe(to chan<- *prometheus.Desc) {
	to <- engineUpDesc
	to <- engineDownDesc
}

func (c engineCollector) Collect(to chan<- prometheus.Metric) {
	up, seconds := 1.0, 0.0
	if since := c.down(); !since.IsZero() {
		up, seconds = 0, max(0, time.Since(since).Seconds())
	}
	to <- prometheus.MustNewConstMetric(engineUpDesc, prometheus.GaugeValue, up)
	to <- prometheus.MustNewConstMetric(engineDownDesc, prometheus.GaugeValue, seconds)
}
