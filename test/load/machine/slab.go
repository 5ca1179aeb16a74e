//go:build linux

package machine

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// socketCaches are the kernel's caches of structures that sockets are made of.
// Other things than sockets hardly change them.
var socketCaches = []string{
	"TCP", "sock_inode_cache", "filp", "eventpoll_epi", "eventpoll_pwq", "tcp_bind_bucket", "tcp_bind2_bucket",
	"skbuff_head_cache", "skbuff_small_head", "skbuff_fclone_cache",
}

// Sockets returns how much memory the structures of all sockets of the machine
// take, in bytes, without what is in their buffers. Only the superuser may know
// (/proc/slabinfo).
func Sockets() (int64, error) {
	f, err := os.Open("/proc/slabinfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var sum int64
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// name active_objs num_objs objsize …
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !slices.Contains(socketCaches, fields[0]) {
			continue
		}
		active, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read slabinfo: %w", err)
		}
		size, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read slabinfo: %w", err)
		}
		sum += active * size
	}
	return sum, lines.Err()
}
