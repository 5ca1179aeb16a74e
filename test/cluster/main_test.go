package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// role says what a process is that this test binary starts of itself.
const role = "USHER_CLUSTER_ROLE"

// gatewayBinary is the real one, built for these tests.
var gatewayBinary string

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "nats":
		runNATS()
		return
	case "backend":
		runBackend()
		return
	}
	dir, err := os.MkdirTemp("", "usher-cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	gatewayBinary = filepath.Join(dir, "usher")
	build := exec.Command("go", "build", "-o", gatewayBinary, "../../cmd/usher")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build usher:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
