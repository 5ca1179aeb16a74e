//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/usher-ws/usher/test/load/machine"
)

// A process is a server that this program has started.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors tail
	done   chan struct{} // Closed when it has ended.
}

// start starts a command on a core. It is ended by stop, or with ctx. One that
// talks is asked by its standard input and answers on its standard output.
func start(ctx context.Context, core int, dir string, talks bool, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, name, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stderr = dir, &p.errors
	p.cmd.Env = append(p.cmd.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 3 * time.Second
	if talks {
		in, err := p.cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		p.in, p.out = in, bufio.NewReader(out)
	}
	if err := machine.StartOn(core, p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait() // How it ends is of no account: it was told to.
	}()
	return p, nil
}

// pid is the id of the process.
func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process: by the end of its input and SIGTERM, then by force.
func (p *process) stop() {
	if p.in != nil {
		p.in.Close()
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// ready reads the line by which a test server says its address.
func (p *process) ready() (netip.AddrPort, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("no word from the server: %w: %s", err, &p.errors)
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("the server began with %q", line)
	}
	if addr == "-" {
		return netip.AddrPort{}, nil
	}
	return netip.ParseAddrPort(addr)
}

// ask sends a command to a test server and returns the words of the answer.
func (p *process) ask(command string) ([]string, error) {
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		return nil, err
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", command, err, &p.errors)
	}
	answer, ok := strings.CutPrefix(strings.TrimSpace(line), "ok ")
	if !ok {
		return nil, fmt.Errorf("%s: %s", command, strings.TrimSpace(line))
	}
	return strings.Fields(answer), nil
}

// tail keeps the end of what a process has said on its standard error.
type tail struct {
	mu   sync.Mutex
	text []byte // Guarded by mu.
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = bytes.Clone(t.text[max(0, len(t.text)-most):])
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

var errNotInstalled = errors.New("not installed")

// find returns where a peer's program is: in the path, where Debian has it that
// is not in everybody's path, or where tools/deps.sh builds it.
func find(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name, "./bin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("%s: %w", name, errNotInstalled)
}
