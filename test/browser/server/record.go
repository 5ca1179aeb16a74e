package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/usher-ws/usher"
)

// A record is what happened, seen from three places: outside of every Guard,
// inside of the handlers, and by the operator.
type record struct {
	mu sync.Mutex
	// Guarded by mu, and so are the entries.
	Visits []*visit      `json:"visits"`
	Runs   []*handlerRun `json:"runs"`
	Events []event       `json:"events"`
}

// A visit is a request as it came to the door. It holds no credential, only
// what the request had with it.
type visit struct {
	Method  string   `json:"method"`
	Host    string   `json:"host"`
	Path    string   `json:"path"`
	Upgrade bool     `json:"upgrade"`
	Origin  string   `json:"origin"`
	Cookies []string `json:"cookies"` // Their names.
	// Authorization says whether there was such a header.
	Authorization bool `json:"authorization"`
	// Status is that of the answer: 101 where the connection was taken over, 0
	// as long as there is none.
	Status    int    `json:"status"`
	Challenge string `json:"challenge"` // WWW-Authenticate.
	// Head is the head of the answer, byte for byte, where the connection was
	// taken over.
	Head string `json:"head"`
}

// A handlerRun is a handler that ran: all that it could see.
type handlerRun struct {
	Path        string       `json:"path"`
	Library     string       `json:"library"`
	Subject     string       `json:"subject"`
	Session     string       `json:"session"`
	Claims      usher.Claims `json:"claims"`
	URL         string       `json:"url"`
	RequestURI  string       `json:"request_uri"`
	Form        url.Values   `json:"form"`
	Header      http.Header  `json:"header"`
	Subprotocol string       `json:"subprotocol"` // Selected.
	Messages    []string     `json:"messages"`
	Ended       bool         `json:"ended"`
}

// An event is what a Guard told its operator.
type event struct {
	Kind    string `json:"kind"`
	Route   string `json:"route"`
	Carrier string `json:"carrier"`
	Word    string `json:"word"`
	Cause   string `json:"cause"`
	ID      string `json:"id"`
}

// ServeHTTP answers with all of the record.
func (rec *record) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	rec.mu.Lock()
	text, err := json.Marshal(rec)
	rec.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// door records each request and how it was answered.
func (rec *record) door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{
			Method: r.Method, Host: r.Host, Path: r.URL.Path, Upgrade: r.Header.Get("Upgrade") != "",
			Origin: r.Header.Get("Origin"), Authorization: r.Header.Get("Authorization") != "",
		}
		for _, c := range r.Cookies() {
			v.Cookies = append(v.Cookies, c.Name)
		}
		rec.mu.Lock()
		rec.Visits = append(rec.Visits, v)
		rec.mu.Unlock()
		next.ServeHTTP(&doorWriter{ResponseWriter: w, rec: rec, visit: v}, r)
	})
}

// A doorWriter notes the status of an answer.
type doorWriter struct {
	http.ResponseWriter
	rec   *record
	visit *visit
}

func (w *doorWriter) note(status int) {
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	if w.visit.Status == 0 {
		w.visit.Status = status
		w.visit.Challenge = w.Header().Get("WWW-Authenticate")
	}
}

func (w *doorWriter) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *doorWriter) Write(p []byte) (int, error) {
	w.note(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *doorWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.note(http.StatusSwitchingProtocols)
	heard := &headConn{Conn: conn, rec: w.rec, visit: w.visit}
	buf.Writer.Reset(heard)
	return heard, buf, nil
}

// A headConn notes the head of what is written to a connection.
type headConn struct {
	net.Conn
	rec   *record
	visit *visit
}

func (c *headConn) Write(p []byte) (int, error) {
	c.rec.change(func() {
		if !strings.Contains(c.visit.Head, headEnd) {
			c.visit.Head += string(p)
			if head, _, ok := strings.Cut(c.visit.Head, headEnd); ok {
				c.visit.Head = head + headEnd
			}
		}
	})
	return c.Conn.Write(p)
}

// headEnd is the end of a head (RFC 9112 §2.1).
const headEnd = "\r\n\r\n"

// begin records that a handler runs.
func (rec *record) begin(r *http.Request, library string) (*handlerRun, error) {
	id, err := usher.FromContext(r.Context())
	if err != nil {
		return nil, err
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	run := &handlerRun{
		Path: r.URL.Path, Library: library, Subject: id.Subject, Session: id.Session, Claims: id.Claims,
		URL: r.URL.String(), RequestURI: r.RequestURI, Form: r.Form, Header: r.Header.Clone(),
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.Runs = append(rec.Runs, run)
	return run, nil
}

// change changes a run that others may be reading.
func (rec *record) change(how func()) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	how()
}

// observe is for [usher.Guard.Observe].
func (rec *record) observe(_ context.Context, e usher.Event) {
	seen := event{Kind: string(e.Kind), Route: e.Route, Carrier: e.Carrier}
	if e.Refusal != nil {
		seen.Word, seen.Cause, seen.ID = e.Refusal.Word, e.Refusal.Error(), e.Refusal.ID
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.Events = append(rec.Events, seen)
}
