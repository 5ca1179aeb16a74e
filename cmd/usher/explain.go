package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// An explainCommand asks a running gateway why it turned somebody away.
type explainCommand struct {
	ID string `arg:"" name:"id" help:"The explain id, or the whole text that ends in it: the reason of a Close frame, or the message of an error of the hub."`
	adminFlags
}

// explanation is what the admin listener answers.
type explanation struct {
	ID      string    `json:"explain_id"`
	Time    time.Time `json:"time"`
	Verdict string    `json:"verdict"`
	Route   string    `json:"route"`
	Carrier string    `json:"carrier"`
	Status  int       `json:"status"`
	Code    int       `json:"close_code"`
	Word    string    `json:"word"`
	Reason  string    `json:"reason"`
	Client  string    `json:"client"`
	Origin  string    `json:"origin"`
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Session string    `json:"session"`
	Seconds float64   `json:"seconds"`
}

// Run prints the explanation.
func (c *explainCommand) Run(ctx context.Context, stdout io.Writer) error {
	words := strings.Fields(c.ID)
	if len(words) == 0 {
		return usagef("the explain id is empty")
	}
	one := new(explanation)
	if err := c.call(ctx, http.MethodGet, "explain/"+url.PathEscape(words[len(words)-1]), nil, one); err != nil {
		return err
	}
	return one.print(stdout)
}

// print writes the explanation for people.
func (e *explanation) print(stdout io.Writer) error {
	took := time.Duration(e.Seconds * float64(time.Second)).Round(10 * time.Microsecond)
	fmt.Fprintf(stdout, "%s: %s at %s, after %s\n", e.ID, e.Verdict, e.Time.Local().Format(time.RFC3339), took)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, line := range []struct{ name, text string }{
		{"route", e.Route},
		{"carrier", orNone(e.Carrier, "none: no credential was judged")},
		{"told", e.told()},
		{"reason", e.Reason},
		{"client", orNone(e.Client, "unknown")},
		{"origin", orNone(e.Origin, "none, or not an allowed one")},
		{"subject", e.Subject},
		{"issuer", e.Issuer},
		{"session", e.Session},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "  %s\t%s\n", line.name, line.text)
		}
	}
	return w.Flush()
}

// told says what the client could read: what has no close code is told in plain
// HTTP only.
func (e *explanation) told() string {
	if e.Code == 0 {
		return fmt.Sprintf("%s (HTTP %d)", e.Word, e.Status)
	}
	return fmt.Sprintf("%s (HTTP %d, or close code %d)", e.Word, e.Status, e.Code)
}

func orNone(text, none string) string {
	if text == "" {
		return none
	}
	return text
}
