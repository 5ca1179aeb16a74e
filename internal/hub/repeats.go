package hub

import "strings"

// repeats are the keys by which a channel's entries are known when they are
// appended again, each with the place that its entry got. What a connection numbers
// comes in order, so a list for each connection tells all, and nothing is hashed;
// what does not come so, and all other keys, are in a map.
type repeats struct {
	runs   map[string]*run // By connection. None is empty.
	last   *run            // The one that was looked for last, or nil.
	others map[Key]Position
	list   []Key     // Of others, the oldest first.
	order  []stretch // Of all, the oldest first.
	n      int       // How many there are.
	bytes  int64     // What they cost, roughly.
}

// A run is what one connection has numbered, in a rising order.
type run struct {
	of   string
	list queue[numbered]
}

type numbered struct {
	number int64
	at     Position
}

// A stretch is so many keys that came one after the other, all of a run, or none
// of any.
type stretch struct {
	run *run
	n   int
}

// What a key costs in memory, roughly.
const (
	numberedSize = 64
	runSize      = 192 // And its connection's id.
	otherSize    = 128 // And its id.
)

// unnumbered is the number of an entry that has none.
const unnumbered = -1

// number is what a connection has numbered the entry with, whose first id is then
// connection:number:0.
func (e *Entry) number() int64 {
	rest, own := strings.CutPrefix(e.Messages[0].ID, e.ConnectionID)
	if !own || e.Kind == Presence || e.ConnectionID == "" || len(rest) < len(":0:0") || rest[0] != ':' {
		return unnumbered
	}
	digits, first := strings.CutSuffix(rest[1:], ":0")
	if !first || len(digits) > 18 || digits[0] == '0' && len(digits) > 1 { // It can be written in one way only.
		return unnumbered
	}
	n := int64(0)
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return unnumbered
		}
		n = 10*n + int64(digits[i]-'0')
	}
	return n
}

// run returns that of a connection, or nil.
func (r *repeats) run(of string) *run {
	if r.last == nil || r.last.of != of {
		r.last = r.runs[of]
	}
	return r.last
}

// find returns the place of an entry that is appended again. n is its number.
func (r *repeats) find(e *Entry, n int64) (at Position, again bool) {
	if n != unnumbered {
		if run := r.run(e.ConnectionID); run != nil && n <= run.newest() {
			i := run.list.count(func(one numbered) bool { return one.number < n })
			if one := run.list.at(i); one.number == n {
				return one.at, true
			}
		}
	}
	if len(r.others) == 0 {
		return 0, false
	}
	at, again = r.others[e.Key()]
	return at, again
}

func (r *run) newest() int64 { return r.list.at(r.list.len() - 1).number }

// cost is what add will add to bytes.
func (r *repeats) cost(e *Entry, n int64) int64 {
	if n != unnumbered {
		switch run := r.run(e.ConnectionID); {
		case run == nil:
			return runSize + int64(len(e.ConnectionID)) + numberedSize
		case n > run.newest():
			return numberedSize
		}
	}
	return otherSize + int64(len(e.Messages[0].ID))
}

// add adds the key of an entry that has its place, and is not there. n is its
// number.
func (r *repeats) add(e *Entry, n int64) {
	r.bytes += r.cost(e, n)
	r.n++
	var of *run
	if n != unnumbered {
		of = r.run(e.ConnectionID)
		if of == nil {
			of = r.begin(e.ConnectionID)
		} else if n < of.newest() {
			of = nil
		}
	}
	if of != nil {
		of.list.push(numbered{n, e.Position})
	} else {
		if r.others == nil {
			r.others = make(map[Key]Position)
		}
		r.others[e.Key()] = e.Position
		r.list = append(r.list, e.Key())
	}
	if last := len(r.order) - 1; last >= 0 && r.order[last].run == of {
		r.order[last].n++
	} else {
		r.order = append(r.order, stretch{of, 1})
	}
}

func (r *repeats) begin(connection string) *run {
	one := &run{of: connection}
	if r.runs == nil {
		r.runs = make(map[string]*run)
	}
	r.runs[connection], r.last = one, one
	return one
}

// oldest is the place of the entry whose key is the oldest. There must be one.
func (r *repeats) oldest() Position {
	if run := r.order[0].run; run != nil {
		return run.list.at(0).at
	}
	return r.others[r.list[0]]
}

// forget forgets the oldest. There must be one.
func (r *repeats) forget() {
	r.n--
	first := &r.order[0]
	if run := first.run; run != nil {
		r.bytes -= numberedSize
		if run.list.drop(); run.list.len() == 0 {
			r.bytes -= runSize + int64(len(run.of))
			delete(r.runs, run.of)
			r.last = nil
		}
	} else {
		r.bytes -= otherSize + int64(len(r.list[0].ID))
		delete(r.others, r.list[0])
		r.list[0] = Key{}
		r.list = r.list[1:]
	}
	if first.n--; first.n == 0 {
		*first = stretch{}
		r.order = r.order[1:]
	}
}
