package observe

import "github.com/prometheus/client_golang/prometheus"

// ofSessions makes the counters of what happens to live sessions.
func (m *Metrics) ofSessions() {
	m.renewals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_renewals_total", Help: "Live connections that were renewed with a fresh credential.",
	}, []string{"route"})
	m.revocations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_revocations_total", Help: "Revocations that were asked for at this node, by what they name.",
	}, []string{"by"})
	for _, by := range []string{"subject", "session", "token", "issuer"} {
		m.revocations.WithLabelValues(by) // There from the beginning, so that the first is seen to come.
	}
	m.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_api_calls_total", Help: "Calls of the admin API, by listener, what they are about, and result.",
	}, []string{"listener", "call", "result"})
}

// Revoked counts a revocation by what it names: "subject", "session", "token" or
// "issuer".
func (m *Metrics) Revoked(by string) { m.revocations.WithLabelValues(by).Inc() }

// Called counts a call of the admin API on a listener, "public" or "admin". What
// it is about and its result are words of the program: no caller makes a label.
func (m *Metrics) Called(listener, call, result string) {
	m.calls.WithLabelValues(listener, call, result).Inc()
}
