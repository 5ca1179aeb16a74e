// Command usher tries out and runs Usher, which authenticates WebSocket
// connections from browsers.
//
// It is the command line only: what it runs lives in package usher (the
// library) and in the internal packages. It exits with 0 when all went well, 1
// when the work failed, and 2 when it was called the wrong way.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// What the process exits with. Scripts depend on the difference between a
// failure, which may go away, and a wrong call, which does not.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// A command line is what kong reads the arguments into.
type commandLine struct {
	Demo        demoCommand        `cmd:"" help:"Run a sample chat and a page on which to try every carrier and every refusal."`
	Serve       serveCommand       `cmd:"" help:"Run the gateway, for WebSocket servers that need not know of it, and the hub, to which the Ably SDKs connect."`
	Check       checkCommand       `cmd:"" help:"Say whether a configuration is good, and where it is not."`
	Connections connectionsCommand `cmd:"" help:"List the live connections of a gateway and its hub."`
	Revoke      revokeCommand      `cmd:"" help:"Take credentials back: end what they opened, and let them open nothing more."`
	Explain     explainCommand     `cmd:"" help:"Say why a client was turned away or its connection ended, by the explain id it was given."`
	Keys        keysCommand        `cmd:"" help:"List, make, rotate, disable and remove API keys."`
	Apps        appsCommand        `cmd:"" help:"List, make, change and remove apps of the hub, and their keys."`
	Ticket      ticketCommand      `cmd:"" help:"Fetch a ticket for one connection from a gateway."`
	Token       tokenCommand       `cmd:"" help:"Print a JSON Web Token for try-outs."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// A usageError says that the call was wrong, and not the world.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func main() {
	os.Exit(runUntilSignal())
}

// runUntilSignal runs with a context that ends at SIGINT or SIGTERM. A second
// signal kills the process at once, because by then the first was given back.
func runUntilSignal() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// run does what args say, which are without the program's name, and returns
// the exit code. It returns early when ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var line commandLine
	code, exited := exitOK, false
	parser, err := kong.New(&line,
		kong.Name("usher"),
		kong.Description("Usher authenticates WebSocket connections from browsers, in front of your server or as the realtime server itself."),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, Tree: true}),
		// Help ends the program from within Parse; the code is kept instead, so
		// that run can be tested.
		kong.Exit(func(c int) { code, exited = c, true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
		kong.Bind(output{stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintf(stderr, "usher: %v\n", err)
		return exitFailed
	}
	kctx, err := parser.Parse(args)
	if exited {
		return code
	}
	if err != nil {
		fmt.Fprintf(stderr, "usher: %v\n%s", err, hint(err))
		return exitUsage
	}
	if err := kctx.Run(); err != nil {
		fmt.Fprintf(stderr, "usher %s: %v\n", nameOf(kctx), err)
		if _, wrong := errors.AsType[usageError](err); wrong {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

// nameOf is the command that was called, without what kong writes for its
// arguments.
func nameOf(c *kong.Context) string {
	name, _, _ := strings.Cut(c.Command(), " <")
	return name
}

// hint says where the help of the command that was called is.
func hint(err error) string {
	command := "usher"
	if p, ok := errors.AsType[*kong.ParseError](err); ok && p.Context != nil && p.Context.Command() != "" {
		command += " " + nameOf(p.Context)
	}
	return fmt.Sprintf("run %q for help\n", command+" --help")
}
