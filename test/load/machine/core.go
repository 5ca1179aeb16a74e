//go:build linux

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cores returns the cores that this process may run on.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read the cores of this process: %w", err)
	}
	var cores []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores, nil
}

// Pin keeps this process on one core: the threads that it has, and those that
// they will make.
func Pin(core int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := pinThread(tid, core); err != nil {
			return err
		}
	}
	return nil
}

func pinThread(tid, core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("pin thread %d to core %d: %w", tid, core, err)
	}
	return nil
}

// StartOn starts a command on one core, from its first instruction: what counts
// the cores when it begins, as Go's runtime does, finds one.
func StartOn(core int, cmd *exec.Cmd) error {
	// A process inherits the cores of the thread that makes it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the cores of this thread: %w", err)
	}
	if err := pinThread(0, core); err != nil {
		return err
	}
	err := cmd.Start()
	if restore := unix.SchedSetaffinity(0, &before); restore != nil && err == nil {
		err = fmt.Errorf("unpin the thread that starts processes: %w", restore)
	}
	return err
}

// Describe says what machine this is: processor, cores, memory, kernel.
func Describe() string {
	var parts []string
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				parts = append(parts, strings.TrimSpace(value))
				break
			}
		}
	}
	if cores, err := Cores(); err == nil {
		parts = append(parts, fmt.Sprintf("%d cores", len(cores)))
	}
	if m, err := kilobytes("/proc/meminfo"); err == nil {
		parts = append(parts, fmt.Sprintf("%d GB", (m["MemTotal"]+1<<29)>>30))
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
		parts = append(parts, "Linux "+release)
	}
	return strings.Join(append(parts, runtime.Version()), ", ")
}

// MaxFiles raises the limit of file descriptors of this process, which those
// that it starts inherit, as far as it may, and returns it.
func MaxFiles() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of files: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise the limit of files: %w", err)
	}
	return int(limit.Cur), nil
}
