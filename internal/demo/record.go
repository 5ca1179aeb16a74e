package demo

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A recorder stands in front of the gateway and writes down, with the
// credentials masked, what goes over the wire. It also knows the sockets that
// are open, so that the demo can end them.
type recorder struct {
	ring  *ring
	tries tries

	mu sync.Mutex
	// Guarded by mu.
	running int
	idle    chan struct{} // Closed when running is 0 after drain has begun.
	conns   map[net.Conn]struct{}
}

func newRecorder(r *ring) *recorder {
	return &recorder{ring: r, conns: make(map[net.Conn]struct{})}
}

// tryIn returns the page's mark in the query if it is one.
func tryIn(u *url.URL) string {
	try := u.Query().Get("try")
	if len(try) > 16 || strings.Trim(try, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return try
}

// wire records what a client sends and is answered.
func (rec *recorder) wire(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		try := tryIn(r.URL)
		rec.enter()
		defer rec.leave()
		defer rec.tries.enter(r.URL.Path, try, r.Header.Get("Upgrade") != "")()
		rec.ring.add(event{
			Try: try, Kind: "request",
			Line:   fmt.Sprintf("%s %s %s", r.Method, maskTarget(r.URL), r.Proto),
			Fields: maskHeaders(r.Host, r.Header),
		})
		answer := &answerRecorder{ResponseWriter: w, rec: rec, try: try, proto: r.Proto}
		defer answer.ended()
		next.ServeHTTP(answer, r)
	})
}

func (rec *recorder) enter() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.running++
}

func (rec *recorder) leave() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.running--
	if rec.running == 0 && rec.idle != nil {
		close(rec.idle)
		rec.idle = nil
	}
}

// drain waits until no recorded request runs any more. When ctx ends first, it
// cuts the sockets that are left, which ends their handlers.
func (rec *recorder) drain(ctx context.Context) {
	rec.mu.Lock()
	if rec.running == 0 {
		rec.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	rec.idle = idle
	rec.mu.Unlock()
	select {
	case <-idle:
		return
	case <-ctx.Done():
	}
	rec.mu.Lock()
	for conn := range rec.conns {
		conn.Close()
	}
	rec.mu.Unlock()
	<-idle
}

func (rec *recorder) opened(conn net.Conn) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.conns[conn] = struct{}{}
}

func (rec *recorder) closed(conn net.Conn) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	delete(rec.conns, conn)
}

// An answerRecorder writes down the head of an answer, whichever way it is
// written: through WriteHeader, or by whoever took over the connection.
type answerRecorder struct {
	http.ResponseWriter
	rec   *recorder
	try   string
	proto string

	said bool
	conn *recordedConn
}

// WriteHeader records the status and passes it on.
func (a *answerRecorder) WriteHeader(status int) {
	if !a.said && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.said = true
		e := event{
			Try: a.try, Kind: "answer",
			Line: fmt.Sprintf("%s %d %s", a.proto, status, http.StatusText(status)),
		}
		for _, name := range slices.Sorted(maps.Keys(a.Header())) {
			for _, value := range a.Header()[name] {
				if f, ok := answerField(name, value); ok {
					e.Fields = append(e.Fields, f)
				}
			}
		}
		a.rec.ring.add(e)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write records the status that a first Write implies.
func (a *answerRecorder) Write(p []byte) (int, error) {
	if !a.said {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Hijack hands out the connection with a recorder around it.
func (a *answerRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	a.conn = &recordedConn{Conn: conn, ring: a.rec.ring, try: a.try, answered: a.said}
	// What the client sent early is handed out again by the connection, so
	// that it too goes through the recorder.
	if n := buffered.Reader.Buffered(); n > 0 {
		early, _ := buffered.Reader.Peek(n)
		a.conn.early = append([]byte(nil), early...)
	}
	a.rec.opened(a.conn)
	return a.conn, bufio.NewReadWriter(bufio.NewReader(a.conn), bufio.NewWriter(a.conn)), nil
}

// ended forgets the connection once the handler has returned.
func (a *answerRecorder) ended() {
	if a.conn != nil {
		a.rec.closed(a.conn)
	}
}
