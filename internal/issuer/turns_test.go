package issuer_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// slowClients are clients that are known only when the gate is open.
type slowClients struct {
	issuer.Clients
	gate chan struct{}
}

func (c slowClients) Client(ctx context.Context, id string, secret usher.Secret) (issuer.Client, error) {
	<-c.gate
	return c.Clients.Client(ctx, id, secret)
}

// Of those who come at one time 256 are served, and the rest is told to come back.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		s := newSite(t, func(o *issuer.Options) { o.Clients = slowClients{o.Clients, gate} })
		var served sync.WaitGroup
		for range 256 {
			served.Go(func() {
				if a := s.post(issuer.TokenPath, "app", "grant_type", "client_credentials"); a.status != http.StatusOK {
					t.Errorf("got %d %s, want all of 256 served", a.status, a.text)
				}
			})
		}
		synctest.Wait()
		s.post(issuer.TokenPath, "app", "grant_type", "client_credentials").wants(t, "one more", http.StatusServiceUnavailable, "temporarily_unavailable")
		close(gate)
		served.Wait()
		s.as(issuer.TokenPath, "app", "grant_type", "client_credentials")
	})
}
