package server

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// A handshake leaves some 20 KB of garbage, and then its connection is idle for
// hours. Left alone, the collector runs every few hundred handshakes while many
// come, which is a good part of what they cost, and keeps for the idle hours the
// room that the storm has needed. So it is given a fixed room at the start, and
// that is taken back when nothing comes.
const (
	// gcRoom is how much more garbage than by itself the collector lets come
	// together, in bytes: what the peak is higher by.
	gcRoom = 32 << 20
	// roomPart is what part of all memory that may be at most.
	roomPart = 32
	// trimEvery is how often it is looked whether memory can be given back.
	trimEvery = time.Second
	// trimRest is how long at least is between two times that it is: each is a
	// collection.
	trimRest = 5 * time.Second
	// quiet is how many requests in trimEvery are too few to wait for more.
	quiet = 20
	// messagesPerVisit is how many messages of a hub count as a request: each leaves,
	// or has its channel keep, some half a kilobyte. What is taken back from who
	// goes on is only taken again.
	messagesPerVisit = 40
	// trimLeast is what it must be worth, in bytes, and trimPart in parts of
	// what is in use.
	trimLeast = 4 << 20
	trimPart  = 0.1
)

// A keeper gives the garbage collector room and takes it back. The zero value
// does nothing.
type keeper struct {
	visits func() int64 // How many requests came since the start, or as much as that.
	// room is memory that nobody touches, so that it is none: the collector
	// counts it as in use, and lets as much garbage come together.
	room []byte

	seen    int64
	trimmed time.Time
}

// newKeeper returns a keeper, which does nothing where the operator has told the
// collector what to do, by GOGC or GOMEMLIMIT.
func newKeeper(visits func() int64) *keeper {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return &keeper{}
	}
	return &keeper{visits: visits, room: make([]byte, roomIn(os.ReadFile))}
}

// roomIn returns how much room there may be: a small part of what memory the
// machine has, and the container.
func roomIn(read func(name string) ([]byte, error)) uint64 {
	room := uint64(gcRoom)
	for name, unit := range map[string]uint64{
		"/sys/fs/cgroup/memory.max":                   1,
		"/sys/fs/cgroup/memory/memory.limit_in_bytes": 1,
		"/proc/meminfo":                               1 << 10, // It begins with MemTotal, in kB.
	} {
		text, err := read(name)
		if err != nil {
			continue
		}
		first := strings.Fields(strings.TrimPrefix(string(text), "MemTotal:"))
		if len(first) == 0 {
			continue
		}
		if all, err := strconv.ParseUint(first[0], 10, 64); err == nil && all < math.MaxUint64/unit {
			room = min(room, all*unit/roomPart)
		}
	}
	return room
}

// run gives memory back whenever it is quiet, until ctx ends.
func (k *keeper) run(ctx context.Context) {
	if k.visits == nil {
		return
	}
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			runtime.KeepAlive(k.room)
			return
		case now := <-tick.C:
			if k.isTime(now) && k.worth() {
				debug.FreeOSMemory()
				k.trimmed = time.Now()
			}
		}
	}
}

// visits is how many requests came since the start, and as many as the messages of
// the hub are worth.
func (s *Server) visits() int64 {
	n := s.visitors.came.Load()
	if s.hub != nil {
		n += s.hub.hub.Published() / messagesPerVisit
	}
	return n
}

// isTime reports whether few requests came since it was last asked, and the last
// trimming was long enough ago.
func (k *keeper) isTime(now time.Time) bool {
	visits := k.visits()
	few := visits-k.seen < quiet
	k.seen = visits
	return few && now.Sub(k.trimmed) >= trimRest
}

// worth reports whether much of what the heap takes is garbage, or free
// and not given back.
func (k *keeper) worth() bool {
	all := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(all)
	objects, free, live := all[0].Value.Uint64(), all[1].Value.Uint64(), all[2].Value.Uint64()
	idle := free + max(objects, live) - live
	used := max(live, uint64(len(k.room))) - uint64(len(k.room))
	return idle > max(trimLeast, uint64(trimPart*float64(used)))
}
