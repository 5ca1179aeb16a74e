package cluster_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
)

// runBackend is a process that is a WebSocket server which knows nothing of
// gateways. It tells how many connections are open at /live.
func runBackend() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var live atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/live", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, live.Load()) })
	mux.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		live.Add(1)
		defer live.Add(-1)
		defer c.Close()
		var buf [512]byte
		for err == nil {
			_, err = c.Read(buf[:])
		}
	})
	go func() {
		if err := http.Serve(l, mux); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("backend at", l.Addr())
	<-stop
}

// A backend is what is behind the gateways.
type backend struct{ address string }

func startBackend(t *testing.T) backend {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=backend")
	line := start(t, "backend", cmd).line("backend at ")
	_, address, _ := strings.Cut(line, "backend at ")
	return backend{address}
}

// live asks how many connections are open at the backend.
func (b backend) live(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.address+"/live", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// httpClient keeps no connection.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
