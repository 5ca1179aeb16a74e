package direct_test

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/direct"
)

// pair returns two sockets that are connected, and do not block.
func pair(t *testing.T) (a, b uintptr) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(os.NewSyscallError("socketpair", err))
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			_ = syscall.Close(fd) // The test may have closed it.
		}
	})
	return uintptr(fds[0]), uintptr(fds[1])
}

func TestReadWrite(t *testing.T) {
	var caller direct.Caller
	a, b := pair(t)
	buf := make([]byte, 1<<20)
	if n, errno := caller.Read(b, buf); n > 0 || errno != syscall.EAGAIN {
		t.Errorf("nothing to read: got %d, %v, want EAGAIN", n, errno)
	}
	var sent, got []byte
	for i := range 10_000 { // So that some are ordinary calls.
		p := bytes.Repeat([]byte{byte(i)}, i%100+1)
		if n, errno := caller.Write(a, p); n != len(p) || errno != 0 {
			t.Fatalf("write: got %d, %v, want %d", n, errno, len(p))
		}
		sent = append(sent, p...)
		n, errno := caller.Read(b, buf)
		if errno != 0 {
			t.Fatalf("read: %v", errno)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, sent) {
		t.Error("what was read is not what was written")
	}
	if n, errno := caller.Write(a, buf); n <= 0 || n == len(buf) || errno != 0 {
		t.Errorf("write more than fits: got %d of %d, %v, want a part", n, len(buf), errno)
	}
	if n, errno := caller.Write(a, buf); n > 0 || errno != syscall.EAGAIN {
		t.Errorf("no room: got %d, %v, want EAGAIN", n, errno)
	}
	if err := syscall.Close(int(b)); err != nil {
		t.Fatal(err)
	}
	if n, errno := caller.Write(a, buf); n > 0 || errno != syscall.EPIPE {
		t.Errorf("closed peer: got %d, %v, want EPIPE", n, errno)
	}
	for {
		n, errno := caller.Read(a, buf)
		if n == 0 && errno == 0 {
			break
		}
		if errno != 0 && errno != syscall.ECONNRESET {
			t.Fatalf("closed peer: got %d, %v, want the end", n, errno)
		}
	}
}

// One that never waits does not keep others from running, where there is one
// processor, and the runtime's thread that sees to it sleeps when it begins.
func TestOthersRun(t *testing.T) {
	var caller direct.Caller
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, b := pair(t)
	p := make([]byte, 1)
	awaitAnother(t)
	var ran atomic.Bool
	go ran.Store(true)
	begun := time.Now()
	for !ran.Load() {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the other goroutine has not run in 5 s")
		}
		if _, errno := caller.Write(a, p); errno != 0 {
			t.Fatal(errno)
		}
		if _, errno := caller.Read(b, p); errno != 0 {
			t.Fatal(errno)
		}
	}
	t.Logf("the other goroutine ran after %v", time.Since(begun))
}

// awaitAnother waits until another process says something, which wakes no more than
// this goroutine.
func awaitAnother(t *testing.T) {
	t.Helper()
	var caller direct.Caller
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(os.NewSyscallError("socketpair", err))
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { _ = r.Close() }) // Not before: that is an ordinary call.
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.CommandContext(t.Context(), "sh", "-c", "sleep 0.3; echo; sleep 10")
	other.Stdout = w
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait() // It was killed.
	})
	_ = w.Close()
	var errno syscall.Errno
	err = raw.Read(func(fd uintptr) bool {
		_, errno = caller.Read(fd, make([]byte, 1))
		return errno != syscall.EAGAIN
	})
	if err != nil || errno != 0 {
		t.Fatal(err, errno)
	}
}
