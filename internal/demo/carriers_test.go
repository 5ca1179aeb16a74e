package demo_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/usher-ws/usher/internal/demo"
)

// admission is a way to come in, made for a visitor who is logged in.
type admission struct {
	name string
	make func(v *visitor) (c try, credential string)
}

var admissions = []admission{
	{"ticket in the query", func(v *visitor) (try, string) {
		s := v.ticket()
		return try{path: "/chat/ticket?ticket=" + s}, s
	}},
	{"ticket as subprotocol", func(v *visitor) (try, string) {
		s := v.ticket()
		return try{path: "/chat/ticket", offer: []string{subprotocol("usher.ticket.", s)}}, s
	}},
	{"ticket in the first message", func(v *visitor) (try, string) {
		s := v.ticket()
		return try{path: "/chat/ticket", first: `{"type":"auth","ticket":"` + s + `"}`}, s
	}},
	{"subprotocol", func(v *visitor) (try, string) {
		s := v.token("good")
		return try{path: "/chat/subprotocol", offer: []string{subprotocol("usher.bearer.", s)}}, s
	}},
	{"first message", func(v *visitor) (try, string) {
		s := v.token("good")
		return try{path: "/chat/first-message", first: `{"type":"auth","token":"` + s + `"}`}, s
	}},
	{"cookie with csrf token", func(v *visitor) (try, string) {
		s := v.csrf()
		return try{path: "/chat/cookie?csrf_token=" + s}, s
	}},
	{"query", func(v *visitor) (try, string) {
		s := v.token("good")
		return try{path: "/chat/query?access_token=" + s}, s
	}},
	{"basic", func(*visitor) (try, string) {
		return try{path: "/devices/chat", head: basic("alice", "looking-glass")}, "looking-glass"
	}},
	{"bearer", func(v *visitor) (try, string) {
		s := v.token("good")
		return try{path: "/chat/bearer", head: bearer(s)}, s
	}},
}

func TestEachCarrierAdmits(t *testing.T) {
	t.Parallel()
	admitsEach(t, start(t, ""), "")
}

func TestEachCarrierAdmitsToNode(t *testing.T) {
	t.Parallel()
	admitsEach(t, startWithNode(t), "/node")
}

// admitsEach comes in by each carrier and talks to the chat behind prefix.
func admitsEach(t *testing.T, s *demo.Server, prefix string) {
	t.Helper()
	for _, c := range admissions {
		t.Run(c.name, func(t *testing.T) {
			v := visit(t, s)
			v.prefix = prefix
			v.login("alice")
			attempt, _ := c.make(v)
			conn, status := v.open("good", attempt)
			if conn == nil {
				t.Fatalf("handshake: got %d, want 101", status)
			}
			if got := conn.Subprotocol(); got != "chat.v1" {
				t.Errorf("subprotocol: got %q, want chat.v1", got)
			}
			v.hears(conn, `{"text":"alice came in"}`)
			if err := conn.Write(v.ctx, websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			v.hears(conn, `{"from":"alice","text":"hello"}`)
			conn.Close(websocket.StatusNormalClosure, "")
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	sibling := strings.TrimSuffix(s.SiblingURL(), "/")
	for _, c := range []struct {
		name   string
		user   string // Default: alice.
		make   func(v *visitor) try
		status int // Of the handshake; 101 means that a close code tells.
		code   websocket.StatusCode
		word   string
	}{
		{name: "no credential", make: func(*visitor) try { return try{path: "/chat/query"} }, status: 101, code: 4401, word: "unauthenticated"},
		{name: "expired in the query", make: func(v *visitor) try { return try{path: "/chat/query?access_token=" + v.token("expired")} }, status: 101, code: 4401, word: "expired"},
		{name: "forged in the query", make: func(v *visitor) try { return try{path: "/chat/query?access_token=" + v.token("forged")} }, status: 101, code: 4401, word: "unauthenticated"},
		{name: "expired subprotocol", make: func(v *visitor) try {
			return try{path: "/chat/subprotocol", offer: []string{subprotocol("usher.bearer.", v.token("expired"))}}
		}, status: 101, code: 4401, word: "expired"},
		{name: "forged subprotocol", make: func(v *visitor) try {
			return try{path: "/chat/subprotocol", offer: []string{subprotocol("usher.bearer.", v.token("forged"))}}
		}, status: 101, code: 4401, word: "unauthenticated"},
		{name: "outage", make: func(v *visitor) try {
			return try{path: "/chat/subprotocol", offer: []string{subprotocol("usher.bearer.", v.token("outage"))}}
		}, status: 101, code: 4503, word: "unavailable"},
		{name: "banned", user: "mallory", make: func(v *visitor) try { return try{path: "/chat/query?access_token=" + v.token("good")} }, status: 101, code: 4403, word: "forbidden"},
		{name: "expired first message", make: func(v *visitor) try {
			return try{path: "/chat/first-message", first: `{"type":"auth","token":"` + v.token("expired") + `"}`}
		}, status: 101, code: 4401, word: "expired"},
		{name: "something else first", make: func(*visitor) try { return try{path: "/chat/first-message", first: "hello?"} }, status: 101, code: 4401, word: "unauthenticated"},
		{name: "nothing said", make: func(*visitor) try { return try{path: "/chat/first-message"} }, status: 101, code: 4408, word: "auth_timeout"},
		{name: "cookie without csrf token", make: func(*visitor) try { return try{path: "/chat/cookie"} }, status: 101, code: 4403, word: "forbidden"},
		{name: "cookie from a sibling origin", make: func(v *visitor) try {
			return try{path: "/chat/cookie?csrf_token=" + v.csrf(), origin: sibling}
		}, status: http.StatusForbidden},
		{name: "banned in the cookie", user: "mallory", make: func(v *visitor) try {
			return try{path: "/chat/cookie?csrf_token=" + strings.Repeat("x", 40)}
		}, status: 101, code: 4403, word: "forbidden"},
		{name: "not in the file", make: func(*visitor) try {
			return try{path: "/devices/chat", head: basic("mallory", "let-me-in")}
		}, status: http.StatusUnauthorized},
		{name: "two credentials", make: func(v *visitor) try {
			return try{path: "/chat/two?access_token=" + v.token("good"), offer: []string{subprotocol("usher.bearer.", v.token("good"))}}
		}, status: 101, code: 4403, word: "forbidden"},
		{name: "no password", make: func(*visitor) try { return try{path: "/devices/chat"} }, status: http.StatusUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := visit(t, s)
			if c.user == "" {
				c.user = "alice"
			}
			v.login(c.user)
			mark := strings.ReplaceAll(c.name, " ", "")
			mark = mark[:min(len(mark), 16)]
			conn, status := v.open(mark, c.make(v))
			if status != c.status {
				t.Fatalf("handshake: got %d, want %d", status, c.status)
			}
			if conn != nil {
				wantClose(t, v, conn, c.code, c.word)
			}
			_, all := v.events(func(e seen) bool { return e.Try == mark && e.Kind == "log" && e.Line == "refused" })
			if n := count(all, mark, "backend"); n != 0 {
				t.Errorf("backend was told: got %d times, want 0", n)
			}
		})
	}
}

func TestTicketAdmitsOnce(t *testing.T) {
	t.Parallel()
	v := visit(t, start(t, ""))
	v.login("bob")
	once := try{path: "/chat/ticket?ticket=" + v.ticket()}
	first, status := v.open("one", once)
	if first == nil {
		t.Fatalf("first handshake: got %d, want 101", status)
	}
	if _, _, err := first.Read(v.ctx); err != nil {
		t.Fatal(err)
	}
	second, _ := v.open("two", once)
	if second == nil {
		t.Fatal("second handshake: got a status, want a close code")
	}
	wantClose(t, v, second, 4401, "unauthenticated")
	_, all := v.until()
	if got := count(all, "one", "backend") + count(all, "two", "backend"); got != 1 {
		t.Errorf("backend was told: got %d times, want 1", got)
	}
}

func wantClose(t *testing.T, v *visitor, conn *websocket.Conn, code websocket.StatusCode, word string) {
	t.Helper()
	_, text, err := conn.Read(v.ctx)
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok {
		t.Fatalf("close: got %q %v, want %d", text, err, code)
	}
	gotWord, id, _ := strings.Cut(closed.Reason, " ")
	if closed.Code != code || gotWord != word || id == "" {
		t.Errorf("close: got %d %q, want %d %s and an explain id", closed.Code, closed.Reason, code, word)
	}
}

func count(all []seen, mark, kind string) int {
	n := 0
	for _, e := range all {
		if e.Try == mark && e.Kind == kind {
			n++
		}
	}
	return n
}
