package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// What the route's wildcards match is joined to the upstream's path, byte for
// byte, in a handshake as in a plain request.
func TestPaths(t *testing.T) {
	tests := []struct {
		pattern, upstream, request, want string
	}{
		{"/chat", "", "/chat", "/"},
		{"/chat", "/", "/chat", "/"},
		{"/chat", "/ws", "/chat", "/ws"},
		{"/chat", "/ws/", "/chat", "/ws/"},
		{"/chat", "/ws", "/chat?a=1&b=%20;c", "/ws?a=1&b=%20;c"},
		{"/chat", "/ws?v=2", "/chat", "/ws?v=2"},
		{"/chat", "/ws?v=2", "/chat?a=1", "/ws?v=2&a=1"},
		{"/chat", "/ws", "/chat?", "/ws"},
		{"/chat", "/ws", "/chat?a=1&access_token=alice-word", "/ws?a=1"},
		{"/rooms/{id}", "/r", "/rooms/42", "/r/42"},
		{"/rooms/{id}", "/", "/rooms/42", "/42"},
		{"/rooms/{id}", "", "/rooms/42", "/42"},
		{"/rooms/{id}", "/r/", "/rooms/42", "/r/42"},
		{"/rooms/{id}", "/r", "/rooms/a%2Fb", "/r/a%2Fb"},
		{"/rooms/{id}", "/r", "/rooms/a%2fb", "/r/a%2fb"},
		{"/rooms/{id}", "/r", "/rooms/%41%20%C3%A4", "/r/%41%20%C3%A4"},
		{"/rooms/{id}", "/r", "/rooms/a+b;c=d", "/r/a+b;c=d"},
		{"/rooms/{id}", "/r", "/rooms/%252e%252e", "/r/%252e%252e"},
		{"/rooms/{id}", "/r%2Fs", "/rooms/1", "/r%2Fs/1"},
		{"/rooms/{id}/ws", "/r", "/rooms/42/ws", "/r/42"},
		{"/{tenant}/rooms/{id}", "/r", "/acme/rooms/42", "/r/acme/42"},
		{"/app/", "/x", "/app/", "/x"},
		{"/app/", "/x", "/app/a", "/x/a"},
		{"/app/", "/x/", "/app/a/b/", "/x/a/b/"},
		{"/app/", "/x", "/app/a%2Fb/c", "/x/a%2Fb/c"},
		{"/app/{$}", "/x", "/app/", "/x"},
		{"/app/{rest...}", "/x", "/app/a/b%2Fc/", "/x/a/b%2Fc/"},
		{"/app/{rest...}", "/x", "/app/", "/x"},
		{"/{tenant}/", "/x", "/acme/a/b", "/x/acme/a/b"},
		{"/", "", "/any/thing", "/any/thing"},
		{"GET gate.example/chat/{id}", "/ws", "/chat/1", "/ws/1"},
	}
	for _, tt := range tests {
		t.Run(tt.pattern+" "+tt.upstream+" "+tt.request, func(t *testing.T) {
			s := scribes(t)
			g := open(t, target(t, "ws://"+s.addr+tt.upstream), pattern(tt.pattern))
			for _, upgrades := range []bool{true, false} {
				auth := bearer
				if strings.Contains(tt.request, "access_token") {
					auth = "X: y"
				}
				p := dial(t, g.addr)
				if upgrades {
					p.say(upgrade(tt.request, auth))
				} else {
					p.say("GET " + tt.request + " HTTP/1.1\r\nHost: gate.example\r\n" + auth + "\r\n\r\n")
				}
				p.answer()
				p.Close()
				s.mu.Lock()
				heads := s.heads
				s.heads = nil
				s.mu.Unlock()
				if len(heads) != 1 || !strings.HasPrefix(heads[0], "GET "+tt.want+" HTTP/1.1\r\n") {
					t.Errorf("upgrade %t: the backend got %q, want GET %s", upgrades, heads, tt.want)
				}
			}
		})
	}
}

// A dot segment could lead out of the upstream's path.
func TestPathDots(t *testing.T) {
	s := scribes(t)
	rooms := open(t, target(t, "ws://"+s.addr+"/public"), pattern("/rooms/{id}"))
	app := open(t, target(t, "ws://"+s.addr+"/public"), pattern("/app/"))
	for _, tt := range []struct {
		gate *gate
		path string
	}{
		{rooms, "/rooms/%2e%2e"},
		{rooms, "/rooms/%2E"},
		{rooms, "/rooms/%2e%2e%2fadmin"},
		{rooms, "/rooms/x%2f..%2fadmin"},
		{rooms, "/rooms/..%5cadmin"},
		{rooms, "/rooms/..;a=b"},
		{rooms, "/rooms/%2e%2e;"},
		{app, "/app/%2e%2e/admin"},
		{app, "/app/a/%2e%2e%2f%2e%2e/admin"},
		{app, "/app/..;/admin"},
		{app, "/app/a%5c..%5c..%5cadmin"},
	} {
		for _, text := range []string{upgrade(tt.path, bearer), "GET " + tt.path + " HTTP/1.1\r\nHost: gate.example\r\n" + bearer + "\r\n\r\n"} {
			p := dial(t, tt.gate.addr)
			p.say(text)
			if res := p.answer(); res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: got status %d, want 400", tt.path, res.StatusCode)
			}
		}
	}
	if got := s.text(); got != "" {
		t.Errorf("the backend got %q, want nothing", got)
	}
}
