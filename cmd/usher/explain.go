package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// explainTime is how long the admin listener may take to answer.
const explainTime = 5 * time.Second

// An explainCommand asks a running gateway why it turned somebody away.
type explainCommand struct {
	ID    string `arg:"" name:"id" help:"The explain id, or the whole reason of the Close frame: a word and the id."`
	Admin string `default:"http://127.0.0.1:8081" placeholder:"URL" help:"The admin listener of the gateway. Default: http://127.0.0.1:8081."`
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
	Detail  string    `json:"detail"` // Of a problem document.
}

// Run prints the explanation.
func (c *explainCommand) Run(ctx context.Context, stdout io.Writer) error {
	words := strings.Fields(c.ID)
	base, err := url.Parse(c.Admin)
	switch {
	case len(words) == 0:
		return usagef("the explain id is empty")
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return usagef("--admin: want a URL such as http://127.0.0.1:8081")
	}
	one, err := askAdmin(ctx, base.JoinPath("usher/v1/explain", url.PathEscape(words[len(words)-1])))
	if err != nil {
		return err
	}
	return one.print(stdout)
}

func askAdmin(ctx context.Context, u *url.URL) (*explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask admin listener: %w", err)
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if _, dial := errors.AsType[*net.OpError](err); dial {
		return nil, fmt.Errorf("no gateway answers at %s; is it running, and is that its admin listener? --admin names another", u.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("ask admin listener: %w", err)
	}
	defer res.Body.Close()
	one := new(explanation)
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(one); err != nil {
		return nil, fmt.Errorf("ask admin listener: status %d and no answer of an usher's", res.StatusCode)
	}
	if res.StatusCode != http.StatusOK {
		if one.Detail == "" {
			one.Detail = http.StatusText(res.StatusCode)
		}
		return nil, errors.New(one.Detail)
	}
	return one, nil
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
