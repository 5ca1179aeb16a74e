package demo

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	nodeStart = 10 * time.Second // Until it listens.
	nodeEnd   = 2 * time.Second  // From being told to go, before it is made to.
	maxLast   = 4 << 10          // Bytes that are kept of its complaints.
)

// A nodeChat is the chat in Node, in a process and a process group of its own.
// It ends when its standard input does, so it does not outlive the demo however
// that ends.
type nodeChat struct {
	// Immutable after startNodeChat.
	address string
	command *exec.Cmd
	input   io.Closer
	ended   chan struct{} // Closed when the process has ended, and all that it said was read.
}

// startNodeChat runs server.mjs in dir. Where that cannot be, why says so in a
// sentence for the page.
func startNodeChat(ip, dir string, hear func(heard)) (chat *nodeChat, why string, err error) {
	if dir == "" {
		return nil, "it runs where the demo is started with “make demo”, in Usher’s repository.", nil
	}
	if _, err := os.Stat(filepath.Join(dir, "server.mjs")); err != nil {
		return nil, "its folder has no server.mjs.", nil
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, "Node.js is not installed here.", nil
	}
	command := exec.Command(node, "server.mjs") //nolint:gosec,noctx // The user names the folder; stop ends it, not a context.
	command.Dir = dir
	command.Env = append(os.Environ(), "HOST="+ip)
	ownGroup(command)
	last := &tail{max: maxLast}
	command.Stderr = last
	input, err := command.StdinPipe()
	if err != nil {
		return nil, "", fmt.Errorf("start the chat in Node: %w", err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("start the chat in Node: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, "", fmt.Errorf("start the chat in Node: %w", err)
	}
	c := &nodeChat{command: command, input: input, ended: make(chan struct{})}
	ports := make(chan int, 1)
	go c.listen(output, ports, hear)
	late := time.NewTimer(nodeStart)
	defer late.Stop()
	select {
	case port := <-ports:
		c.address = net.JoinHostPort(ip, strconv.Itoa(port))
		return c, "", nil
	case <-c.ended:
		if strings.Contains(last.String(), "ERR_MODULE_NOT_FOUND") {
			return nil, "the npm package ws is not installed; “make demo” installs it where npm reaches its registry.", nil
		}
		return nil, "it did not start.", nil
	case <-late.C:
		return nil, "it did not start in time.", c.stop()
	}
}

// listen reads what the process says, a line of JSON each: first its port, then
// the requests that it gets.
func (c *nodeChat) listen(output io.Reader, ports chan<- int, hear func(heard)) {
	defer close(c.ended)
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 4*maxHeard)
	for lines.Scan() {
		var said struct {
			heard
			Port int `json:"port"`
		}
		switch err := json.Unmarshal(lines.Bytes(), &said); {
		case err != nil: // Not for us.
		case said.Port != 0:
			select {
			case ports <- said.Port:
			default: // It has said so before.
			}
		default:
			hear(said.heard)
		}
	}
	_, _ = io.Copy(io.Discard, output) // A line that is too long must not hold the process up.
	_ = c.command.Wait()               // How it ended is nobody's business: stop may have killed it.
}

// stop ends the process: by the end of its input, else by a signal to its group,
// else the hard way.
func (c *nodeChat) stop() error {
	_ = c.input.Close()
	for _, end := range []func(*exec.Cmd) error{terminate, kill} {
		patience := time.NewTimer(nodeEnd)
		select {
		case <-c.ended:
			patience.Stop()
			return nil
		case <-patience.C:
		}
		if err := end(c.command); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end the chat in Node: %w", err)
		}
	}
	<-c.ended
	return nil
}

// A tail keeps the end of what is written to it.
type tail struct {
	text []byte // Owned by the process's copying goroutine until Wait returns.
	max  int
}

// Write keeps the end of p.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-t.max):]
	return len(p), nil
}

func (t *tail) String() string { return string(t.text) }
