package demo_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/demo"
)

// patience bounds everything that a test waits for.
const patience = 20 * time.Second

// start serves the demo on free ports until the test ends.
func start(t *testing.T, secret string) *demo.Server {
	t.Helper()
	o := demo.Options{}
	if secret != "" {
		o.Secret = usher.NewSecret(secret)
	}
	return startWith(t, o)
}

func startWith(t *testing.T, o demo.Options) *demo.Server {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	s, err := demo.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	return s
}

// startWithNode serves the demo with both backends.
func startWithNode(t *testing.T) *demo.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	return startWith(t, demo.Options{NodeChat: nodeChat})
}

// nodeChat has the chat in Node; "make deps" installs its one package.
const nodeChat = "../../examples/node-chat"

// A visitor is a browser of a kind: it keeps cookies and sends its origin.
type visitor struct {
	t      *testing.T
	server *demo.Server
	origin string
	client *http.Client
	ctx    context.Context
	marks  int
	prefix string // Of the paths of the backend that it talks to.
}

func visit(t *testing.T, s *demo.Server) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &visitor{
		t: t, server: s, origin: strings.TrimSuffix(s.URL(), "/"),
		client: &http.Client{Transport: transport, Jar: jar}, ctx: ctx,
	}
}

// do sends a request and returns the answer's status, head and body.
func (v *visitor) do(method, path, body string, head http.Header) (int, http.Header, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.ctx, method, v.origin+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header = head.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Header.Get("Origin") == "" {
		r.Header.Set("Origin", v.origin)
	}
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// ask posts and returns one member of the JSON answer.
func (v *visitor) ask(path, body string, head http.Header, member string) string {
	v.t.Helper()
	status, _, text := v.do(http.MethodPost, path, body, head)
	if status != http.StatusOK {
		v.t.Fatalf("post %s: got %d %s, want 200", path, status, text)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		v.t.Fatal(err)
	}
	s, ok := answer[member].(string)
	if !ok {
		v.t.Fatalf("post %s: got %s, want a member %s", path, text, member)
	}
	return s
}

func (v *visitor) login(user string) { v.ask("/demo/login", `{"user":"`+user+`"}`, nil, "user") }

func (v *visitor) token(kind string) string {
	return v.ask("/demo/token", `{"kind":"`+kind+`"}`, nil, "token")
}

func (v *visitor) ticket() string {
	return v.ask("/usher/v1/tickets?route="+v.prefix+"/chat/ticket", "", bearer(v.token("good")), "ticket")
}

func (v *visitor) csrf() string {
	return v.ask("/usher/v1/csrf?route="+v.prefix+"/chat/cookie", "", nil, "csrf_token")
}

// cookie returns the value of the session cookie.
func (v *visitor) cookie() string {
	u, err := url.Parse(v.origin)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

func bearer(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}

func basic(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

func subprotocol(prefix, text string) string {
	if prefix == "usher.bearer." {
		text = base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	return prefix + text
}

// A try is one handshake, and what is sent first.
type try struct {
	path   string // With the query but for the mark.
	offer  []string
	head   http.Header
	first  string
	origin string // Default: the page's.
}

// open dials. Where the handshake is refused, the socket is nil and the status
// is the answer's.
func (v *visitor) open(mark string, c try) (*websocket.Conn, int) {
	v.t.Helper()
	head := c.head.Clone()
	if head == nil {
		head = http.Header{}
	}
	head.Set("Origin", v.origin)
	if c.origin != "" {
		head.Set("Origin", c.origin)
	}
	sep := "?"
	if strings.Contains(c.path, "?") {
		sep = "&"
	}
	conn, answer, err := websocket.Dial(v.ctx, "ws"+strings.TrimPrefix(v.origin, "http")+v.prefix+c.path+sep+"try="+mark,
		&websocket.DialOptions{HTTPClient: v.client, HTTPHeader: head, Subprotocols: append([]string{"chat.v1"}, c.offer...)})
	if err != nil {
		if answer == nil {
			v.t.Fatal(err)
		}
		return nil, answer.StatusCode
	}
	v.t.Cleanup(func() { conn.CloseNow() })
	if c.first != "" {
		if err := conn.Write(v.ctx, websocket.MessageText, []byte(c.first)); err != nil {
			v.t.Fatal(err)
		}
	}
	return conn, answer.StatusCode
}

// events follows the page's event stream until one satisfies done, and returns
// all that it has read as text and parsed.
func (v *visitor) events(done func(seen) bool) (string, []seen) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.ctx, http.MethodGet, v.origin+"/demo/events", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	var text strings.Builder
	var all []seen
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e seen
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			v.t.Fatal(err)
		}
		all = append(all, e)
		if done(e) {
			return text.String(), all
		}
	}
	v.t.Fatalf("events ended early: %v", lines.Err())
	return "", nil
}

// hears reads until the chat says want. What else it says is about others.
func (v *visitor) hears(conn *websocket.Conn, want string) {
	v.t.Helper()
	for {
		_, text, err := conn.Read(v.ctx)
		if err != nil {
			v.t.Fatalf("chat: got %v, want %s", err, want)
		}
		if string(text) == want {
			return
		}
	}
}

// A seen is an event as the page gets it.
type seen struct {
	Try, Kind, Line, Backend string
	Fields, Claims           []struct{ Name, Value string }
	JWTHeader                []struct{ Name, Value string } `json:"jwt_header"`
}

// until marks the end of what happened so far by a request of its own, and
// returns the events up to there.
func (v *visitor) until() (string, []seen) {
	v.t.Helper()
	v.marks++
	mark := fmt.Sprintf("end%d%d", time.Now().UnixNano()%1e9, v.marks)
	v.do(http.MethodGet, "/chat/bearer?try="+mark, "", nil)
	return v.events(func(e seen) bool { return e.Try == mark && e.Kind == "answer" })
}

// aliceClaims are the claims of a token for alice.
func aliceClaims(issued, expires int64) []byte {
	return fmt.Appendf(nil, `{"iss":"usher-demo","aud":"chat","sub":"alice","iat":%d,"exp":%d}`, issued, expires)
}
