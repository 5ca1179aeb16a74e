// Command gotest runs go test and prints what a reader needs: the closing line
// of each package, the output of tests that failed, and the tests that were
// skipped. A skipped test fails the run unless -allow-skips is given, because
// one that is always skipped looks the same as one that passes.
//
//	gotest [-allow-skips] [go test flags] [packages]
//
// It is not a test framework: go test does the work, with -json.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	args := os.Args[1:]
	allowSkips := len(args) > 0 && args[0] == "-allow-skips"
	if allowSkips {
		args = args[1:]
	}
	os.Exit(run(args, allowSkips, os.Stdout, os.Stderr))
}

func run(args []string, allowSkips bool, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...) //nolint:gosec,noctx // It runs what it is told, until that ends.
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		fmt.Fprintln(stderr, "gotest: open pipe:", err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(stderr, "gotest: start go test:", err)
		return 1
	}
	skips := report(pipe, stdout)
	if err := cmd.Wait(); err != nil {
		return 1
	}
	if skips > 0 && !allowSkips {
		fmt.Fprintf(stderr, "gotest: %d skipped; a test that cannot run here must say so by failing\n", skips)
		return 1
	}
	return 0
}

// An event is a line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// report prints what matters of a stream of events, as it comes, and returns
// the number of skipped tests.
func report(events io.Reader, out io.Writer) (skips int) {
	pending := make(map[string][]string) // Output by package and test, until its outcome is known.
	for lines := bufio.NewReader(events); ; {
		line, err := lines.ReadString('\n')
		if line == "" && err != nil {
			break
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprintln(out, strings.TrimRight(line, "\n")) // Not an event: a message of go itself.
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if e.Test == "" && wanted(e.Output) {
				fmt.Fprint(out, e.Output)
			} else if e.Test != "" {
				pending[key] = append(pending[key], e.Output)
			}
		case "fail":
			fmt.Fprint(out, strings.Join(pending[key], ""))
			delete(pending, key)
		case "skip":
			if e.Test != "" {
				skips++
				fmt.Fprint(out, strings.Join(pending[key], ""))
			}
			delete(pending, key)
		case "pass":
			delete(pending, key)
		}
	}
	// A package that died (a panic, a timeout) leaves tests without an outcome.
	for _, output := range pending {
		fmt.Fprint(out, strings.Join(output, ""))
	}
	return skips
}

// wanted reports whether a package's own line of output is shown. A lone PASS
// says nothing that the line "ok" after it does not.
func wanted(line string) bool {
	line = strings.TrimSpace(line)
	return line != "PASS" && line != "FAIL" && line != ""
}
