//go:build linux

package machine

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// User returns the anonymous memory of the processes and their descendants, in
// bytes: heap and stacks that are resident, what several share counted once
// (Pss_Anon of smaps_rollup). Pages of files, such as the program itself, are
// not in it.
func User(pids ...int) (int64, error) {
	all, err := withDescendants(pids)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range all {
		fields, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		sum += fields["Pss_Anon"]
	}
	return sum, nil
}

// Kernel returns the memory that the kernel has taken for itself, in bytes: all
// that is neither free nor of processes nor a cache of files. So it has all that
// a socket takes (the structures, the buffers, the pages of a pipe), of all
// sockets of the machine, both ends of a connection: only a difference says
// something, and only while the machine does nothing else.
func Kernel() (int64, error) {
	m, err := kilobytes("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return m["MemTotal"] - m["MemFree"] - m["Buffers"] - m["Cached"] - m["SwapCached"] - m["AnonPages"], nil
}

// kilobytes reads lines such as "MemFree: 12 kB", and returns bytes.
func kilobytes(name string) (map[string]int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fields := make(map[string]int64)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, rest, ok := strings.Cut(lines.Text(), ":")
		number, isKB := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if !ok || !isKB {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		fields[key] = n << 10
	}
	return fields, lines.Err()
}

// Files returns how many file descriptors a process has open.
func Files(pid int) (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(list), err
}
