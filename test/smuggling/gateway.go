package smuggling

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// Gateway is Usher's gateway as a front, with the one route /chat.
func Gateway(backend string, log *slog.Logger) http.Handler {
	target, err := gateway.ParseTarget("ws://"+backend+"/chat", nil)
	if err != nil {
		panic(err) // The address of a listener is one of an upstream.
	}
	want := sha256.Sum256([]byte(Bearer))
	guard := &usher.Guard{Log: log, Carriers: []usher.Carrier{usher.Bearer(usher.VerifierFunc(
		func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
			got := sha256.Sum256([]byte(c.Secret.Reveal()))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				return nil, errors.New("unknown word")
			}
			return &usher.Identity{Subject: User}, nil
		}))}}
	route := &gateway.Route{
		Pattern: "/chat", Pool: gateway.NewPool(time.Second, target), Guard: guard,
		Identity: gateway.Identity{Headers: map[string]string{"X-User-Id": "sub"}},
	}
	mux := http.NewServeMux()
	mux.Handle(route.Pattern, guard.Handler(route.Handler()))
	return mux
}
