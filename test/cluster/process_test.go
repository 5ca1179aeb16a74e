package cluster_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a process has to start or to end.
const patience = 30 * time.Second

// A process is one that a test has started, with what it wrote.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	lines []string
	news  chan struct{} // Closed when there is another line.
}

// start runs a program until the test is over.
func start(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, done: make(chan struct{}), news: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	// It goes with us, should we be killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	_ = w.Close()
	go p.read(r)
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.tail(60))
		}
	})
	return p
}

func (p *process) read(r io.ReadCloser) {
	defer close(p.done)
	defer r.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
	}
}

// line waits for a line with all of words in it.
func (p *process) line(words ...string) string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		news := p.news
		for _, line := range p.lines {
			if hasAll(line, words) {
				p.mu.Unlock()
				return line
			}
		}
		p.mu.Unlock()
		select {
		case <-news:
		case <-p.done:
			p.t.Fatalf("%s ended without a line with %q:\n%s", p.name, words, p.tail(60))
		case <-deadline:
			p.t.Fatalf("%s wrote no line with %q:\n%s", p.name, words, p.tail(60))
		}
	}
}

func hasAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-n):], "\n")
}

// stop ends the process, by force if it has to.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	p.reap()
}

func (p *process) reap() {
	<-p.done
	_ = p.cmd.Wait()
}
