package socket

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// patience bounds every wait of a test for something that should come at once.
const patience = 10 * time.Second

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	config := net.ListenConfig{KeepAliveConfig: KeepAlive}
	l, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// call is one to l that nobody ends.
func call(l net.Listener) *Call {
	addr := netip.MustParseAddrPort(l.Addr().String())
	return &Call{
		Addr: addr, Say: []byte("hello"), Hear: make([]byte, 10), Connect: patience, Answer: patience,
		Until: func(func()) func() bool { return func() bool { return true } },
	}
}

// pair returns both ends of a connection on which both have said something.
func pair(t testing.TB, address string) (client, server net.Conn) {
	t.Helper()
	l := listen(t, address)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 5))
		}
		if err == nil {
			_, err = io.WriteString(c, "you too")
		}
		if err != nil {
			t.Errorf("accept: %v", err)
		}
		accepted <- c
	}()
	k := call(l)
	c, n, err := k.Dial()
	if err != nil || string(k.Hear[:n]) != "you too" {
		t.Fatalf("got %q, %v", k.Hear[:n], err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return c, <-accepted
}

// TestConn holds both ends against what the standard library says of a [net.Conn].
func TestConn(t *testing.T) {
	for name, address := range map[string]string{"IPv4": "127.0.0.1:0", "IPv6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c1, c2 = pair(t, address)
				return c1, c2, func() {
					_ = c1.Close()
					_ = c2.Close()
				}, nil
			})
		})
	}
}

// TestErrors has the errors that callers of package net look for.
func TestErrors(t *testing.T) {
	client, server := pair(t, "127.0.0.1:0")
	if got, want := client.LocalAddr().String(), server.RemoteAddr().String(); got != want {
		t.Errorf("got the address %s, and %s at the other end", got, want)
	}
	if got, want := client.RemoteAddr().String(), server.LocalAddr().String(); got != want {
		t.Errorf("got the peer's address %s, and %s there", got, want)
	}
	_ = client.SetReadDeadline(time.Unix(1, 0))
	_, err := client.Read(make([]byte, 1))
	rawErr := client.(*Conn).Raw().Read(func(uintptr) bool { return false })
	for _, err := range []error{err, rawErr} {
		if late, ok := errors.AsType[net.Error](err); !errors.Is(err, os.ErrDeadlineExceeded) || !ok || !late.Timeout() {
			t.Errorf("got %v at the deadline", err)
		}
	}
	_ = client.SetReadDeadline(time.Time{})
	_ = server.Close()
	if _, err := client.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // Readers compare it.
		t.Errorf("got %v at the end, want EOF", err)
	}
	_, _ = client.Write(make([]byte, 1)) // Which is answered by a reset.
	for until := time.Now().Add(patience); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && time.Now().Before(until); {
		_, err = client.Write(make([]byte, 1))
	}
	if _, ok := errors.AsType[*net.OpError](err); !ok || err == nil {
		t.Errorf("got %v after a reset, want an OpError", err)
	}
	_ = client.Close()
	_, readErr := client.Read(make([]byte, 1))
	_, writeErr := client.Write(make([]byte, 1))
	rawErr = client.(*Conn).Raw().Read(func(uintptr) bool { return false })
	for _, err := range []error{readErr, writeErr, rawErr, client.Close(), client.SetDeadline(time.Time{})} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v of a closed connection, want net.ErrClosed", err)
		}
	}
}

// TestWriteErrors has what a write says that the deadline or the end cuts off.
func TestWriteErrors(t *testing.T) {
	client, server := pair(t, "127.0.0.1:0")
	much := make([]byte, 64<<20)
	_ = client.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := client.Write(much)
	failed, ok := errors.AsType[*net.OpError](err)
	if n <= 0 || n >= len(much) || !errors.Is(err, os.ErrDeadlineExceeded) || !ok || failed.Op != "write" {
		t.Errorf("got %d, %v of a write that is too slow, want a part of %d, and a timeout of write", n, err, len(much))
	}
	if read, err := io.CopyN(io.Discard, server, int64(n)); err != nil {
		t.Errorf("got %d of the %d bytes that were said to be written, %v", read, n, err)
	}
	_ = client.SetWriteDeadline(time.Time{})
	time.AfterFunc(50*time.Millisecond, func() { _ = client.Close() })
	_, err = client.Write(much)
	_, later := client.Write(nil)
	for _, err := range []error{err, later} {
		if failed, ok := errors.AsType[*net.OpError](err); !errors.Is(err, net.ErrClosed) || !ok || failed.Op != "write" {
			t.Errorf("got %v of a closed connection, want net.ErrClosed of write", err)
		}
	}
}

// TestRefused: nobody listens, so that there is no connection.
func TestRefused(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	k := call(l)
	_ = l.Close()
	c, _, err := k.Dial()
	if want := "dial tcp " + k.Addr.String() + ": connect: connection refused"; c != nil || !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != want {
		t.Errorf("got %v, %v, want no connection", c, err)
	}
}

// TestHungUp: whoever hangs up was there.
func TestHungUp(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	for _, linger := range []int{-1, 0} { // With an end, and with a reset.
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.ReadFull(c, make([]byte, 5))
			_ = c.(*net.TCPConn).SetLinger(linger)
			_ = c.Close()
		}()
		c, _, err := call(l).Dial()
		if c == nil || err == nil || linger < 0 && !errors.Is(err, io.EOF) {
			t.Fatalf("got %v, %v, want a connection that has ended", c, err)
		}
		_ = c.Close()
	}
}

// TestItself: who answers with what was said is this end itself, and nobody listens.
func TestItself(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.CopyN(c, c, 3)
			_ = c.Close()
		}
	}()
	if c, _, err := call(l).Dial(); c != nil || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, %v, want no connection", c, err)
	}
}

// TestSilent: a peer has its time to answer, and no more.
func TestSilent(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	k := call(l)
	k.Answer = 10 * time.Millisecond
	c, _, err := k.Dial()
	if c == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v, %v, want a connection and a deadline", c, err)
	}
	_ = c.Close()
}

// full returns a listener that takes no more connections, until it is emptied.
func full(t *testing.T) (l net.Listener, empty func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "full")
	l, err = net.FileListener(file)
	_ = file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	inside, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	return l, func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	}
}

// TestLate: a connection that takes its time is waited for, as long as was said.
func TestLate(t *testing.T) {
	l, empty := full(t)
	k := call(l)
	k.Connect = 20 * time.Millisecond
	c, _, err := k.Dial()
	if c != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, %v, want no connection in time", c, err)
	}
	go func() {
		empty()
		for { // The attempt that was given up may be there by now.
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(c, make([]byte, 5)); err == nil {
				_, _ = io.WriteString(c, "at last")
			}
		}
	}()
	k = call(l)
	c, n, err := k.Dial()
	if err != nil || string(k.Hear[:n]) != "at last" {
		t.Fatalf("got %q, %v", k.Hear[:n], err)
	}
	_ = c.Close()
}

// TestUntil: a call whose caller has gone is over, and nothing is left of it.
func TestUntil(t *testing.T) {
	busy, _ := full(t)
	silent := listen(t, "127.0.0.1:0")
	for _, l := range []net.Listener{busy, silent} {
		k, stopped := call(l), false
		k.Until = func(f func()) func() bool {
			time.AfterFunc(10*time.Millisecond, f)
			return func() bool { stopped = true; return false }
		}
		begun := time.Now()
		c, _, err := k.Dial()
		if err == nil || !stopped || time.Since(begun) > patience/2 || l == busy && c != nil {
			t.Errorf("got %v, %v after %v", c, err, time.Since(begun))
		}
		if c != nil {
			if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want it closed", err)
			}
		}
	}
}

// TestOptions: what is dialed has the options that package net sets for KeepAlive, but
// that a connection to this machine need not be kept alive.
func TestOptions(t *testing.T) {
	client, server := pair(t, "127.0.0.1:0")
	defer client.Close()
	defer server.Close()
	want, err := server.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	noDelay := struct{ level, name, value int }{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1}
	if got := valueOf(t, client.(*Conn).Raw(), noDelay.level, noDelay.name); got != 1 {
		t.Errorf("got %d for TCP_NODELAY of what is dialed, want 1", got)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := options(fd, true); err != nil {
		t.Fatal(err)
	}
	for _, option := range alive {
		w := valueOf(t, want, option.level, option.name)
		if got, err := syscall.GetsockoptInt(fd, option.level, option.name); err != nil || got != w {
			t.Errorf("got %d, %v for option %d of what is dialed elsewhere, want %d", got, err, option.name, w)
		}
	}
}

func valueOf(t *testing.T, raw syscall.RawConn, level, name int) (value int) {
	t.Helper()
	var failed error
	err := raw.Control(func(fd uintptr) { value, failed = syscall.GetsockoptInt(int(fd), level, name) })
	if err != nil || failed != nil {
		t.Fatalf("read option %d: %v, %v", name, err, failed)
	}
	return value
}
