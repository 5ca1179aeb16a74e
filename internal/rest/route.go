package rest

import (
	"net/http"

	"github.com/usher-ws/usher/internal/ably"
)

// A handler answers a call.
type handler func(*call) (*answer, error)

// A work is how much a call is of what may be under way at a time: see underWay.
type work int

const (
	brief work = 1
	much  work = 10 // About many messages or channels.
)

// A pattern is a method and a path in segments, "*" of which is any.
type pattern struct {
	method string
	path   []string
	work   work
	handle handler
}

// patterns are what there is. The first that fits counts.
var patterns = []pattern{
	{http.MethodPost, []string{"keys", "*", "requestToken"}, brief, (*call).requestToken},
	{http.MethodPost, []string{"keys", "*", "revokeTokens"}, brief, (*call).revokeTokens},
	{http.MethodPost, []string{"channels", "*", "messages"}, brief, (*call).publish},
	{http.MethodGet, []string{"channels", "*", "messages"}, much, (*call).history},
	{http.MethodGet, []string{"channels", "*", "history"}, much, (*call).history},
	{http.MethodGet, []string{"channels", "*", "messages", "*"}, much, (*call).message},
	{http.MethodGet, []string{"channels", "*", "messages", "*", "versions"}, much, (*call).versions},
	{http.MethodPatch, []string{"channels", "*", "messages", "*"}, brief, refusing(ably.MutationDisabled)},
	{"", []string{"channels", "*", "messages", "*", "annotations"}, brief, refusingf(ably.MutationDisabled, "annotations need them")},
	{http.MethodGet, []string{"channels", "*", "messages", "*", "client-summary"}, brief, refusingf(ably.MutationDisabled, "annotations need them")},
	{http.MethodGet, []string{"channels", "*", "presence"}, brief, (*call).presence},
	{http.MethodGet, []string{"channels", "*", "presence", "history"}, much, (*call).presenceHistory},
	{http.MethodGet, []string{"channels", "*"}, brief, (*call).status},
	{http.MethodGet, []string{"channels"}, much, (*call).channels},
	{http.MethodPost, []string{"messages"}, much, (*call).batchPublish},
	{http.MethodGet, []string{"presence"}, much, (*call).batchPresence},
	{http.MethodGet, []string{"stats"}, brief, (*call).getStats},
	{http.MethodPost, []string{"stats"}, brief, (*call).postStats},
	{http.MethodDelete, []string{"apps", "*"}, brief, (*call).deleteApp},
	{http.MethodGet, []string{"time"}, brief, (*call).time},
}

// later are the first segments of what this server does not do.
var later = []string{"push"}

// route finds who answers, and how much work it is.
func route(method string, path []string) (handler, work) {
	known := false
	for _, p := range patterns {
		if !p.fits(path) {
			continue
		}
		if known = true; p.method == method || p.method == "" || p.method == http.MethodGet && method == http.MethodHead {
			return p.handle, p.work
		}
	}
	for _, name := range later {
		if path[0] == name {
			return refusingf(ably.NotFound, "this server does not do "+name), brief
		}
	}
	if known {
		// As an SDK's test expects it: not 405.
		return refusingf(ably.NotFound, "not by this method"), brief
	}
	return refusing(ably.NotFound), brief
}

func (p *pattern) fits(path []string) bool {
	if len(path) != len(p.path) {
		return false
	}
	for i, segment := range p.path {
		if segment != "*" && segment != path[i] {
			return false
		}
	}
	return true
}

func isTokenRequest(path []string) bool {
	return len(path) == 3 && path[0] == "keys" && path[2] == "requestToken"
}

// refusing answers with a code.
func refusing(code ably.Code) handler {
	return func(*call) (*answer, error) { return nil, ably.Err(code) }
}

func refusingf(code ably.Code, why string) handler {
	return func(*call) (*answer, error) { return nil, ably.Errorf(code, "%s", why) }
}
