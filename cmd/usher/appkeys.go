package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// An appKeysCommand manages the keys of an app.
type appKeysCommand struct {
	List    appKeysListCommand    `cmd:"" help:"List the keys of an app, without their secrets."`
	Create  appKeysCreateCommand  `cmd:"" help:"Make a key of an app, and print it once, as the SDKs take it."`
	Change  appKeysChangeCommand  `cmd:"" help:"Change the name of a key, what it allows, or whether its tokens can be revoked."`
	Rotate  appKeysRotateCommand  `cmd:"" help:"Give a key another secret, and print it once, as the SDKs take it."`
	Disable appKeysDisableCommand `cmd:"" help:"Refuse a key and its tokens until it is enabled again, and end what they have opened."`
	Enable  appKeysEnableCommand  `cmd:"" help:"Let a disabled key in again."`
	Delete  appKeysDeleteCommand  `cmd:"" help:"Remove a key for ever, and end what it and its tokens have opened."`
}

// listedAppKey is a key of an app as a gateway shows it.
type listedAppKey struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Capability json.RawMessage `json:"capability"`
	Revocable  bool            `json:"revocable"`
	Disabled   bool            `json:"disabled"`
	Created    time.Time       `json:"created"`
	OldUntil   time.Time       `json:"old_until"`
	Text       string          `json:"key"` // Shown once.
}

// An appKeysListCommand lists the keys of an app.
type appKeysListCommand struct {
	App  string `arg:"" name:"app" help:"The id of the app."`
	JSON bool   `name:"json" help:"Print a JSON object for each, one a line."`
	adminFlags
}

// Run prints the keys.
func (c *appKeysListCommand) Run(ctx context.Context, stdout io.Writer) error {
	path, err := appPath(c.App)
	if err != nil {
		return err
	}
	var got struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := c.call(ctx, http.MethodGet, path+"/keys", nil, &got); err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "KEY\tNAME\tCAPABILITY\tREVOCABLE\tCREATED\tSTATE")
	}
	for _, raw := range got.Keys {
		if c.JSON {
			if err := printLine(w, raw); err != nil {
				return err
			}
			continue
		}
		var k listedAppKey
		if err := json.Unmarshal(raw, &k); err != nil {
			return fmt.Errorf("read key: %w", err)
		}
		var capability strings.Builder
		if err := printLine(&capability, k.Capability); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%t\t%s\t%s\n", cell(c.App+"."+k.ID), cell(k.Name), cell(strings.TrimSpace(capability.String())),
			k.Revocable, orNone(madeAt(k.Created), "-"), stateOf(k.Disabled))
	}
	return w.Flush()
}

// An appKeysCreateCommand makes a key of an app.
type appKeysCreateCommand struct {
	App        string `arg:"" name:"app" help:"The id of the app."`
	ID         string `name:"id" placeholder:"ID" help:"The id of the key within its app: letters, digits, - and _. Default: one is made."`
	Name       string `placeholder:"NAME" help:"A name to know it by. Default: none."`
	Capability string `placeholder:"JSON" help:"What it allows, such as {\"room:*\":[\"subscribe\"]}. Default: {\"*\":[\"*\"]}, everything."`
	Revocable  bool   `help:"Let its tokens be revoked. They live for an hour at most, not for a day."`
	adminFlags
}

// Run prints the key on standard output, and nothing else there.
func (c *appKeysCreateCommand) Run(ctx context.Context, out output) error {
	path, err := appPath(c.App)
	if err != nil {
		return err
	}
	body := map[string]any{"revocable": c.Revocable}
	for name, value := range map[string]string{"id": c.ID, "name": c.Name} {
		if value != "" {
			body[name] = value
		}
	}
	if err := addCapability(body, c.Capability); err != nil {
		return err
	}
	var made listedAppKey
	if err := c.call(ctx, http.MethodPost, path+"/keys", body, &made); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out.stdout, printable(made.Text)); err != nil {
		return err
	}
	fmt.Fprintf(out.stderr, "Keep it now: it is not shown again. Its name is %s.\n", cell(c.App+"."+made.ID))
	return nil
}

// addCapability adds what a key allows to what a gateway is told, if it is given.
func addCapability(body map[string]any, capability string) error {
	if capability == "" {
		return nil
	}
	if !json.Valid([]byte(capability)) {
		return usagef("--capability: want a JSON object")
	}
	body["capability"] = json.RawMessage(capability)
	return nil
}

// An appKeysChangeCommand changes a key of an app.
type appKeysChangeCommand struct {
	Key        string  `arg:"" name:"key" help:"The name of the key, app.id: what is before its colon."`
	Name       *string `placeholder:"NAME" help:"A name to know it by; empty is none. Default: as it was."`
	Capability string  `placeholder:"JSON" help:"What it allows, such as {\"room:*\":[\"subscribe\"]}; holds at once, for its tokens and what is open too. Default: as it was."`
	Revocable  *bool   `negatable:"" help:"Let its tokens be revoked, or not. Default: as it was."`
	adminFlags
}

// Run says what it has done.
func (c *appKeysChangeCommand) Run(ctx context.Context, stdout io.Writer) error {
	body := make(map[string]any)
	if c.Name != nil {
		body["name"] = orNull(*c.Name)
	}
	if c.Revocable != nil {
		body["revocable"] = *c.Revocable
	}
	if err := addCapability(body, c.Capability); err != nil {
		return err
	}
	if len(body) == 0 {
		return usagef("want what is to be changed: --name, --capability, --revocable or --no-revocable")
	}
	return c.changeAppKey(ctx, stdout, c.Key, body)
}

// An appKeysRotateCommand gives a key of an app another secret.
type appKeysRotateCommand struct {
	Key     string        `arg:"" name:"key" help:"The name of the key, app.id: what is before its colon."`
	Overlap time.Duration `default:"24h" placeholder:"TIME" help:"How long the secret before is good, and what it has opened goes on, at most 720h; 0s ends both at once. Default: 24h."`
	adminFlags
}

// Run prints the key on standard output, and nothing else there.
func (c *appKeysRotateCommand) Run(ctx context.Context, out output) error {
	path, err := appKeyPath(c.Key)
	if err != nil {
		return err
	}
	var k listedAppKey
	if err := c.call(ctx, http.MethodPost, path+"/rotate", map[string]any{"overlap": c.Overlap.Seconds()}, &k); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out.stdout, printable(k.Text)); err != nil {
		return err
	}
	old := "is not good any more"
	if k.OldUntil.After(time.Now()) {
		old = "is good until " + moment(k.OldUntil)
	}
	fmt.Fprintf(out.stderr, "Keep it now: it is not shown again. The secret of %s from before %s.\n", cell(c.Key), old)
	return nil
}

// An appKeysDisableCommand disables a key of an app.
type appKeysDisableCommand struct {
	Key string `arg:"" name:"key" help:"The name of the key, app.id: what is before its colon."`
	adminFlags
}

// Run says what it has done.
func (c *appKeysDisableCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.changeAppKey(ctx, stdout, c.Key, map[string]any{"disabled": true})
}

// An appKeysEnableCommand enables a key of an app.
type appKeysEnableCommand struct {
	Key string `arg:"" name:"key" help:"The name of the key, app.id: what is before its colon."`
	adminFlags
}

// Run says what it has done.
func (c *appKeysEnableCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.changeAppKey(ctx, stdout, c.Key, map[string]any{"disabled": false})
}

// changeAppKey has a gateway change a key, and says how it is then.
func (f *adminFlags) changeAppKey(ctx context.Context, stdout io.Writer, name string, body map[string]any) error {
	path, err := appKeyPath(name)
	if err != nil {
		return err
	}
	var k listedAppKey
	if err := f.call(ctx, http.MethodPatch, path, body, &k); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s is %s\n", printable(name), stateOf(k.Disabled))
	return err
}

// An appKeysDeleteCommand removes a key of an app.
type appKeysDeleteCommand struct {
	Key string `arg:"" name:"key" help:"The name of the key, app.id: what is before its colon."`
	adminFlags
}

// Run says what it has done.
func (c *appKeysDeleteCommand) Run(ctx context.Context, stdout io.Writer) error {
	path, err := appKeyPath(c.Key)
	if err != nil {
		return err
	}
	return c.remove(ctx, stdout, path, c.Key)
}

// appKeyPath is where the key called name, app.id, is. A whole key in place of its
// name must go no further: ids are logged.
func appKeyPath(name string) (string, error) {
	app, id, ok := strings.Cut(name, ".")
	if !ok || app == "" || id == "" || strings.ContainsAny(name, ":/") || strings.Contains(id, ".") {
		return "", usagef("want the name of a key, app.id, which is before its colon")
	}
	return "apps/" + url.PathEscape(app) + "/keys/" + url.PathEscape(id), nil
}
