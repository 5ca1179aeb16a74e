package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// answerOf reads one answer.
func answerOf(t testing.TB, rd *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(rd, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// TestReplyRefused: whoever is refused may go on, on the same connection, and each
// request has one handler.
func TestReplyRefused(t *testing.T) {
	var plain []bool
	d := openPorch(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		plain = append(plain, plainly(r))
		if r.Header.Get("Upgrade") != "" && r.URL.Path == "/duplex" {
			h := w.Header()
			h.Set("X-Gone", "1")
			_ = http.NewResponseController(w).EnableFullDuplex()
			h.Del("X-Gone")
			h.Set("X-Path", r.URL.Path)
			return
		}
		describe(w, r)
	})
	c := knock(t, d)
	rd := bufio.NewReader(c)
	for i, path := range []string{"/no", "/no", "/duplex"} {
		say(t, c, shaking(path))
		res, _ := answerOf(t, rd)
		if got := res.Header.Get("X-Path"); got != path || res.Close || res.Header.Get("X-Gone") != "" {
			t.Errorf("request %d: got %v", i, res)
		}
	}
	say(t, c, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
	if res, _ := answerOf(t, rd); res.Header.Get("X-Path") != "/plain" {
		t.Errorf("got %v", res)
	}
	if len(plain) != 4 || !plain[0] || plain[1] {
		t.Errorf("got the handlers %v", plain)
	}
	c = knock(t, d)
	say(t, c, shaking("/duplex"))
	res, _ := answerOf(t, bufio.NewReader(c))
	if got := res.Header.Get("X-Path"); got != "/duplex" || res.StatusCode != http.StatusOK || res.Header.Get("X-Gone") != "" {
		t.Errorf("got %v of who writes nothing", res)
	}
}

// TestReplyPanic: what a handler panics with is in the log once, and its client is
// told nothing. A connection that it has taken over is its own.
func TestReplyPanic(t *testing.T) {
	taken := make(chan net.Conn, 1)
	d := openPorch(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/exit":
			runtime.Goexit()
		case "/written":
			w.WriteHeader(http.StatusForbidden)
		case "/taken":
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
			}
			taken <- c
		}
		panic("oh no, " + r.URL.Path)
	})
	for _, path := range []string{"/first", "/abort", "/exit", "/written", "/taken"} {
		c := knock(t, d)
		say(t, c, shaking(path))
		if path == "/taken" {
			own := <-taken
			say(t, own, "still here")
			_ = own.Close()
		}
		b, err := io.ReadAll(c)
		if want := map[string]string{"/taken": "still here"}[path]; err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v, want %q", path, b, err, want)
		}
		for until := time.Now().Add(atOnce); d.visitors.count() > 0 && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		got, want := strings.Count(d.logs.String(), "oh no, "+path+"\n"), 1
		if path == "/abort" || path == "/exit" {
			want = strings.Count(d.logs.String(), path)
		}
		if got != want || want > 1 {
			t.Errorf("%s: got %d of them in the log %s, want %d", path, got, d.logs, want)
		}
	}
}

// TestReplyContext: the context of a handshake ends when its client goes, however
// one learns of it, and when it has been served; not when the client of a
// connection that was taken over goes.
func TestReplyContext(t *testing.T) {
	ended := make(chan error)
	in := make(chan context.Context)
	d := openPorch(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		last := r.Context()
		in <- last
		switch r.URL.Path {
		case "/done":
			<-last.Done()
		case "/after":
			hooked := make(chan struct{})
			kept := context.AfterFunc(last, func() { t.Error("called after its stop") })
			context.AfterFunc(last, func() { close(hooked) })
			if !kept() || kept() {
				t.Error("stop did not stop, or did twice")
			}
			<-hooked
		case "/child":
			child, cancel := context.WithTimeout(last, atOnce)
			defer cancel()
			<-child.Done()
		case "/answered":
			_ = http.NewResponseController(w).Flush()
			<-last.Done()
		case "/taken":
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, c) // Until it goes.
			_ = c.Close()
			select {
			case <-last.Done():
				t.Error("the context ended with a client that was taken over")
			case <-time.After(3 * watchEvery):
			}
		}
		ended <- last.Err()
	})
	for _, path := range []string{"/done", "/after", "/child", "/answered", "/taken"} {
		c := knock(t, d)
		say(t, c, shaking(path))
		last := <-in
		_ = c.Close()
		want := context.Canceled
		if path == "/taken" {
			want = nil
		}
		if got := <-ended; got != want { //nolint:errorlint // As contexts have it.
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
		select {
		case <-last.Done():
		case <-time.After(atOnce):
			t.Errorf("%s: the context lasts", path)
		}
		if err := context.Cause(last); err != context.Canceled { //nolint:errorlint // As above.
			t.Errorf("%s: got the cause %v", path, err)
		}
	}
}

// TestArrivedBeforeTheEnd: who has arrived before the server is shut down is answered.
func TestArrivedBeforeTheEnd(t *testing.T) {
	d := openPorch(t, "127.0.0.1:0", describe)
	c := knock(t, d)
	half := knock(t, d)
	say(t, half, "GET /half HTTP/1.1\r\n")
	silent := knock(t, d)
	for d.visitors.came.Load() < 3 || d.visitors.count() < 1 {
		time.Sleep(time.Millisecond)
	}
	if err := d.Close(); err != nil { // As a server does that is shut down.
		t.Fatal(err)
	}
	say(t, c, shaking("/no"))
	say(t, half, "Host: x\r\n\r\n")
	for path, c := range map[string]net.Conn{"/no": c, "/half": half} {
		res, _ := answerOf(t, bufio.NewReader(c))
		if res.Header.Get("X-Path") != path || !res.Close {
			t.Errorf("got %v, want it refused, and the end", res)
		}
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("got %q, %v, want the end", b, err)
		}
	}
	for until := time.Now().Add(atOnce); d.visitors.count() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if n := d.visitors.count(); n != 0 {
		t.Errorf("got %d visitors, want nobody to wait for", n)
	}
	d.visitors.cut()
	if b, err := io.ReadAll(silent); len(b) > 0 || err != nil {
		t.Errorf("got %q, %v, want the end", b, err)
	}
}
