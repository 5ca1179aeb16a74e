// Package ably_test runs the published Ably SDKs against the real program: the
// one for JavaScript by ../ably.mjs, the one for Go here. It is a module of its
// own so that nobody else needs those.
package ably_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A node is the program with an app.
type node struct {
	port       int
	admin      string // The address of the admin listener, as a URL.
	key, group string // The latter makes tokens that can be revoked.
}

var hub node

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "usher-interop-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	binary := os.Getenv("USHER")
	if binary == "" {
		binary = filepath.Join(dir, "usher")
		build := exec.Command("go", "build", "-o", binary, "./cmd/usher")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	serve := exec.CommandContext(ctx, binary, "serve", "--sandbox")
	serve.Dir, serve.Env = dir, append(os.Environ(), "USHER_LISTEN=127.0.0.1:0", "USHER_ADMIN=127.0.0.1:0", "USHER_DRAIN=100ms")
	serve.Cancel = func() error { return serve.Process.Signal(os.Interrupt) }
	logs := &book{}
	serve.Stderr = logs
	if err := serve.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cancel()
		_ = serve.Wait()
		if code != 0 {
			fmt.Fprintln(os.Stderr, logs)
		}
	}()
	port, err := logs.find(regexp.MustCompile(`listener=public address=127\.0\.0\.1:(\d+)`))
	if err != nil {
		return 0, err
	}
	if hub.port, err = strconv.Atoi(port); err != nil {
		return 0, err
	}
	admin, err := logs.find(regexp.MustCompile(`listener=admin address=(\S+)`))
	if err != nil {
		return 0, err
	}
	hub.admin = "http://" + admin
	if err := hub.app(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// app makes an app, as the SDKs' own tests do.
func (n *node) app() error {
	setup := `{"keys":[{},{"revocableTokens":true}],"namespaces":[{"id":"persisted","persisted":true}]}`
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/apps", n.port), "application/json", strings.NewReader(setup))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var made struct{ Keys []struct{ KeyStr string } }
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || len(made.Keys) != 2 {
		return fmt.Errorf("make an app: status %d: %w", res.StatusCode, err)
	}
	n.key, n.group = made.Keys[0].KeyStr, made.Keys[1].KeyStr
	return nil
}

// A book is what the program has logged.
type book struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *book) find(re *regexp.Regexp) (string, error) {
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if m := re.FindStringSubmatch(b.String()); m != nil {
			return m[1], nil
		}
		if time.Now().After(until) {
			return "", fmt.Errorf("no %s in\n%s", re, b)
		}
	}
}

func TestJavaScript(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "node", "ably.mjs", strconv.Itoa(hub.port), hub.admin, hub.key, hub.group)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
