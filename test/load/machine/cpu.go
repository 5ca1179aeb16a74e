//go:build linux

// Package machine asks the kernel what processes cost: their processor time to
// the nanosecond, and their memory. It also starts them, each on one core. It
// knows nothing of what they do. Command load calls it.
package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the processor time that a process has used so far, of all its
// threads, those that have ended included, in user and kernel mode. The kernel
// keeps it exactly, not by ticks (clock_getcpuclockid(3)).
func CPU(pid int) (time.Duration, error) {
	// The clock of a process is its id, inverted, above three bits that say:
	// scheduler time, of the whole process.
	const schedulerTime = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|schedulerTime, &t); err != nil {
		return 0, fmt.Errorf("read cpu clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// CPUOf returns the sum of CPU over the processes and their descendants that
// live now.
func CPUOf(pids ...int) (time.Duration, error) {
	var sum time.Duration
	all, err := withDescendants(pids)
	if err != nil {
		return 0, err
	}
	for _, pid := range all {
		t, err := CPU(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// withDescendants adds the children of processes, and theirs.
func withDescendants(pids []int) ([]int, error) {
	var all []int
	for _, pid := range pids {
		all = append(all, pid)
		// A file for each thread, of the children that it has made.
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		if err != nil {
			return nil, err
		}
		for _, name := range lists {
			text, err := os.ReadFile(name)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // The thread has ended.
			}
			if err != nil {
				return nil, err
			}
			var children []int
			for field := range strings.FieldsSeq(string(text)) {
				child, err := strconv.Atoi(field)
				if err != nil {
					return nil, fmt.Errorf("read %s: %w", name, err)
				}
				children = append(children, child)
			}
			below, err := withDescendants(children)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		}
	}
	return all, nil
}
