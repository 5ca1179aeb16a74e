package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a script for something that should come at once.
const patience = 30 * time.Second

// TestServe runs the program as a user does: with files, signals and a client.
func TestServe(t *testing.T) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		_, _, _ = c.ReadMessage() // Until the client goes.
	}))
	t.Cleanup(backend.Close)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/serve", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("BACKEND", "ws"+strings.TrimPrefix(backend.URL, "http"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "signal": send, "request": request, "connect": connect,
			"revoked": revoked, "redeem": redeem,
		},
	})
}

// await FILE REGEXP [NAME] waits until the file matches, and sets the variable
// NAME to what the first group did.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await file regexp [name]")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if found := re.FindStringSubmatch(string(text)); err == nil && found != nil {
			if len(args) == 3 {
				ts.Setenv(args[2], found[1])
			}
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("got no %s in %s:\n%s", args[1], args[0], text)
		}
	}
}

// send NAME FILE sends the signal HUP, TERM or KILL to the process whose id is in the
// file.
func send(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal HUP|TERM|KILL pidfile")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

// request URL writes the status and the body of the answer to standard output.
func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: request url")
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(args[0])
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n%s", res.Status, body)
}

// connect URL TOKENFILE [silent] holds a WebSocket until the script ends, and
// expects an end with 1001. One that is silent does not take part in the end.
func connect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: connect url tokenfile [silent]")
	}
	c, err := open(args[0], http.Header{"Authorization": {"Bearer " + strings.TrimSpace(ts.ReadFile(args[1]))}})
	ts.Check(err)
	if len(args) == 3 {
		ts.Defer(func() { c.Close() })
		return
	}
	endsWith(ts, c, websocket.CloseGoingAway)
}

// revoked URL TOKENFILE is connect for a connection that ends with 4401.
func revoked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: revoked url tokenfile")
	}
	c, err := open(args[0], http.Header{"Authorization": {"Bearer " + strings.TrimSpace(ts.ReadFile(args[1]))}})
	ts.Check(err)
	endsWith(ts, c, 4401)
}

// redeem URL TICKETFILE opens a WebSocket with a ticket, and closes it.
func redeem(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: redeem url ticketfile")
	}
	c, err := open(args[0]+"?ticket="+strings.TrimSpace(ts.ReadFile(args[1])), nil)
	if err == nil {
		c.Close()
	}
	if neg != (err != nil) {
		ts.Fatalf("got %v from a ticket", err)
	}
}

func open(url string, h http.Header) (*websocket.Conn, error) {
	d := websocket.Dialer{HandshakeTimeout: patience, NetDial: func(network, addr string) (net.Conn, error) {
		return net.DialTimeout(network, addr, patience)
	}}
	c, _, err := d.Dial(url, h)
	return c, err
}

// endsWith expects that c has ended with this code when the script ends.
func endsWith(ts *testscript.TestScript, c *websocket.Conn, code int) {
	ended := make(chan error, 1)
	go func() {
		_, _, err := c.ReadMessage()
		ended <- err
	}()
	ts.Defer(func() {
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(patience))
		if err := <-ended; !websocket.IsCloseError(err, code) {
			ts.Logf("got %v at the end, want %d", err, code)
			panic("connection was not ended as it should be")
		}
	})
}
