package rest

import (
	"net/http"

	"github.com/usher-ws/usher/internal/ably"
)

// A handler answers a call.
type handler func(*call) (*answer, error)

// A pattern is a method and a path in segments, "*" of which is any.
type pattern struct {
	method string
	path   []string
	handle handler
}

// patterns are what there is. The first that fits counts.
var patterns = []pattern{
	{http.MethodPost, []string{"keys", "*", "requestToken"}, (*call).requestToken},
	{http.MethodPost, []string{"keys", "*", "revokeTokens"}, (*call).revokeTokens},
	{http.MethodPost, []string{"channels", "*", "messages"}, (*call).publish},
	{http.MethodGet, []string{"channels", "*", "messages"}, (*call).history},
	{http.MethodGet, []string{"channels", "*", "history"}, (*call).history},
	{http.MethodGet, []string{"channels", "*", "messages", "*"}, (*call).message},
	{http.MethodGet, []string{"channels", "*", "messages", "*", "versions"}, (*call).versions},
	{http.MethodPatch, []string{"channels", "*", "messages", "*"}, refusing(ably.MutationDisabled)},
	{"", []string{"channels", "*", "messages", "*", "annotations"}, refusingf(ably.MutationDisabled, "annotations need them")},
	{http.MethodGet, []string{"channels", "*", "messages", "*", "client-summary"}, refusingf(ably.MutationDisabled, "annotations need them")},
	{http.MethodGet, []string{"channels", "*", "presence"}, (*call).presence},
	{http.MethodGet, []string{"channels", "*", "presence", "history"}, (*call).presenceHistory},
	{http.MethodGet, []string{"channels", "*"}, (*call).status},
	{http.MethodGet, []string{"channels"}, (*call).channels},
	{http.MethodPost, []string{"messages"}, (*call).batchPublish},
	{http.MethodGet, []string{"presence"}, (*call).batchPresence},
	{http.MethodGet, []string{"stats"}, (*call).getStats},
	{http.MethodPost, []string{"stats"}, (*call).postStats},
	{http.MethodDelete, []string{"apps", "*"}, (*call).deleteApp},
	{http.MethodGet, []string{"time"}, (*call).time},
}

// later are the first segments of what this server does not do.
var later = []string{"push"}

// route finds who answers.
func route(method string, path []string) handler {
	known := false
	for _, p := range patterns {
		if !p.fits(path) {
			continue
		}
		if known = true; p.method == method || p.method == "" || p.method == http.MethodGet && method == http.MethodHead {
			return p.handle
		}
	}
	for _, name := range later {
		if path[0] == name {
			return refusingf(ably.NotFound, "this server does not do "+name)
		}
	}
	if known {
		// As an SDK's test expects it: not 405.
		return refusingf(ably.NotFound, "not by this method")
	}
	return refusing(ably.NotFound)
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
