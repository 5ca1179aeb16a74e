//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher/test/load/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each round goes the other way, and one that fails is out of its row only.
func TestRunRow(t *testing.T) {
	var turns []string
	fake := func(name string, err error) contender {
		return contender{name: name, start: func(context.Context, *bench) (*running, error) {
			turns = append(turns, name)
			return &running{}, err
		}}
	}
	r := row{
		name: "fake", title: "Fake", columns: operations, costs: []string{"cpu"},
		contenders: []contender{
			fake("a", nil), fake("b", nil), fake("broken", errors.New("it broke")), fake("absent", fmt.Errorf("absent: %w", errNotInstalled)),
		},
		measure: func(_ context.Context, _ *bench, c contender, _ *running) (sample, error) {
			cpu := map[string]float64{"a": 10, "b": 40}[c.name] * float64(len(turns))
			return sample{"cpu": cpu, "rate": 5}, nil
		},
	}
	b := &bench{options: options{rounds: 3}}
	res := b.runRow(t.Context(), r)
	if want := []string{"a", "b", "broken", "absent", "b", "a", "a", "b"}; !reflect.DeepEqual(turns, want) {
		t.Errorf("got turns %v, want %v", turns, want)
	}
	got := markdown([]result{res}, []string{"Machine: none"}, 3)
	for _, line := range []string{
		"- **So few rounds",
		"### Fake",
		"| absent: not run: not installed | – |",
		"| broken: failed | – |",
		// 10·1/40·2, 10·6/40·5, 10·7/40·8.
		"| 0.22 (0.12–0.30) |",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("got\n%s\nwant in it %q", got, line)
		}
	}
	if err := failures([]result{res}); err == nil || !strings.Contains(err.Error(), "fake, broken: start: it broke") || strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v, want what broke", err)
	}
}

func TestCompare(t *testing.T) {
	committed := ratios{"same": 2, "better": 2, "a bit worse": 2, "worse": 2, "gone": 1}
	seen := ratios{"same": 2, "better": 1, "a bit worse": 2.39, "worse": 2.41, "new": 1}
	table, err := compare(seen, committed)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"worse: CPU against bare gobwas was 2.00 and is 2.41, 21 % more", "gone: is committed", "new: no figure"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want in it %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 3 {
		t.Errorf("got %d complaints, want 3: %v", n, err)
	}
	if !strings.Contains(table, "| a bit worse | 2.00 | 2.39 | +20 % |") {
		t.Errorf("got\n%s", table)
	}
	if _, err := compare(ratios{"same": 1}, ratios{"same": 1}); err != nil {
		t.Errorf("the same: got %v", err)
	}
}

func TestGrown(t *testing.T) {
	steady, leaking := watch{}, watch{}
	for i := range 20 {
		steady["goroutines"] = append(steady["goroutines"], 19000+float64(i%3))
		leaking["goroutines"] = append(leaking["goroutines"], 19000+100*float64(i))
		leaking["memory, MB"] = append(leaking["memory, MB"], 100+float64(i)/10)
	}
	if err := steady.grown(); err != nil {
		t.Errorf("steady: got %v", err)
	}
	if err := leaking.grown(); err == nil || strings.Contains(err.Error(), "memory") {
		t.Errorf("leaking: got %v, want goroutines, and not the little of memory", err)
	}
}

// Every row has names and figures that the rest of the program knows.
func TestRows(t *testing.T) {
	all := rows(&bench{options: options{exchanges: 10}})
	names := make(map[string]bool)
	for _, r := range all {
		if names[r.name] || r.title == "" || r.measure == nil || len(r.contenders) == 0 {
			t.Errorf("%s: twice, or incomplete", r.name)
		}
		names[r.name] = true
		if !r.contenders[0].ours {
			t.Errorf("%s: the first is %s, and it should be ours", r.name, r.contenders[0].name)
		}
		for _, cost := range r.costs {
			if r.titleOf(cost) == cost {
				t.Errorf("%s: no column for its cost %s", r.name, cost)
			}
		}
	}
	for _, r := range measurable(all) {
		if len(r.contenders) != 2 {
			t.Errorf("%s: got %d contenders to check, want ours and the yardstick", r.name, len(r.contenders))
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"--quick", "--connects", "77"})
	if err != nil || o.rounds != 1 || o.connects != 77 || o.connections != 100 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, args := range [][]string{{"--rounds", "0"}, {"--rows", "("}, {"x"}, {"--churn", "-1s"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: got no error", args)
		}
	}
}

func TestRedisCommand(t *testing.T) {
	if got, want := string(redisCommand("GETDEL", "k:1")), "*2\r\n$6\r\nGETDEL\r\n$3\r\nk:1\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The tokens of a run are made once and are different.
func TestRequests(t *testing.T) {
	signer, err := tokens.NewSigner("HS256", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{signers: map[string]*tokens.Signer{"HS256": signer}, made: map[string][]string{}}
	for _, carrier := range tokens.Carriers {
		warm, all, err := b.requests(contender{carrier: carrier, algorithm: "HS256"}, 5)
		if err != nil || len(warm) != warming || len(all) != 5 {
			t.Fatalf("%s: got %d and %d, %v", carrier, len(warm), len(all), err)
		}
		same := bytes.Equal(all[0].Handshake, all[4].Handshake) && reflect.DeepEqual(all[0].Messages, all[4].Messages)
		if same != (carrier == "basic") {
			t.Errorf("%s: got the same credential twice: %t", carrier, same)
		}
	}
}

// A row from its command line to its files, with real servers.
func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "samples.json")
	o, err := parse([]string{"--quick", "--usher", "unused", "--rows", "^(connect/bearer|revocation|tickets)$", "--json", out})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var rep report
	if err := json.Unmarshal(text, &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Rows) != 3 {
		t.Fatalf("got %d rows, want 3", len(rep.Rows))
	}
	for _, r := range rep.Rows {
		for _, c := range r.Contenders {
			if c.NotRun == "" && c.Median["cpu"] <= 0 {
				t.Errorf("%s, %s: got %v, want processor time", r.Name, c.Name, c.Median)
			}
		}
	}
}
