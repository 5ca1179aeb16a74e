package rest

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// A span is what the parameters of a page say that are the same everywhere.
type span struct {
	start, end int64 // In milliseconds since 1970; 0 is no bound.
	forwards   bool
	limit      int
	cursor     string
}

// span reads the parameters of a page.
func (c *call) span() (s span, err error) {
	if s.start, err = c.millis("start"); err != nil {
		return s, err
	}
	if s.end, err = c.millis("end"); err != nil {
		return s, err
	}
	if s.limit, err = c.limit(); err != nil {
		return s, err
	}
	switch c.query.Get("direction") {
	case "", "backwards":
	case "forwards":
		s.forwards = true
	default:
		return s, ably.Errorf(ably.BadParameter, "direction is forwards or backwards")
	}
	if s.end != 0 && s.start > s.end {
		return s, ably.Errorf(ably.BadParameter, "start is after end")
	}
	s.cursor = c.query.Get("cursor")
	if s.end == 0 {
		// For the links: a page that is asked for again is the same.
		c.query.Set("end", strconv.FormatInt(time.Now().UnixMilli(), 10))
	}
	return s, nil
}

func (c *call) limit() (int, error) {
	text := c.query.Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, ably.Errorf(ably.BadParameter, "limit is from 1 to %d", maxLimit)
	}
	return n, nil
}

// millis reads a parameter that is a time.
func (c *call) millis(name string) (int64, error) {
	text := c.query.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, ably.Errorf(ably.BadParameter, "%s is in milliseconds since 1970", name)
	}
	return n, nil
}

// links are the Link headers of a page: to the first, to itself, and to the next
// where there is one.
func (c *call) links(next string) []string {
	segment := c.path[len(c.path)-1]
	q := url.Values{}
	for name, values := range c.query {
		switch name {
		case "access_token", "accessToken", "key", "cursor": // The Guard has cut out the others.
		default:
			q[name] = values
		}
	}
	if q.Get("limit") == "" {
		q.Set("limit", strconv.Itoa(defaultLimit))
	}
	list := []string{ably.Link("first", segment, q)}
	at := func(rel, cursor string) {
		q.Set("cursor", cursor)
		list = append(list, ably.Link(rel, segment, q))
	}
	if cursor := c.query.Get("cursor"); cursor != "" {
		at("current", cursor)
	} else {
		list = append(list, ably.Link("current", segment, q))
	}
	if next != "" {
		at("next", next)
	}
	return list
}

// cursorOf writes a place as a cursor.
func cursorOf(p *hub.Place) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%d.%d", p.Position, p.Index)
}

// placeOf reads a cursor.
func placeOf(cursor string) (p hub.Place, err error) {
	if cursor == "" {
		return p, nil
	}
	if n, err := fmt.Sscanf(cursor, "%d.%d", &p.Position, &p.Index); err != nil || n != 2 || cursorOf(&p) != cursor {
		return hub.Place{}, ably.Err(ably.StaleCursor)
	}
	return p, nil
}
