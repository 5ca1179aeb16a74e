package server

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/usher-ws/usher/internal/socket"
)

// atOnce bounds every wait of these tests for something that should come at once.
const atOnce = 30 * time.Second

// shaking is a plain handshake, which asks the handler for what its path says.
func shaking(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: gate.example:80\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nX-A: one\r\nX-A: two\r\n\r\n"
}

// A porch is a server with arrivals before it, and what both have logged.
type porch struct {
	*arrivals
	logs *diary
}

// A diary is a log.
type diary struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements [io.Writer].
func (l *diary) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was logged.
func (l *diary) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// openPorch returns arrivals at an address, all of which h serves, until the test
// ends.
func openPorch(t testing.TB, address string, h http.HandlerFunc) *porch {
	t.Helper()
	l, err := socket.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	d := &porch{logs: &diary{}}
	front := &http.Server{
		ConnContext: withConn, ReadHeaderTimeout: headTime, MaxHeaderBytes: maxHead, ErrorLog: log.New(d.logs, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !lend(w, r) {
				h(w, r)
			}
		}),
	}
	d.arrivals = newArrivals(l, front, h)
	d.visitors, d.crew = new(visitors), newCrew()
	var running sync.WaitGroup
	running.Go(d.run)
	running.Go(func() { _ = front.Serve(d.arrivals) })
	t.Cleanup(func() {
		_ = front.Close()
		d.visitors.cut()
		d.crew.stop()
		running.Wait()
	})
	return d
}

// knock connects to a listener.
func knock(t testing.TB, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(atOnce))
	return c.(*net.TCPConn)
}

// say writes text.
func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// plainly reports whether a request came without net/http.
func plainly(r *http.Request) bool {
	_, plain := r.Context().(*requestContext)
	return plain
}

// describe answers with all that is to be known of a request, as its path asks for.
func describe(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	_, served := r.Context().Value(http.ServerContextKey).(*http.Server)
	text := fmt.Sprintf("%s %q %#v %s %d %d\n%v\n%d %v %v %v\n%q %q %q\n%s %t %t %v\n", r.Method, r.URL, *r.URL, r.Proto, r.ProtoMajor, r.ProtoMinor,
		r.Header, r.ContentLength, r.TransferEncoding, r.Trailer, r.Close, r.Host, r.RequestURI, r.Pattern,
		local, served, r.Body == http.NoBody, r.TLS)
	if !strings.HasPrefix(r.URL.Path, "/take") {
		w.Header().Set("X-Path", r.URL.Path)
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, text)
		return
	}
	if r.URL.Path == "/take/switched" {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	c, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		text = err.Error()
		http.Error(w, text, http.StatusInternalServerError)
		return
	}
	defer c.Close()
	early, _ := buf.Reader.Peek(buf.Reader.Buffered())
	_, wrote := w.Write([]byte("too late"))
	_, _, again := w.(http.Hijacker).Hijack()
	fmt.Fprintf(buf, "%s%q %v %v\n", text, early[:min(len(early), 5)], wrote, again)
	_ = buf.Flush()
	_, _ = io.Copy(c, buf)
}

var date = regexp.MustCompile(`(?m)^Date: .*$`)

// exchange says text, and that nothing follows, and returns all that is answered.
func exchange(t testing.TB, l net.Listener, text string) string {
	t.Helper()
	c := knock(t, l)
	_, _ = io.WriteString(c, text) // It may be refused before it is whole.
	_ = c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("got %v behind %q", err, b)
	}
	answer := strings.ReplaceAll(string(b), l.Addr().String(), "ADDRESS")
	return date.ReplaceAllString(answer, "Date: today\r")
}

// TestArrivalsAsNetHTTP has handlers and clients see the same as with net/http
// alone, whatever is sent.
func TestArrivalsAsNetHTTP(t *testing.T) {
	std, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(describe), MaxHeaderBytes: maxHead, ReadHeaderTimeout: headTime, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = srv.Serve(std) }()
	defer srv.Close()
	d := openPorch(t, "127.0.0.1:0", describe)
	with := func(field string) string {
		return strings.Replace(shaking("/take"), "X-A: one\r\n", "X-A: one\r\n"+field, 1)
	}
	without := func(part, instead string) string { return strings.Replace(shaking("/take"), part, instead, 1) }
	get := "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := map[string]string{
		"taken":              shaking("/take?a=b&a=%20c"),
		"taken, early":       shaking("/take") + "early \x00 bytes",
		"much that is early": shaking("/take") + strings.Repeat("early ", 1200),
		"switched":           shaking("/take/switched") + "early",
		"refused":            shaking("/no"),
		"refused, and again": shaking("/no") + shaking("/nor") + get + shaking("/take") + "early",
		"slashes":            shaking("//take///x"),
		"escapes":            shaking("/take/%2e%2E/%41%zz") + get,
		"not ASCII":          shaking("/take/\xc3\xa4?\xff"),
		"plain requests":     get + "POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + get,
		"HTTP/1.0":           without("HTTP/1.1", "HTTP/1.0"),
		"HTTP/1.2":           without("HTTP/1.1", "HTTP/1.2"),
		"HTTP/2":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"TLS":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on",
		"absolute":           shaking("http://other.example/take"),
		"authority":          without("GET /take", "CONNECT gate.example:80"),
		"asterisk":           shaking("*"),
		"OPTIONS":            "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"no target":          without("/take ", ""),
		"spaces":             without("/take ", "/take  "),
		"no Host":            without("Host: gate.example:80\r\n", ""),
		"empty Host":         without("gate.example:80", ""),
		"two Hosts":          with("Host: other.example\r\n"),
		"bad Host":           without("gate.example:80", "gate.example/x@y"),
		"body":               with("Content-Length: 4\r\n") + "bodyearly",
		"bodies":             with("Content-Length: 4\r\nContent-Length: 5\r\n") + "body",
		"chunked":            with("Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\n0\r\n\r\nearly",
		"both":               with("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n",
		"Expect":             with("Expect: 100-continue\r\n"),
		"Trailer":            with("Trailer: X-B\r\n"),
		"Pragma":             with("Pragma: no-cache\r\n"),
		"close":              without("keep-alive", "close"),
		"Upgrade twice":      with("Upgrade: h2c\r\n"),
		"h2c":                without("Upgrade: websocket", "Upgrade: h2c"),
		"folded":             with("X-B: one\r\n two\r\n"),
		"folded first":       without("Host:", " Host:"),
		"bare LF":            with("X-B: one\n"),
		"all bare LF":        strings.ReplaceAll(shaking("/take"), "\r\n", "\n"),
		"bare CR":            with("X-B: one\rtwo\r\n"),
		"NUL":                with("X-B: one\x00two\r\n"),
		"DEL":                with("X-B: one\x7ftwo\r\n"),
		"white space":        with("X-B:\t one \t\r\n"),
		"before the colon":   with("X-B : one\r\n"),
		"no colon":           with("X-B\r\n"),
		"no name":            with(": one\r\n"),
		"underscores":        with("x_b-c: one\r\n"),
		"many fields":        with(strings.Repeat("X-B: y\r\n", 100)),
		"large":              with("X-B: " + strings.Repeat("y", 3<<10) + "\r\n"),
		"larger":             with("X-B: " + strings.Repeat("y", roomSize) + "\r\n"),
		"too large":          with("X-B: " + strings.Repeat("y", 2*maxHead) + "\r\n"),
		"line too large":     shaking("/" + strings.Repeat("y", 2*maxHead)),
		"blank diary":        "\r\n\r\n" + shaking("/take"),
		"half a head":        shaking("/take")[:100],
		"half a line":        "GET /ta",
		"a letter":           "G",
		"nothing":            "",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if got, want := exchange(t, d, text), exchange(t, std, text); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestHandshakeAlone: whoever keeps something of a handshake does not keep its head.
func TestHandshakeAlone(t *testing.T) {
	text := shaking("/take?a=b")
	r := handshakeOf(text)
	parts := []string{r.Host, r.RequestURI, r.URL.Path, r.URL.RawQuery}
	for _, values := range r.Header {
		parts = append(parts, values...)
	}
	begin := uintptr(unsafe.Pointer(unsafe.StringData(text)))
	for _, part := range parts {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(part))); at >= begin && at < begin+uintptr(len(text)) {
			t.Errorf("%q is a part of the head", part)
		}
	}
}

// TestArrivalInPieces: a head may come in any pieces, and is the same.
func TestArrivalInPieces(t *testing.T) {
	d := openPorch(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		if !plainly(r) {
			t.Error("a plain handshake went to net/http")
		}
		describe(w, r)
	})
	own, err := socket.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	text := shaking("/take")
	pieces := [][]string{slices.Collect(func(yield func(string) bool) {
		for i := range len(text) {
			if !yield(text[i : i+1]) {
				return
			}
		}
	})}
	for i := 1; i < len(text); i++ {
		pieces = append(pieces, []string{text[:i], text[i:]})
	}
	want := strings.ReplaceAll(exchange(t, d, text+"early"), `"early"`, `""`)
	for _, list := range pieces {
		c := knock(t, own)
		s, err := own.AcceptConn()
		if err != nil {
			t.Fatal(err)
		}
		d.arrived(s)
		for _, piece := range list {
			say(t, c, piece)
			for !emptied(s) { // So that it is read before the next one comes.
				time.Sleep(10 * time.Microsecond)
			}
		}
		say(t, c, "early")
		_ = c.CloseWrite()
		b, err := io.ReadAll(c)
		_ = c.Close()
		if got := strings.ReplaceAll(string(b), own.Addr().String(), "ADDRESS"); err != nil || strings.ReplaceAll(got, `"early"`, `""`) != want {
			t.Fatalf("got %q, %v for %d pieces, the first of %d, want %q", got, err, len(list), len(list[0]), want)
		}
	}
}

// emptied reports whether all that has come was read.
func emptied(c *socket.Conn) bool {
	var err error
	closed := c.Raw().Control(func(fd uintptr) {
		_, _, err = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return closed != nil || errors.Is(err, syscall.EAGAIN)
}

// TestArrivalLate: the time for a head is one, whoever reads it.
func TestArrivalLate(t *testing.T) {
	d := openPorch(t, "127.0.0.1:0", describe)
	own, err := socket.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, text := range []string{"", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\nHost"} {
		begun := time.Now()
		c := knock(t, own)
		say(t, c, text)
		s, err := own.AcceptConn()
		if err != nil {
			t.Fatal(err)
		}
		one := &arrival{at: d.arrivals, conn: s, visitor: &visitor{conn: s, silent: true}, begun: begun.Add(100*time.Millisecond - headTime)}
		d.visitors.let(one.visitor)
		d.crew.start(one.serve)
		b, _ := io.ReadAll(c)
		if took := time.Since(begun); took < 100*time.Millisecond || took > headTime/2 {
			t.Errorf("%q: got %q after %v, want the end after 100ms", text, b, took)
		}
	}
}

// TestArrivalTooLate: who is accepted in the moment of the end is not served after
// it.
func TestArrivalTooLate(t *testing.T) {
	d := openPorch(t, "127.0.0.1:0", describe)
	own, err := socket.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	c := knock(t, own)
	s, err := own.AcceptConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
	begun := time.Now()
	d.arrived(s)
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil || time.Since(begun) > headTime/2 {
		t.Errorf("got %q, %v after %v, want the end", b, err, time.Since(begun))
	}
}

// TestArrivalAddresses: addresses are those that the client has, also where it
// comes by IPv4 to a listener of both.
func TestArrivalAddresses(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		seen := make(chan string, 1)
		d := openPorch(t, at, func(_ http.ResponseWriter, r *http.Request) {
			seen <- fmt.Sprint(r.RemoteAddr, " ", r.Context().Value(http.LocalAddrContextKey), " ", plainly(r))
		})
		_, port, _ := net.SplitHostPort(d.Addr().String())
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				if !strings.Contains(at, "::]") { // It is not for both.
					continue
				}
				t.Fatal(err)
			}
			say(t, c, shaking("/"))
			if got, want := <-seen, fmt.Sprint(c.LocalAddr(), " ", c.RemoteAddr(), " true"); got != want {
				t.Errorf("%s from %s: got %s, want %s", at, host, got, want)
			}
			_ = c.Close()
		}
	}
}

// TestArrivalsWithoutFiles: who cannot be accepted for want of files is accepted
// when there are some, and the log says so.
func TestArrivalsWithoutFiles(t *testing.T) {
	d := openPorch(t, "127.0.0.1:0", describe)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client := os.NewFile(uintptr(fd), "client")
	defer client.Close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	few := syscall.Rlimit{Cur: uint64(next.Fd()), Max: before.Max}
	_ = next.Close()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	to := &syscall.SockaddrInet4{Port: d.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	connected := syscall.Connect(fd, to)
	for until := time.Now().Add(atOnce); !strings.Contains(d.logs.String(), "too many open files; retrying") && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if err := errors.Join(connected, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)); err != nil {
		t.Fatal(err)
	}
	if got := d.logs.String(); !strings.Contains(got, "Accept error") {
		t.Errorf("got the log %q", got)
	}
	if _, err := client.WriteString(shaking("/no")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 12)
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "HTTP/1.1 403" {
		t.Errorf("got %q, %v, want an answer", b, err)
	}
}
