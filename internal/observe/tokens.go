package observe

import "github.com/prometheus/client_golang/prometheus"

// ofTokens makes what is counted of the issuer.
func (m *Metrics) ofTokens() {
	m.asked = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "usher_token_requests_total", Help: "Requests to the issuer's endpoints, by endpoint, grant, and result.",
	}, []string{"endpoint", "grant", "result"})
	for _, grant := range []string{"client_credentials", "refresh_token", "token_exchange"} {
		m.asked.WithLabelValues("token", grant, "ok") // There from the beginning, so that the first is seen to come.
	}
	m.reused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "usher_refresh_reuse_total", Help: "Refresh tokens that were used twice, which has ended their sessions.",
	})
}

// Asked counts a request to an endpoint of the issuer: its grant at the token
// endpoint, the code of its error or "", and whether it was a refresh token that
// was used before. All are words of the program: no client makes a label.
func (m *Metrics) Asked(endpoint, grant, code string, reused bool) {
	result := code
	if result == "" {
		result = "ok"
	}
	m.asked.WithLabelValues(endpoint, grant, result).Inc()
	if reused {
		m.reused.Inc()
	}
}
