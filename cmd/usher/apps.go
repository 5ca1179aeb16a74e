package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// An appsCommand manages the apps of a hub.
type appsCommand struct {
	List    appsListCommand    `cmd:"" help:"List the apps."`
	Create  appsCreateCommand  `cmd:"" help:"Make an app, and print its id."`
	Change  appsChangeCommand  `cmd:"" help:"Change the name, limits and namespaces of an app."`
	Disable appsDisableCommand `cmd:"" help:"Let nobody into an app until it is enabled again, and end what its keys have opened."`
	Enable  appsEnableCommand  `cmd:"" help:"Let clients into a disabled app again."`
	Delete  appsDeleteCommand  `cmd:"" help:"Remove an app with its keys for ever, and end what these have opened."`
	Keys    appKeysCommand     `cmd:"" help:"List, make, change, disable and remove the keys of an app."`
}

// A listedApp is an app as a gateway shows it.
type listedApp struct {
	ID         string                    `json:"id"`
	Name       string                    `json:"name"`
	Source     string                    `json:"source"`
	Created    time.Time                 `json:"created"`
	Disabled   bool                      `json:"disabled"`
	Limits     map[string]any            `json:"limits"`
	Namespaces map[string]map[string]any `json:"namespaces"`
}

// stateOf says whether something lets anybody in.
func stateOf(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "good"
}

// An appsListCommand lists apps.
type appsListCommand struct {
	JSON bool `name:"json" help:"Print a JSON object for each, one a line."`
	adminFlags
}

// Run prints the apps, page after page.
func (c *appsListCommand) Run(ctx context.Context, stdout io.Writer) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "ID\tNAME\tSOURCE\tNAMESPACES\tCREATED\tSTATE")
	}
	for after := ""; ; {
		var page struct {
			Apps []json.RawMessage `json:"apps"`
			Next string            `json:"next"`
		}
		q := url.Values{"limit": {"1000"}}
		if after != "" {
			q.Set("after", after)
		}
		if err := c.call(ctx, http.MethodGet, "apps?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		for _, raw := range page.Apps {
			if err := c.print(w, raw); err != nil {
				return err
			}
		}
		if page.Next <= after {
			return w.Flush()
		}
		after = page.Next
	}
}

func (c *appsListCommand) print(w io.Writer, raw json.RawMessage) error {
	var a listedApp
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	if c.JSON {
		return printLine(w, raw)
	}
	var names []string
	for name := range a.Namespaces {
		names = append(names, name)
	}
	slices.Sort(names)
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cell(a.ID), cell(a.Name), cell(a.Source), cell(strings.Join(names, ",")),
		orNone(madeAt(a.Created), "-"), stateOf(a.Disabled))
	return err
}

// madeAt is a time in a table, and nothing for that of what was always there.
func madeAt(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return moment(t)
}

// printLine prints an object in one line.
func printLine(w io.Writer, raw json.RawMessage) error {
	line, err := json.Marshal(raw)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// appFlags say what an app is like.
type appFlags struct {
	Name      *string           `placeholder:"NAME" help:"A name to know it by; empty is none. Default: none, or as it was."`
	Limit     map[string]int    `placeholder:"LIMIT=N" help:"A limit, such as rate=100: those of hub.apps in the configuration; may be repeated. Default: that of the configuration."`
	Namespace map[string]string `placeholder:"NAME=TIME" help:"A namespace with how long messages of its channels are kept, such as archive=720h; may be repeated. Default: none."`
	adminFlags
}

// body is what a gateway is told.
func (f *appFlags) body() map[string]any {
	body := make(map[string]any)
	if f.Name != nil {
		body["name"] = orNull(*f.Name)
	}
	if len(f.Limit) > 0 {
		body["limits"] = f.Limit
	}
	if len(f.Namespace) > 0 {
		namespaces := make(map[string]any)
		for name, retention := range f.Namespace {
			namespaces[name] = map[string]any{"retention": retention}
		}
		body["namespaces"] = namespaces
	}
	return body
}

// orNull is a text, or what takes it away (RFC 7396).
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// An appsCreateCommand makes an app.
type appsCreateCommand struct {
	ID string `arg:"" optional:"" name:"id" help:"The id of the app: letters, digits, - and _. Default: one is made."`
	appFlags
}

// Run prints the id.
func (c *appsCreateCommand) Run(ctx context.Context, out output) error {
	body := c.body()
	if c.ID != "" {
		body["id"] = c.ID
	}
	var made listedApp
	if err := c.call(ctx, http.MethodPost, "apps", body, &made); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out.stdout, printable(made.ID)); err != nil {
		return err
	}
	fmt.Fprintf(out.stderr, "Nobody gets in yet: make a key with usher apps keys create %s.\n", cell(made.ID))
	return nil
}

// An appsChangeCommand changes an app.
type appsChangeCommand struct {
	ID              string   `arg:"" name:"id" help:"The id of the app."`
	DefaultLimit    []string `placeholder:"LIMIT" help:"A limit that is to have its default again, such as rate; may be repeated. Default: none."`
	RemoveNamespace []string `placeholder:"NAME" help:"A namespace to remove, such as archive; may be repeated. Default: none."`
	appFlags
}

// body is what a gateway is told: null takes away (RFC 7396).
func (c *appsChangeCommand) body() (map[string]any, error) {
	body := c.appFlags.body()
	for _, of := range []struct {
		member, flag, set string
		names             []string
	}{
		{"limits", "--default-limit", "--limit", c.DefaultLimit},
		{"namespaces", "--remove-namespace", "--namespace", c.RemoveNamespace},
	} {
		if len(of.names) == 0 {
			continue
		}
		changes := make(map[string]any)
		switch set := body[of.member].(type) {
		case map[string]int:
			for name, value := range set {
				changes[name] = value
			}
		case map[string]any:
			changes = set
		}
		for _, name := range of.names {
			if changes[name] != nil {
				return nil, usagef("%s is in both %s and %s", name, of.flag, of.set)
			}
			changes[name] = nil
		}
		body[of.member] = changes
	}
	return body, nil
}

// Run says what it has done.
func (c *appsChangeCommand) Run(ctx context.Context, stdout io.Writer) error {
	body, err := c.body()
	switch {
	case err != nil:
		return err
	case len(body) == 0:
		return usagef("want what is to be changed: --name, --limit, --default-limit, --namespace or --remove-namespace")
	}
	if err := c.known(ctx); err != nil {
		return err
	}
	return c.changeApp(ctx, stdout, c.ID, body)
}

// known refuses to take away what is not there: it would seem to be done.
func (c *appsChangeCommand) known(ctx context.Context) error {
	if len(c.DefaultLimit)+len(c.RemoveNamespace) == 0 {
		return nil
	}
	path, err := appPath(c.ID)
	if err != nil {
		return err
	}
	var a listedApp
	if err := c.call(ctx, http.MethodGet, path, nil, &a); err != nil {
		return err
	}
	for _, name := range c.DefaultLimit {
		if _, ok := a.Limits[name]; !ok {
			return fmt.Errorf("there is no limit %s", printable(name))
		}
	}
	for _, name := range c.RemoveNamespace {
		if _, ok := a.Namespaces[name]; !ok {
			return fmt.Errorf("the app has no namespace %s", printable(name))
		}
	}
	return nil
}

// An appsDisableCommand disables an app.
type appsDisableCommand struct {
	ID string `arg:"" name:"id" help:"The id of the app."`
	adminFlags
}

// Run says what it has done.
func (c *appsDisableCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.changeApp(ctx, stdout, c.ID, map[string]any{"disabled": true})
}

// An appsEnableCommand enables an app.
type appsEnableCommand struct {
	ID string `arg:"" name:"id" help:"The id of the app."`
	adminFlags
}

// Run says what it has done.
func (c *appsEnableCommand) Run(ctx context.Context, stdout io.Writer) error {
	return c.changeApp(ctx, stdout, c.ID, map[string]any{"disabled": false})
}

// changeApp has a gateway change an app, and says how it is then.
func (f *adminFlags) changeApp(ctx context.Context, stdout io.Writer, id string, body map[string]any) error {
	path, err := appPath(id)
	if err != nil {
		return err
	}
	var a listedApp
	if err := f.call(ctx, http.MethodPatch, path, body, &a); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s is %s\n", cell(a.ID), stateOf(a.Disabled))
	return err
}

// An appsDeleteCommand removes an app.
type appsDeleteCommand struct {
	ID string `arg:"" name:"id" help:"The id of the app."`
	adminFlags
}

// Run says what it has done.
func (c *appsDeleteCommand) Run(ctx context.Context, stdout io.Writer) error {
	path, err := appPath(c.ID)
	if err != nil {
		return err
	}
	return c.remove(ctx, stdout, path, c.ID)
}

// appPath is where an app is. A whole key in place of its id must go no further:
// ids are logged.
func appPath(id string) (string, error) {
	if id == "" || strings.ContainsAny(id, ".:/") {
		return "", usagef("want the id of an app, which is before the . of its keys")
	}
	return "apps/" + url.PathEscape(id), nil
}
