package demo

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/usher-ws/usher"
)

// firstMessageTime is shorter than the library's default, so that a visitor
// sees it pass.
const firstMessageTime = 5 * time.Second

// Where things are. Basic has a path of its own, because browsers send a
// password that worked once to everything beside it.
const (
	ticketRoute = "/chat/ticket"
	basicRoute  = "/devices/chat"
	deskPath    = "/usher/v1/tickets"
	csrfPath    = "/demo/csrf"
)

// guardedRoutes puts the chat room behind a Guard for each carrier, with a
// recorder before and behind each.
func guardedRoutes(mux *http.ServeMux, rec *recorder, h *house, log *slog.Logger) error {
	chat := rec.seat(newRoom())
	guard := func(carriers ...usher.Carrier) *usher.Guard {
		return &usher.Guard{
			Carriers:     carriers,
			Subprotocols: []string{subprotocol},
			Limits:       usher.Limits{FirstMessage: firstMessageTime},
			Sessions:     h.live,
			Log:          log,
		}
	}
	cookie := guard(usher.Cookie(sessionCookie, h.sessions))
	desk := guard(usher.Bearer(h), usher.Cookie(sessionCookie, h.sessions))
	guards := map[string]*usher.Guard{
		ticketRoute:           guard(usher.Ticket("ticket", h.tickets), usher.FirstMessage(nil)),
		"/chat/subprotocol":   guard(usher.Subprotocol(h)),
		"/chat/first-message": guard(usher.FirstMessage(h)),
		"/chat/cookie":        guard(usher.CookieCSRF(sessionCookie, h.csrf, h.sessions)),
		"/chat/query":         guard(usher.Query("access_token", h)),
		basicRoute:            guard(usher.Basic(usher.VerifierFunc(verifyPassword))),
		"/chat/bearer":        guard(usher.Bearer(h)),
		"/chat/two":           guard(usher.Subprotocol(h), usher.Query("access_token", h)),
	}
	for path, g := range guards {
		if err := g.Validate(); err != nil {
			return fmt.Errorf("guard %s: %w", path, err)
		}
		mux.Handle(path, rec.wire(g.Handler(chat)))
	}
	mux.Handle(deskPath, rec.wire(h.tickets.Desk(desk, ticketRoute)))
	mux.Handle(csrfPath, rec.wire(h.csrf.Handler(cookie)))
	return nil
}

// onlyHosts answers to the given names only: a page that has its own name
// resolve to this machine (DNS rebinding) finds nothing.
func onlyHosts(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(names, hostName(r.Host)) {
			http.Error(w, "no such site here", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is host without its port and brackets.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return host
	}
	return name
}
