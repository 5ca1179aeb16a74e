//go:build unix

package demo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The process ends when it is told to, whatever it is.
func TestNodeChatEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	t.Parallel()
	const port = "console.log(JSON.stringify({port: 9}));\n"
	for _, c := range []struct{ name, source string }{
		{"at the end of its input", port + "process.stdin.on('end', () => process.exit(0)).resume();"},
		{"at a signal", port + "setInterval(() => {}, 1000);"},
		{"the hard way", port + "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);"},
		{"with a child", port + "import { spawn } from 'node:child_process'; spawn('sleep', ['60'], { stdio: 'inherit' }); setInterval(() => {}, 1000);"},
		{"after a line that is too long", port + "console.log('x'.repeat(1 << 20)); process.stdin.on('end', () => process.exit(0)).resume();"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			chat, why, err := startNodeChat("127.0.0.1", folder(t, c.source), func(heard) {})
			if err != nil || why != "" || chat.address != "127.0.0.1:9" {
				t.Fatalf("start: got %q %v, want a chat at port 9", why, err)
			}
			if err := chat.stop(); err != nil {
				t.Fatal(err)
			}
			// A child holds the output open, so it has ended too.
			if err := syscall.Kill(chat.command.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("its process: got %v, want that there is none", err)
			}
		})
	}
}

func TestNodeChatSaysWhyNot(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	t.Parallel()
	for _, c := range []struct{ name, dir, want string }{
		{"no folder", "", "make demo"},
		{"nothing in it", t.TempDir(), "no server.mjs"},
		{"no package", folder(t, "import 'usher-has-no-such-package';"), "npm package ws is not installed"},
		{"an early end", folder(t, "process.exit(1);"), "did not start"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chat, why, err := startNodeChat("127.0.0.1", c.dir, func(heard) {})
			if chat != nil || err != nil || !strings.Contains(why, c.want) {
				t.Errorf("start: got %v %q %v, want no chat and %q", chat, why, err, c.want)
			}
		})
	}
}

// folder has source as its server.mjs.
func folder(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "server.mjs"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
