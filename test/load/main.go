//go:build linux

// Command load measures Usher beside what a user would take instead. It starts
// each server in turn, on one core, and sends it load from another, in rounds
// whose order alternates; it prints a table in Markdown, and JSON where --json
// names a file. docs/performance.md says what each row is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	rows        string
	contenders  string
	rounds      int
	quick       bool
	connections int
	connects    int
	exchanges   int
	tickets     int
	deliveries  int
	churn       time.Duration
	paced       time.Duration
	settle      time.Duration
	atOnce      int
	usher       string
	json        string
	check       string
	write       bool
	soak        time.Duration
	list        bool
}

func main() {
	log.SetFlags(log.Ltime)
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: load [flags]\n\nMeasures Usher beside its peers; prints a table in Markdown.\n\n")
		f.PrintDefaults()
	}
	f.StringVar(&o.rows, "rows", "", "regular expression: only the rows whose names match")
	f.StringVar(&o.contenders, "contenders", "", "regular expression: only the servers whose names match; ours are compared with the others where the first is among them")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each row; a table needs at least 5")
	f.BoolVar(&o.quick, "quick", false, "tiny sizes and one round: shows that all works, not how fast")
	f.IntVar(&o.connections, "connections", 10000, "idle connections, as far as the limit of files allows")
	f.IntVar(&o.connects, "connects", 4000, "connections to open where that is measured")
	f.IntVar(&o.exchanges, "exchanges", 30000, "round trips, of 128 bytes; of 16 KiB a quarter")
	f.IntVar(&o.tickets, "tickets", 100000, "tickets to make and redeem")
	f.IntVar(&o.deliveries, "deliveries", 1000000, "deliveries from one channel to many; twice as many to the most")
	f.DurationVar(&o.paced, "paced", 5*time.Second, "how long one publishes at a pace")
	f.DurationVar(&o.churn, "churn", 10*time.Second, "how long connections come and go")
	f.DurationVar(&o.settle, "settle", 8*time.Second, "how long connections idle before memory is read")
	f.IntVar(&o.atOnce, "at-once", 64, "handshakes under way at one time")
	f.StringVar(&o.usher, "usher", "", "the program usher (default: built from this tree)")
	f.StringVar(&o.json, "json", "", "file to write all samples to")
	f.StringVar(&o.check, "check", "", "file of ratios: measure only what is in it and fail where one has grown by more than 20 %")
	f.BoolVar(&o.write, "write", false, "with --check: write the file anew instead")
	f.DurationVar(&o.soak, "soak", 0, "instead: churn for so long beside --connections idle ones, and fail on growth")
	f.BoolVar(&o.list, "list", false, "list the rows")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	given := make(map[string]bool)
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	err := o.settled(given, f.NArg())
	if err != nil {
		fmt.Fprintln(f.Output(), err)
	}
	return o, err
}

// settled checks the options, and gives quick its own defaults.
func (o *options) settled(given map[string]bool, rest int) error {
	if rest > 0 {
		return errors.New("load takes flags only")
	}
	for flag, text := range map[string]string{"rows": o.rows, "contenders": o.contenders} {
		if _, err := regexp.Compile(text); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
	}
	if o.quick {
		small := map[string]func(){
			"rounds":      func() { o.rounds = 1 },
			"connections": func() { o.connections = 100 },
			"connects":    func() { o.connects = 50 },
			"exchanges":   func() { o.exchanges = 200 },
			"tickets":     func() { o.tickets = 200 },
			"deliveries":  func() { o.deliveries = 2000 },
			"paced":       func() { o.paced = 100 * time.Millisecond },
			"churn":       func() { o.churn = 100 * time.Millisecond },
			"settle":      func() { o.settle = 50 * time.Millisecond },
			"at-once":     func() { o.atOnce = 8 },
		}
		for name, set := range small {
			if !given[name] {
				set()
			}
		}
	}
	if min(o.rounds, o.connections, o.connects, o.exchanges, o.tickets, o.deliveries, o.atOnce) < 1 || min(o.churn, o.paced, o.settle) <= 0 {
		return errors.New("numbers and times must be positive")
	}
	return nil
}

func run(ctx context.Context, o options) error {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	all := rows(b)
	if o.list {
		for _, r := range all {
			fmt.Println(r.name)
		}
		return nil
	}
	if o.soak > 0 {
		return b.soakBoth(ctx)
	}
	if o.check != "" {
		return b.checkFigures(ctx, all)
	}
	results, err := b.runRows(ctx, selected(all, regexp.MustCompile(o.rows), regexp.MustCompile(o.contenders)))
	if err != nil {
		return err
	}
	fmt.Print(markdown(results, b.about(), o.rounds))
	if o.json != "" {
		if err := writeJSON(o.json, b, results); err != nil {
			return err
		}
	}
	return failures(results)
}
