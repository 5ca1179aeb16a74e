package usher_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

// cpu is what the process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// taken is a handler that takes the connection over and leaves it to the Guard,
// as one does that needs no goroutine for an idle connection.
func taken(live *sync.WaitGroup) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte(switched))
		live.Done()
	})
}

// admitCrowd opens n connections in memory that need no goroutine each.
func admitCrowd(b *testing.B, g *usher.Guard, n int, id func(i int) usher.Identity) {
	b.Helper()
	var live sync.WaitGroup
	live.Add(n)
	h := g.Handler(taken(&live))
	buf := bufio.NewReadWriter(bufio.NewReader(http.NoBody), bufio.NewWriter(io.Discard))
	template := readRequest(b, upgrade("self.test", "/chat"))
	for i := range n {
		r := template.WithContext(context.Background())
		r.Header = template.Header.Clone()
		r.Header.Set("Authorization", strings.TrimPrefix(bearing(id(i)), "Authorization: "))
		h.ServeHTTP(&memoryWriter{header: make(http.Header), buf: buf, conn: memoryConn{in: bytes.NewReader(nil)}}, r)
	}
	live.Wait()
}

// BenchmarkExpiries schedules 100,000 expiries that all come within one second:
// the memory of a connection that waits for its expiry, and the time of the
// processor for its admission, for moving its expiry, and for its end with the
// Close frame. ms-late is how long after the last expiry all are closed.
func BenchmarkExpiries(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		before, used := memoryInUse(), cpu(b)
		admitCrowd(b, g, n, func(i int) usher.Identity {
			id := loggedIn(fmt.Sprint("user ", i), "")
			id.Claims = nil
			return id
		})
		admitted := cpu(b) - used
		b.ReportMetric(float64(memoryInUse()-before)/n, "B/scheduled")
		b.ReportMetric(float64(admitted.Nanoseconds())/n, "cpu-ns/admitted")

		used = cpu(b)
		at := time.Now().Add(3 * time.Second)
		for c := range s.All() {
			id := *c.Identity
			id.Issued, id.Expires = time.Now(), at.Add(time.Duration(c.ID%n)*time.Second/n)
			if got, err := s.Renew(b.Context(), &id); got != 1 || err != nil {
				b.Fatalf("got %d, %v", got, err)
			}
		}
		b.ReportMetric(float64((cpu(b)-used).Nanoseconds())/n, "cpu-ns/rescheduled")
		if !time.Now().Before(at) {
			b.Fatal("the machine is too slow: it expired before all were scheduled")
		}
		<-time.After(time.Until(at))
		used = cpu(b)
		for s.Len() > 0 {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64((cpu(b)-used).Nanoseconds())/n, "cpu-ns/fired")
		b.ReportMetric(float64(time.Since(at.Add(time.Second)).Milliseconds()), "ms-late")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSessions measures what the list of live connections costs with
// 100,000 in it: a connection that comes and goes, and a revocation and a
// renewal of one subject.
func BenchmarkSessions(b *testing.B) {
	const n = 100_000
	var s usher.Sessions
	g := byMint(&s, "/chat")
	admitCrowd(b, g, n, func(i int) usher.Identity {
		id := loggedIn(fmt.Sprint("user ", i), fmt.Sprint("s", i))
		id.Expires = id.Expires.Add(time.Hour)
		return id
	})
	runtime.GC()
	b.Run("revoke nobody", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Revoke(b.Context(), usher.Revocation{Subject: "nobody", IssuedBefore: time.Unix(1, 0)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("revoke a token of nobody", func(b *testing.B) { // Which looks at all.
		for b.Loop() {
			if _, err := s.Revoke(b.Context(), usher.Revocation{Token: "none", IssuedBefore: time.Unix(1, 0)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("renew a session", func(b *testing.B) {
		id := loggedIn("user 7", "s7")
		id.Expires = id.Expires.Add(time.Hour)
		b.ReportAllocs()
		for b.Loop() {
			if got, err := s.Renew(b.Context(), &id); got != 1 || err != nil {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			for range s.All() {
			}
		}
	})
	left := 0
	b.Run("revoke a subject", func(b *testing.B) {
		for b.Loop() {
			got, err := s.Revoke(b.Context(), usher.Revocation{Subject: fmt.Sprint("user ", left), IssuedBefore: time.Now()})
			if err != nil || left < n && got != 1 {
				b.Fatal(left, got, err)
			}
			left++
		}
	})
	if _, err := s.Revoke(b.Context(), usher.Revocation{Issuer: login, IssuedBefore: time.Now()}); err != nil {
		b.Fatal(err)
	}
	for s.Len() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkRevokeAll ends 100,000 connections of one subject: until Revoke has
// returned, and until all are closed.
func BenchmarkRevokeAll(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		admitCrowd(b, g, n, func(int) usher.Identity { return loggedIn("alice", "s1") })
		begun, used := time.Now(), cpu(b)
		if got, err := s.Revoke(b.Context(), usher.Revocation{Subject: "alice"}); got != n || err != nil {
			b.Fatal(got, err)
		}
		b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms/revoke")
		for s.Len() > 0 {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms/closed")
		b.ReportMetric(float64((cpu(b)-used).Nanoseconds())/n, "cpu-ns/conn")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRevoked measures what revocations cost a handshake that none of them
// is about.
func BenchmarkRevoked(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s usher.Sessions
			g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known)}, Sessions: &s, Log: quiet()}
			for i := range n {
				if _, err := s.Revoke(b.Context(), usher.Revocation{Subject: fmt.Sprint("user ", i)}); err != nil {
					b.Fatal(err)
				}
			}
			door := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := accept(w, r); err != nil {
					b.Fatal(err)
				}
			}))
			template := readRequest(b, upgrade("self.test", "/chat", "Authorization: Bearer alice-word"))
			w := &memoryWriter{
				header: make(http.Header),
				buf:    bufio.NewReadWriter(bufio.NewReader(http.NoBody), bufio.NewWriter(io.Discard)),
			}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.conn.in = bytes.NewReader(nil)
				door.ServeHTTP(w, template.WithContext(context.Background()))
			}
		})
	}
}
