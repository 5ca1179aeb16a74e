package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/realtime"
)

// The environment of this program when it is the server.
const (
	addrVar  = "USHER_TEST_HUB_ADDR"
	dataVar  = "USHER_TEST_HUB_DATA"
	breakVar = "USHER_TEST_HUB_BREAK"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(addrVar); addr != "" {
		if err := serve(addr, os.Getenv(dataVar), os.Getenv(breakVar)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serve is the server: until it is killed, or told to end.
func serve(addr, data, broken string) error {
	ctx := context.Background()
	l, err := engine.OpenLog(ctx, engine.Options{Data: data}, engine.LogOptions{})
	if err != nil {
		return err
	}
	h := hub.New(&brokenLog{Log: l, how: broken}, hub.Options{})
	app := h.SetApp("app", hub.AppOptions{
		Namespaces: map[string]hub.Namespace{"kept": {Retention: 24 * time.Hour, Members: 10_000}},
		Limits:     hub.Limits{Rate: -1, ChannelRate: -1},
	})
	s := realtime.New(realtime.Options{Access: access{app}})
	sessions := new(usher.Sessions)
	g := &usher.Guard{
		Carriers: []usher.Carrier{usher.Query("access_token", usher.VerifierFunc(verify))}, Sessions: sessions,
		Detach: true, Log: slog.New(slog.DiscardHandler),
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: g.Handler(s), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	end := make(chan os.Signal, 1)
	notify(end)
	select {
	case err := <-ended:
		return err
	case <-end:
	}
	_ = web.Close()
	_ = sessions.Drain(ctx, 0)
	s.Close()
	h.Close()
	return l.Close()
}

func verify(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	return &usher.Identity{Subject: c.Secret.Reveal()}, nil
}

type access struct{ app *hub.App }

func (a access) Grant(r *http.Request) (*realtime.Grant, error) {
	if _, err := usher.FromContext(r.Context()); err != nil {
		return nil, err
	}
	p, err := usher.NewPermissions("", `{"*":["*"]}`)
	who := "*"
	if name := r.URL.Query().Get("clientId"); name != "" {
		who = name
	}
	return &realtime.Grant{App: a.app, ClientID: who, Permissions: p}, err
}

func (a access) Renew(context.Context, *realtime.Grant, usher.Secret) (*realtime.Grant, error) {
	return nil, ably.Err(ably.BadCredential)
}

func (a access) Again(_ context.Context, now *realtime.Grant) (*realtime.Grant, error) {
	return now, nil
}

// A brokenLog breaks a promise now and then, to show that the checker sees it.
type brokenLog struct {
	hub.Log
	how string // Empty: it breaks none.
}

// The ways to break a log.
var ways = []string{"adds twice", "acknowledges and forgets", "tells of not everything", "has members stay", "forgets after a while"}

func (l *brokenLog) now(how string, oneIn int) bool { return l.how == how && rand.IntN(oneIn) == 0 }

func (l *brokenLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	leaves := e.Kind == hub.Presence && e.Messages[0].Action == hub.Leave
	switch {
	case l.now("has members stay", 2) && leaves,
		l.now("acknowledges and forgets", 50) && e.Kind == hub.Messages:
		then(hub.Position(time.Now().UnixMicro()), nil)
		return
	case l.now("adds twice", 50) && e.Kind == hub.Messages:
		again := &hub.Entry{Name: e.Name, ConnectionID: e.ConnectionID, Messages: append([]hub.Message(nil), e.Messages...)}
		again.Messages[0].ID += "again"
		l.Log.Append(again, func(hub.Position, error) {})
	}
	l.Log.Append(e, then)
}

func (l *brokenLog) Follow(ctx context.Context, n hub.Name, f func(*hub.Entry), lost func()) (hub.Position, func(), error) {
	return l.Log.Follow(ctx, n, func(e *hub.Entry) {
		if !l.now("tells of not everything", 50) {
			f(e)
		}
	}, lost)
}

func (l *brokenLog) Bounds(ctx context.Context, n hub.Name) (after, last hub.Position, err error) {
	after, last, err = l.Log.Bounds(ctx, n)
	if l.how == "forgets after a while" {
		after = last - 1
	}
	return after, last, err
}

// A process is the server in a process of its own, which can be killed.
type process struct {
	addr, data, broken string

	mu  sync.Mutex
	cmd *exec.Cmd
}

func newProcess(t *testing.T, broken string) *process {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", enginetest.FreePorts(t, 1)[0])
	p := &process{addr: addr, data: t.TempDir(), broken: broken}
	p.start(t)
	t.Cleanup(p.kill)
	return p
}

// start starts the server, and returns when it takes connections.
func (p *process) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self) // Killed by kill.
	cmd.Env = append(os.Environ(), addrVar+"="+p.addr, dataVar+"="+p.data, breakVar+"="+p.broken)
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.cmd = cmd
	p.mu.Unlock()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", p.addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not start: %v\n%s", err, out.String())
		}
	}
}

// kill ends the server at once, as a crash does.
func (p *process) kill() { p.end(syscall.SIGKILL) }

// stop has it end by itself.
func (p *process) stop() { p.end(syscall.SIGTERM) }

func (p *process) end(how syscall.Signal) {
	p.mu.Lock()
	cmd := p.cmd
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	if err := cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = cmd.Wait() // It says only that it was killed.
}
