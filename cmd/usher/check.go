package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/usher-ws/usher/internal/config"
)

// A checkCommand reads a configuration as serve does, and goes no further.
type checkCommand struct {
	Config string `placeholder:"FILE" help:"The configuration file. Default: $USHER_CONFIG, else usher.yaml where there is one, else none, when the environment is all."`
	Schema bool   `help:"Print the JSON schema of the configuration, for editors, and check nothing."`
}

// Help is what "usher check --help" says besides its flags.
func (checkCommand) Help() string {
	return `Variables that begin with USHER_ are part of the configuration, as they are for
"usher serve". All that is wrong is printed as file:line:column, and the exit
code is 1.`
}

// Run prints that all is well and what would run, or what is wrong.
func (c *checkCommand) Run(stdout io.Writer) error {
	if c.Schema {
		if c.Config != "" {
			return usagef("give either --config or --schema")
		}
		text, err := config.Schema()
		if err != nil {
			return err
		}
		_, err = stdout.Write(text)
		return err
	}
	file, err := configFile(c.Config)
	if err != nil {
		return err
	}
	name := cmp.Or(file, "environment")
	read, err := config.Load(file, os.Environ())
	if problems, ok := errors.AsType[config.Problems](err); ok {
		fmt.Fprintln(stdout, problems)
		if len(problems) == 1 {
			return fmt.Errorf("%s: 1 problem", name)
		}
		return fmt.Errorf("%s: %d problems", name, len(problems))
	}
	if err != nil {
		return err
	}
	return summarize(stdout, name, read)
}

// summarize prints what the configuration would make of this process.
func summarize(stdout io.Writer, name string, c *config.Config) error {
	fmt.Fprintf(stdout, "%s: ok\n", name)
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	scheme := "http"
	if c.TLS != nil {
		scheme = "https"
	}
	fmt.Fprintf(w, "  listen\t%s\t%s\n", c.Listen, scheme)
	fmt.Fprintf(w, "  admin\t%s\thttp\n", c.Admin)
	kind, where := engineOf(c.Engine)
	fmt.Fprintf(w, "  engine\t%s\t%s\n", kind, where)
	if c.Issuer != nil {
		fmt.Fprintf(w, "  issuer\t%s\t%s, keys of %s\n", c.Issuer.Name, "for "+c.Issuer.Audience, c.Issuer.Algorithm)
	}
	if c.Hub != nil {
		apps := slices.Sorted(maps.Keys(c.Hub.Apps))
		if len(apps) == 0 {
			apps = []string{"one that is made"}
		}
		fmt.Fprintf(w, "  hub\t/\tapps: %s\n", strings.Join(apps, ", "))
	}
	for _, r := range c.Routes {
		carriers := make([]string, 0, len(r.Carriers))
		for _, one := range r.Carriers {
			carriers = append(carriers, one.Name())
		}
		upstreams := make([]string, 0, len(r.Upstream))
		for _, u := range r.Upstream {
			upstreams = append(upstreams, u.String())
		}
		fmt.Fprintf(w, "  route\t%s\t%s to %s\n", r.Path, strings.Join(carriers, ", "), strings.Join(upstreams, ", "))
	}
	return w.Flush()
}

// engineOf says which engine it would be, in the words of the log, and where it
// keeps things.
func engineOf(e config.Engine) (kind, where string) {
	switch {
	case e.Memory:
		return "memory", "until the process ends"
	case len(e.NATS) > 0:
		return "nats", strings.Join(e.NATS, ", ")
	}
	where, err := filepath.Abs(string(e.Data))
	if err != nil {
		where = string(e.Data)
	}
	return "embedded", where
}
