package server_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A way is one of both that a handshake can be served: see TestAttacksBothWays.
type way struct{ name, text string }

// bothWays returns a good handshake for each.
func bothWays(t testing.TB) []way {
	t.Helper()
	text := strings.Replace(handshake("/chat/a", ""), "AUTH", "Authorization: Bearer "+token(t, secret, nil), 1)
	return []way{{"plain", text}, {"by net/http", strings.Replace(text, "\r\n", "\n", 1)}}
}

// quiet fails the test if the operator was told of anything.
func quiet(t testing.TB, g *gateway) {
	t.Helper()
	for line := range strings.Lines(g.logs.String()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
			t.Errorf("logged %s", line)
		}
	}
}

// TestGoneWithinTheHead has clients break off, or close their half, within a head,
// and break off right behind it.
func TestGoneWithinTheHead(t *testing.T) {
	b := newTrap(t, nil)
	g := trapped(t, b, "")
	soFar := leavesNothing(t)
	for _, w := range bothWays(t) {
		for _, at := range []int{0, 1, 4, 40, len(w.text) - 1} {
			for range 10 {
				c := connect(t, g.public)
				say(t, c, w.text[:at])
				reset(c)
			}
			c := connect(t, g.public)
			say(t, c, w.text[:at])
			c.CloseWrite()
			got, err := io.ReadAll(c)
			if want := "HTTP/1.1 400 "; err != nil || at == 0 && len(got) > 0 || at > 0 && !strings.HasPrefix(string(got), want) {
				t.Errorf("%s, %d bytes: got %q, %v", w.name, at, got, err)
			}
			c.Close()
		}
	}
	soFar()
	if n := b.came(); n > 0 {
		t.Errorf("got %d connections to the backend, want none", n)
	}
	for _, w := range bothWays(t) { // Behind it the backend may hear of them, or not any more.
		for range 20 {
			c := connect(t, g.public)
			say(t, c, w.text)
			reset(c)
		}
	}
	soFar()
	b.took(t)
	quiet(t, g)
}

// TestGoneBehindTheHead has clients go while the upstream thinks, and with the
// answer on its way: the upstream hears of it.
func TestGoneBehindTheHead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := trapped(t, &trap{Listener: l}, "")
	soFar := leavesNothing(t)
	goes := map[string]func(*net.TCPConn){"reset": reset, "closed": func(c *net.TCPConn) { c.Close() }}
	for _, w := range bothWays(t) {
		for how, leave := range goes {
			for _, answered := range []bool{false, true} {
				c := connect(t, g.public)
				say(t, c, w.text)
				up, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				up.SetDeadline(time.Now().Add(patience))
				head := make([]byte, 4096)
				n, err := up.Read(head)
				if err != nil || !strings.HasSuffix(string(head[:n]), "\r\n\r\n") {
					t.Fatalf("got %q, %v, want a head", head[:n], err)
				}
				if answered {
					say(t, up, switched(string(head[:n])))
				}
				leave(c)
				rest := ""
				for err == nil && !closes(rest) { // A Close ends a tunnel, once it is answered.
					n, err = up.Read(head)
					rest += string(head[:n])
				}
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s, %s, answered %t: the upstream is kept; got %q", w.name, how, answered, rest)
				}
				up.Close()
			}
		}
	}
	soFar()
	quiet(t, g)
}

// TestCrowdThatSaysNothing has many connections, of which nothing comes or half a
// head: each costs a goroutine and no more, others are served, and when they go
// nothing is left.
func TestCrowdThatSaysNothing(t *testing.T) {
	const crowd = 300
	b := newTrap(t, nil)
	g := trapped(t, b, "")
	soFar := leavesNothing(t)
	text := bothWays(t)[0].text
	for _, said := range []string{"", text[:1], text[:len(text)-2]} {
		before := runtime.NumGoroutine()
		conns := make([]*net.TCPConn, crowd)
		for i := range conns {
			conns[i] = connect(t, g.public)
			say(t, conns[i], said)
		}
		if answer := send(t, g.public, text+last); !strings.HasPrefix(answer, "HTTP/1.1 101 ") {
			t.Errorf("beside %d that have said %q: got %q", crowd, said, answer)
		}
		if n := runtime.NumGoroutine() - before; n > crowd+100 {
			t.Errorf("%d that have said %q: got %d goroutines more", crowd, said, n)
		}
		for _, c := range conns {
			c.Close()
		}
		b.took(t)
		soFar()
	}
	quiet(t, g)
}

// TestNoFileLeft: while connections cannot be accepted those that were are served,
// and the others as soon as they can be.
func TestNoFileLeft(t *testing.T) {
	g := trapped(t, newTrap(t, nil), "")
	early := []*net.TCPConn{connect(t, g.public), connect(t, g.public)} // Are accepted in time, and say nothing yet.
	soon(t, "arrivals", func() bool {
		return strings.HasPrefix(send(t, g.public, last), "HTTP/1.1 404 ")
	})
	late := lateConns(t, 5)
	free := takeAllFiles(t)
	to := &syscall.SockaddrInet4{Port: early[0].RemoteAddr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	for _, fd := range late {
		if err := syscall.Connect(fd, to); err != nil {
			t.Error(err)
		}
	}
	g.logs.await(t, "too many open files")
	for i, text := range []string{last, strings.Replace(handshake("/chat/a", ""), "AUTH\r\n", "", 1)} {
		say(t, early[i], text)
		buf := make([]byte, 13)
		if _, err := io.ReadFull(early[i], buf); err != nil || string(buf[:10]) != "HTTP/1.1 4" {
			t.Errorf("got %q, %v, want a refusal", buf, err)
		}
	}
	free()
	for _, fd := range late {
		if _, err := syscall.Write(fd, []byte(last)); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 13)
		if n, err := syscall.Read(fd, buf); string(buf[:n]) != "HTTP/1.1 404 " {
			t.Errorf("got %q, %v, want the answer", buf[:n], err)
		}
	}
}

// lateConns are sockets that are to connect later, when there are no more.
func lateConns(t *testing.T, n int) (fds []int) {
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		_ = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: int64(patience / time.Second)})
		fds = append(fds, fd)
	}
	return fds
}

// takeAllFiles leaves this process no file to open, until free is called.
func takeAllFiles(t *testing.T) (free func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = uint64(openFiles(t)) + 20
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var taken []int
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	free = func() {
		for _, fd := range taken {
			syscall.Close(fd)
		}
		taken = nil
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(free)
	return free
}

// TestDrainOfHalfHeads has heads completed after the drain has begun: nobody gets
// in, and the end does not wait for them.
func TestDrainOfHalfHeads(t *testing.T) {
	for _, w := range bothWays(t) {
		t.Run(w.name, func(t *testing.T) {
			b := newTrap(t, nil)
			g := trapped(t, b, "")
			soFar := leavesNothing(t)
			page := strings.Replace(w.text, "\r\n\r\n", "\r\nOrigin: http://gate.example\r\n\r\n", 1)
			half := make(map[*net.TCPConn]string)
			for _, text := range []string{w.text, page} {
				c := connect(t, g.public)
				say(t, c, text[:50])
				half[c] = text[50:]
			}
			soon(t, "arrivals", func() bool { return strings.HasPrefix(send(t, g.public, last), "HTTP/1.1 404 ") })
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				g.stop()
			}()
			g.logs.await(t, "msg=draining")
			for c, rest := range half {
				_, _ = io.WriteString(c, rest) // It may be closed already.
				answer, buf := "", make([]byte, 1000)
				for err := error(nil); err == nil && !strings.Contains(answer, "draining"); {
					var n int
					n, err = c.Read(buf)
					answer += string(buf[:n])
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got no end after %q", answer)
					}
				}
				c.Close()
			}
			<-ended
			if n := b.came(); n > 0 {
				t.Errorf("got %d connections to the backend, want none", n)
			}
			soFar()
		})
	}
}
