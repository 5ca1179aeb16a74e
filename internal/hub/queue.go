package hub

// queuePart is how many a part of a queue has.
const queuePart = 64

// A queue is a list that grows at its end and is taken from at its beginning. It is
// in parts, so that it grows without a copy of what it has, and what was taken makes
// room for what comes. The zero value is empty, as is one of which all was taken: it
// holds nothing.
type queue[T any] struct {
	parts [][]T // All but the last are full; the first may have been taken from.
	first int   // Where the oldest is in the first part.
	n     int
	spare []T // A part that was emptied, or nil.
}

func (q *queue[T]) len() int { return q.n }

// at is the one with this index; that of the oldest is 0.
func (q *queue[T]) at(i int) T {
	i += q.first
	return q.parts[i/queuePart][i%queuePart]
}

// push adds the newest.
func (q *queue[T]) push(v T) {
	last := len(q.parts) - 1
	if last < 0 || len(q.parts[last]) == queuePart {
		if q.spare == nil && last >= 0 {
			q.spare = make([]T, 0, queuePart)
		}
		q.parts = append(q.parts, q.spare)
		q.spare = nil
		last++
	}
	q.parts[last] = append(q.parts[last], v)
	q.n++
}

// drop drops the oldest. There must be one.
func (q *queue[T]) drop() {
	var none T
	part := q.parts[0]
	part[q.first] = none
	q.first++
	switch q.n--; {
	case q.n == 0:
		*q = queue[T]{}
	case q.first == queuePart:
		q.parts[0] = nil
		q.parts, q.first, q.spare = q.parts[1:], 0, part[:0]
	}
}

// count is how many of the oldest are as is says. Those that are come before those
// that are not.
func (q *queue[T]) count(is func(T) bool) int {
	from, to := 0, q.n
	for from < to {
		if middle := int(uint(from+to) / 2); is(q.at(middle)) {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from
}
