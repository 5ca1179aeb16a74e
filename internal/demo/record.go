package demo

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/usher-ws/usher"
)

// A recorder stands in front of a Guard and writes down, with the credentials
// masked, what goes over the wire; and behind it, what the handler is told. It
// also knows the sockets that are open, so that the demo can end them.
type recorder struct {
	ring *ring

	mu sync.Mutex
	// Guarded by mu.
	running int
	idle    chan struct{} // Closed when running is 0 after drain has begun.
	conns   map[net.Conn]struct{}
	tries   map[string][]string // What runs on each route, oldest first.
}

func newRecorder(r *ring) *recorder {
	return &recorder{ring: r, conns: make(map[net.Conn]struct{}), tries: make(map[string][]string)}
}

// The mark of a try travels in the context, because what the handler is told
// must be shown beside what came over the wire.
type tryKey struct{}

func tryOf(ctx context.Context) string {
	try, _ := ctx.Value(tryKey{}).(string)
	return try
}

// tryIn returns the page's mark in the query if it is one.
func tryIn(r *http.Request) string {
	try := r.URL.Query().Get("try")
	if len(try) > 16 || strings.Trim(try, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return try
}

// wire records what a client sends and is answered.
func (rec *recorder) wire(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		try := tryIn(r)
		rec.enter(r.URL.Path, try)
		defer rec.leave(r.URL.Path, try)
		rec.ring.add(event{
			Try: try, Kind: "request",
			Line:   fmt.Sprintf("%s %s %s", r.Method, maskTarget(r.URL), r.Proto),
			Fields: maskHeaders(r.Host, r.Header),
		})
		answer := &answerRecorder{ResponseWriter: w, rec: rec, try: try, proto: r.Proto}
		next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), tryKey{}, try)))
		answer.ended()
	})
}

// seat records what a handler behind the Guard is told.
func (rec *recorder) seat(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := event{
			Try: tryOf(r.Context()), Kind: "handler",
			Line:   fmt.Sprintf("%s %s %s", r.Method, maskTarget(r.URL), r.Proto),
			Fields: maskHeaders(r.Host, r.Header),
		}
		if id, err := usher.FromContext(r.Context()); err == nil {
			e.Identity = identityFields(id)
		}
		rec.ring.add(e)
		next.ServeHTTP(w, r)
	})
}

func identityFields(id *usher.Identity) []field {
	fields := []field{{"Subject", id.Subject}}
	if id.Issuer != "" {
		fields = append(fields, field{"Issuer", id.Issuer})
	}
	if !id.Expires.IsZero() {
		fields = append(fields, field{"Expires", id.Expires.Format("15:04:05 MST")})
	}
	if name := id.Claims.String("name"); name != "" {
		fields = append(fields, field{"Claims[name]", name})
	}
	return fields
}

func (rec *recorder) enter(route, try string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.running++
	rec.tries[route] = append(rec.tries[route], try)
}

func (rec *recorder) leave(route, try string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if i := slices.Index(rec.tries[route], try); i >= 0 {
		rec.tries[route] = slices.Delete(rec.tries[route], i, i+1)
	}
	rec.running--
	if rec.running == 0 && rec.idle != nil {
		close(rec.idle)
		rec.idle = nil
	}
}

// runningOn guesses what a log record about a route belongs to, where its
// context does not say: a connection that ended to the oldest request there,
// anything else to the newest.
func (rec *recorder) runningOn(route string, ended bool) string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	tries := rec.tries[route]
	switch {
	case len(tries) == 0:
		return ""
	case ended:
		return tries[0]
	}
	return tries[len(tries)-1]
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
