package cluster_test

import (
	"fmt"
	"testing"

	"github.com/usher-ws/usher/ushertest"
)

// A site is three gateways on a cluster of three, with one backend and one
// login.
type site struct {
	nats     *natsCluster
	login    *ushertest.Issuer
	backend  backend
	gateways []*gateway
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{nats: startNATS(t), login: ushertest.NewIssuer(t), backend: startBackend(t)}
	for i := range 3 {
		s.gateways = append(s.gateways, startGateway(t, fmt.Sprintf("gateway%d", i), s.nats.urls(i), s.login, s.backend))
	}
	return s
}
