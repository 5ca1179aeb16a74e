package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// A keysCommand manages API keys.
type keysCommand struct {
	List    keysListCommand    `cmd:"" help:"List the API keys, without their secrets."`
	Create  keysCreateCommand  `cmd:"" help:"Make an API key, and print it once."`
	Rotate  keysRotateCommand  `cmd:"" help:"Give an API key another secret, and print it once."`
	Disable keysDisableCommand `cmd:"" help:"Refuse an API key until it is enabled again."`
	Enable  keysEnableCommand  `cmd:"" help:"Let a disabled API key in again."`
	Delete  keysDeleteCommand  `cmd:"" help:"Remove an API key for ever."`
	Signing signingCommand     `cmd:"" help:"List, rotate and remove the keys that the issuer signs with."`
}

// listedKey is an API key as a gateway shows it.
type listedKey struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	May      []string  `json:"may"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	Disabled bool      `json:"disabled"`
	OldUntil time.Time `json:"old_until"`
}

// state says whether the key is good at now.
func (k listedKey) state(now time.Time) string {
	switch {
	case k.Disabled:
		return "disabled"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired"
	}
	return "good"
}

// A keysListCommand lists API keys.
type keysListCommand struct {
	JSON bool `name:"json" help:"Print a JSON object for each, one a line."`
	adminFlags
}

// Run prints the keys.
func (c *keysListCommand) Run(ctx context.Context, stdout io.Writer) error {
	var got struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := c.call(ctx, http.MethodGet, "keys", nil, &got); err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "ID\tNAME\tMAY\tCREATED\tEXPIRES\tSTATE")
	}
	for _, raw := range got.Keys {
		var k listedKey
		if err := json.Unmarshal(raw, &k); err != nil {
			return fmt.Errorf("read API key: %w", err)
		}
		if !c.JSON {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cell(k.ID), cell(k.Name), cell(strings.Join(k.May, ",")),
				moment(k.Created), moment(k.Expires), k.state(time.Now()))
			continue
		}
		line, err := json.Marshal(raw)
		if err != nil {
			return fmt.Errorf("read API key: %w", err)
		}
		fmt.Fprintf(w, "%s\n", line)
	}
	return w.Flush()
}

// A keysCreateCommand makes an API key.
type keysCreateCommand struct {
	Name       string   `placeholder:"NAME" help:"A name to know it by. Default: none."`
	May        []string `required:"" placeholder:"WHAT" help:"What it may do, with commas between: apps, connections, explain, revocations, keys; as a client of the issuer tokens, exchange, introspect; signing."`
	Scope      string   `placeholder:"NAMES" help:"Scope that its tokens can have, with spaces between. Default: none."`
	Capability string   `placeholder:"JSON" help:"Capability that its tokens can have, such as {\"room:*\":[\"subscribe\"]}. Default: none."`
	Audience   []string `placeholder:"AUDIENCE" help:"Audience that its tokens can be for; may be repeated. Default: that of the issuer."`
	ExpiresIn  keyLife  `placeholder:"TIME" help:"How long it is good for, such as 720h. Default: for ever."`
	adminFlags
}

// A keyLife is how long a key is good for; zero is for ever.
type keyLife time.Duration

// UnmarshalText reads a time such as "720h".
func (l *keyLife) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < time.Second {
		return errors.New("want hours, such as 720h, and at least 1s")
	}
	*l = keyLife(d)
	return nil
}

// Run prints the key on standard output, and nothing else there.
func (c *keysCreateCommand) Run(ctx context.Context, out output) error {
	body := map[string]any{"may": c.May}
	if c.Name != "" {
		body["name"] = c.Name
	}
	if c.Scope != "" {
		body["scope"] = c.Scope
	}
	if c.Capability != "" {
		if !json.Valid([]byte(c.Capability)) {
			return usagef("--capability: want a JSON object")
		}
		body["capability"] = json.RawMessage(c.Capability)
	}
	if len(c.Audience) > 0 {
		body["audiences"] = c.Audience
	}
	if c.ExpiresIn > 0 {
		body["expires_in"] = time.Duration(c.ExpiresIn).Seconds()
	}
	var made shownKey
	if err := c.call(ctx, http.MethodPost, "keys", body, &made); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out.stdout, printable(made.Text)); err != nil {
		return err
	}
	ends := "never expires"
	if !made.Expires.IsZero() {
		ends = "expires " + moment(made.Expires)
	}
	fmt.Fprintf(out.stderr, "Keep it now: it is not shown again. Key %s may %s; it %s.\n",
		cell(made.ID), cell(strings.Join(made.May, ", ")), ends)
	return nil
}

// A shownKey is a key with its text, which is shown once.
type shownKey struct {
	listedKey
	Text string `json:"key"`
}

// A keysRotateCommand gives an API key another secret.
type keysRotateCommand struct {
	ID      string        `arg:"" name:"id" help:"The id of the key: 12 characters."`
	Overlap time.Duration `default:"24h" placeholder:"TIME" help:"How long the secret before is good, at most 720h; 0s ends it at once. Default: 24h."`
	adminFlags
}

// Run prints the key on standard output, and nothing else there.
func (c *keysRotateCommand) Run(ctx context.Context, out output) error {
	path, err := keyPath(c.ID)
	if err != nil {
		return err
	}
	var k shownKey
	if err := c.call(ctx, http.MethodPost, path+"/rotate", map[string]any{"overlap": c.Overlap.Seconds()}, &k); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out.stdout, printable(k.Text)); err != nil {
		return err
	}
	old := "is not good any more"
	if !k.OldUntil.IsZero() {
		old = "is good until " + moment(k.OldUntil)
	}
	fmt.Fprintf(out.stderr, "Keep it now: it is not shown again. The secret of key %s from before %s.\n", cell(k.ID), old)
	return nil
}

// A keysDisableCommand disables an API key.
type keysDisableCommand struct {
	ID string `arg:"" name:"id" help:"The id of the key: 12 characters."`
	adminFlags
}

// Run says what it has done.
func (c *keysDisableCommand) Run(ctx context.Context, stdout io.Writer) error {
	return disableKey(ctx, stdout, &c.adminFlags, c.ID, true)
}

// A keysEnableCommand enables an API key.
type keysEnableCommand struct {
	ID string `arg:"" name:"id" help:"The id of the key: 12 characters."`
	adminFlags
}

// Run says what it has done.
func (c *keysEnableCommand) Run(ctx context.Context, stdout io.Writer) error {
	return disableKey(ctx, stdout, &c.adminFlags, c.ID, false)
}

func disableKey(ctx context.Context, stdout io.Writer, f *adminFlags, id string, disabled bool) error {
	path, err := keyPath(id)
	if err != nil {
		return err
	}
	var k listedKey
	if err := f.call(ctx, http.MethodPatch, path, map[string]bool{"disabled": disabled}, &k); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s is %s\n", cell(k.ID), k.state(time.Now()))
	return err
}

// A keysDeleteCommand removes an API key.
type keysDeleteCommand struct {
	ID string `arg:"" name:"id" help:"The id of the key: 12 characters."`
	adminFlags
}

// Run says what it has done.
func (c *keysDeleteCommand) Run(ctx context.Context, stdout io.Writer) error {
	path, err := keyPath(c.ID)
	if err != nil {
		return err
	}
	return c.remove(ctx, stdout, path, c.ID)
}

// keyPath is where a key is. A whole key in place of its id must go no further:
// ids are logged.
func keyPath(id string) (string, error) {
	if id == "" || strings.ContainsAny(id, "_./") {
		return "", usagef("want the id of a key, which is between the two _ of the key itself")
	}
	return "keys/" + url.PathEscape(id), nil
}
