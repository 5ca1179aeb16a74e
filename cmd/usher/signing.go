package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// A signingCommand manages the keys that the issuer signs with.
type signingCommand struct {
	List   signingListCommand   `cmd:"" help:"List the signing keys that are published."`
	Rotate signingRotateCommand `cmd:"" help:"Make a new signing key, which signs after a while."`
	Delete signingDeleteCommand `cmd:"" help:"Remove a signing key at once: what it has signed is refused."`
}

// A listedSigning is a signing key as a gateway shows it.
type listedSigning struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
}

// A signingListCommand lists signing keys.
type signingListCommand struct {
	JSON bool `name:"json" help:"Print a JSON object for each, one a line."`
	adminFlags
}

// Run prints the keys.
func (c *signingListCommand) Run(ctx context.Context, stdout io.Writer) error {
	var got struct {
		Keys []json.RawMessage `json:"signing_keys"`
	}
	if err := c.call(ctx, http.MethodGet, "signing-keys", nil, &got); err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "ID\tALGORITHM\tSTATE\tSIGNS FROM\tPUBLISHED UNTIL")
	}
	for _, raw := range got.Keys {
		var k listedSigning
		if err := json.Unmarshal(raw, &k); err != nil {
			return fmt.Errorf("read signing key: %w", err)
		}
		if c.JSON {
			line, err := json.Marshal(raw)
			if err != nil {
				return fmt.Errorf("read signing key: %w", err)
			}
			fmt.Fprintf(w, "%s\n", line)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cell(k.ID), cell(k.Algorithm), cell(k.State), moment(k.From), moment(k.Until))
	}
	return w.Flush()
}

// A signingRotateCommand makes a new signing key.
type signingRotateCommand struct {
	After time.Duration `default:"10m" placeholder:"TIME" help:"When it signs its first token, at most 1h. Sooner than 10m, services that keep the old keys may refuse its tokens for a while. Default: 10m."`
	adminFlags
}

// Run says which key signs next, and when.
func (c *signingRotateCommand) Run(ctx context.Context, stdout io.Writer) error {
	var k listedSigning
	if err := c.call(ctx, http.MethodPost, "signing-keys", map[string]any{"after": c.After.Seconds()}, &k); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s signs from %s\n", cell(k.ID), moment(k.From))
	return err
}

// A signingDeleteCommand removes a signing key.
type signingDeleteCommand struct {
	ID string `arg:"" name:"id" help:"The id of the key."`
	adminFlags
}

// Run says what it has done.
func (c *signingDeleteCommand) Run(ctx context.Context, stdout io.Writer) error {
	if c.ID == "" {
		return usagef("want the id of a signing key")
	}
	return c.remove(ctx, stdout, "signing-keys/"+url.PathEscape(c.ID), c.ID)
}
