//go:build linux

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// burn uses so much processor time of its thread, by the thread's own clock.
func burn(t *testing.T, d time.Duration) {
	t.Helper()
	clock := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
			t.Error(err)
		}
		return time.Duration(ts.Nano())
	}
	for end := clock() + d; clock() < end && !t.Failed(); {
		continue
	}
}

// The clock of a process has the time of threads that have ended.
func TestCPUOfEndedThreads(t *testing.T) {
	const used = 20 * time.Millisecond
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int)
	go func() {
		runtime.LockOSThread() // And not unlocked: the thread ends with the goroutine.
		burn(t, used)
		ended <- unix.Gettid()
	}()
	tid := <-ended
	for deadline := time.Now().Add(10 * time.Second); unix.Access(fmt.Sprintf("/proc/self/task/%d", tid), unix.F_OK) == nil; {
		if tid == os.Getpid() || time.Now().After(deadline) {
			break // The main thread is not ended but parked; its time counts alike.
		}
		runtime.Gosched()
	}
	after, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got := after - before; got < used {
		t.Errorf("got %v, want at least %v", got, used)
	}
}

// Our own clock by number is the clock that the kernel has for us by name.
func TestCPUIsTheProcessClock(t *testing.T) {
	read := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	before := read()
	got, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after := read(); got < before || got > after {
		t.Errorf("got %v, want between %v and %v", got, before, after)
	}
	if _, err := CPU(1 << 23); err == nil {
		t.Error("got the clock of a process that cannot be")
	}
}

// What is started on a core is there with its children, and is counted with
// them.
func TestStartOn(t *testing.T) {
	before, err := Cores()
	if err != nil {
		t.Fatal(err)
	}
	core := before[len(before)-1]
	// The second shell is a child: the first has something left to do.
	const show = `while read -r key value; do case $key in Cpus_allowed_list:) echo "$key $value";; esac; done </proc/$$/status`
	cmd := exec.Command("sh", "-c", "sh -c '"+show+"; read line; exit 0'; exit 0")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := StartOn(core, cmd); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 100)
	n, err := out.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Fields(string(text[:n])), fmt.Sprint(core); len(got) != 2 || got[1] != want {
		t.Errorf("got %q, want core %s", got, want)
	}
	all, err := withDescendants([]int{cmd.Process.Pid})
	if err != nil || len(all) != 2 || all[0] != cmd.Process.Pid {
		t.Errorf("got processes %v, %v, want %d and its child", all, err, cmd.Process.Pid)
	}
	sum, err := CPUOf(cmd.Process.Pid)
	if err != nil || sum <= 0 {
		t.Errorf("got %v, %v of processor time", sum, err)
	}
	if used, err := User(cmd.Process.Pid); err != nil || used <= 0 {
		t.Errorf("got %d bytes, %v", used, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if after, err := Cores(); err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("got cores %v, %v for ourselves, want %v as before", after, err, before)
	}
}

func TestMemory(t *testing.T) {
	before, err := User(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 32 << 20
	page, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < size; i += 4096 {
		page[i] = 1
	}
	after, err := User(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Munmap(page); err != nil {
		t.Fatal(err)
	}
	if got := after - before; got < size*9/10 || got > size*2 {
		t.Errorf("got %d bytes more, want about %d", got, size)
	}
	if kernel, err := Kernel(); err != nil || kernel <= 0 {
		t.Errorf("kernel: got %d bytes, %v", kernel, err)
	}
	if files, err := Files(os.Getpid()); err != nil || files < 3 {
		t.Errorf("got %d files, %v", files, err)
	}
}

func TestDescribe(t *testing.T) {
	if got := Describe(); !strings.Contains(got, "Linux ") || !strings.Contains(got, runtime.Version()) {
		t.Errorf("got %q, want the kernel and Go in it", got)
	}
}
