//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/usher-ws/usher/test/load/machine"
	"github.com/usher-ws/usher/test/load/tokens"
)

// A bench is what all rows of a run share.
type bench struct {
	options
	dir                    string // Of keys and of what servers write; removed at the end.
	server, usher          string // Programs.
	serverCore, clientCore int
	files                  int // Limit of file descriptors of each process.
	machine                string
	signers                map[string]*tokens.Signer
	made                   map[string][]string // Tokens, by what they are for.
}

// newBench builds the programs, makes the keys and takes its core.
func newBench(ctx context.Context, o options) (*bench, error) {
	files, err := machine.MaxFiles()
	if err != nil {
		return nil, err
	}
	cores, err := machine.Cores()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "usher-load-")
	if err != nil {
		return nil, err
	}
	b := &bench{
		options: o, dir: dir, files: files, serverCore: cores[0], clientCore: cores[len(cores)-1],
		machine: machine.Describe(),
		server:  filepath.Join(dir, "server"), usher: o.usher,
		signers: make(map[string]*tokens.Signer), made: make(map[string][]string),
	}
	if o.list {
		return b, nil
	}
	if err := b.prepare(ctx, len(cores)); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context, cores int) error {
	programs := map[string]string{b.server: "./test/load/server"}
	if b.usher == "" {
		b.usher = filepath.Join(b.dir, "usher")
		programs[b.usher] = "./cmd/usher"
	}
	for out, pkg := range programs {
		log.Printf("building %s", pkg)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, "github.com/usher-ws/usher/"+strings.TrimPrefix(pkg, "./"))
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", pkg, err, text)
		}
	}
	var err error
	if b.usher, err = filepath.Abs(b.usher); err != nil {
		return err
	}
	for _, algorithm := range tokens.Algorithms {
		if b.signers[algorithm], err = tokens.NewSigner(algorithm, b.dir); err != nil {
			return err
		}
	}
	if cores == 1 {
		log.Print("there is one core only, which servers and client share: figures mean little")
		return nil
	}
	runtime.GOMAXPROCS(2) // The client's thread, and one for all else.
	return machine.Pin(b.clientCore)
}

// close removes what was written.
func (b *bench) close() { os.RemoveAll(b.dir) }

// fits returns how many of n connections the limit of files allows: to a server
// itself, or through a proxy, which has two files for each.
func (b *bench) fits(n int, through bool) int {
	const others = 400 // Files that are open besides, those of connections on their way out among them.
	if through {
		return max(1, min(n, (b.files-others)/2))
	}
	return max(1, min(n, b.files-others))
}

// quietly calls f without collecting garbage meanwhile, which would be the
// client's work and not the server's.
func quietly(f func() error) error {
	runtime.GC()
	before := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(before)
	return f()
}

// freePort returns a port of loopback that nobody listens on now.
func freePort() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

// answers waits until somebody listens at addr.
func answers(ctx context.Context, addr netip.AddrPort, p *process) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", addr.String())
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("the server ended: %s", &p.errors)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("the server does not listen: %s", &p.errors), err)
		}
	}
}
