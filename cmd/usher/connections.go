package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"
)

// connectionsPage is how many connections are asked for at a time.
const connectionsPage = 1000

// A connectionsCommand lists live connections.
type connectionsCommand struct {
	Subject string `help:"Only those of this subject (sub). Default: any."`
	Issuer  string `help:"Only those that this issuer (iss) vouches for. Default: any."`
	Session string `help:"Only those of this session. Default: any."`
	Route   string `help:"Only those of this route. Default: any."`
	Limit   *int   `placeholder:"N" help:"At most this many, the oldest first. Default: all."`
	JSON    bool   `name:"json" help:"Print a JSON object for each, one a line."`
	adminFlags
}

// Help is what "usher connections --help" says besides its flags.
func (connectionsCommand) Help() string {
	return `The connections are those of the one gateway that is asked, not of other nodes.`
}

// listedConnection is what is shown in the table.
type listedConnection struct {
	ID      uint64    `json:"id"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Session string    `json:"session"`
	Route   string    `json:"route"`
	Carrier string    `json:"carrier"`
	Client  string    `json:"client"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires"`
}

// Run prints the connections, page by page.
func (c *connectionsCommand) Run(ctx context.Context, stdout io.Writer) error {
	if c.Limit != nil && *c.Limit < 1 {
		return usagef("--limit %d: want at least 1; without --limit it is all", *c.Limit)
	}
	list := newConnectionList(stdout, c.JSON)
	left := math.MaxInt
	if c.Limit != nil {
		left = *c.Limit
	}
	for after := uint64(0); ; {
		var page struct {
			Connections []json.RawMessage `json:"connections"`
			Next        uint64            `json:"next"`
		}
		if err := c.call(ctx, http.MethodGet, "connections?"+c.query(min(connectionsPage, left), after), nil, &page); err != nil {
			return err
		}
		for _, one := range page.Connections {
			if err := list.add(one); err != nil {
				return err
			}
		}
		left -= len(page.Connections)
		if page.Next <= after || left <= 0 {
			return list.end()
		}
		after = page.Next
	}
}

func (c *connectionsCommand) query(limit int, after uint64) string {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, value := range map[string]string{"subject": c.Subject, "issuer": c.Issuer, "session": c.Session, "route": c.Route} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if after > 0 {
		q.Set("after", strconv.FormatUint(after, 10))
	}
	return q.Encode()
}

// A connectionList prints connections as they come.
type connectionList struct {
	to    io.Writer
	table *tabwriter.Writer // Nil for JSON.
}

func newConnectionList(to io.Writer, inJSON bool) *connectionList {
	if inJSON {
		return &connectionList{to: to}
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSUBJECT\tISSUER\tSESSION\tROUTE\tCARRIER\tCLIENT\tSINCE\tEXPIRES")
	return &connectionList{to: to, table: w}
}

func (l *connectionList) add(raw json.RawMessage) error {
	var one listedConnection
	if err := json.Unmarshal(raw, &one); err != nil {
		return fmt.Errorf("read connection: %w", err)
	}
	if l.table == nil {
		line, err := json.Marshal(raw) // In one line.
		if err != nil {
			return fmt.Errorf("read connection: %w", err)
		}
		_, err = fmt.Fprintf(l.to, "%s\n", line)
		return err
	}
	_, err := fmt.Fprintf(l.table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.ID, cell(one.Subject), cell(one.Issuer),
		cell(one.Session), cell(one.Route), cell(one.Carrier), cell(one.Client), moment(one.Since), moment(one.Expires))
	return err
}

func (l *connectionList) end() error {
	if l.table == nil {
		return nil
	}
	return l.table.Flush()
}

// cell is a text in a table.
func cell(text string) string { return orNone(printable(text), "-") }

// moment is a time in a table, and "never" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.RFC3339)
}
