package usher_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	coder "github.com/coder/websocket"
	"github.com/usher-ws/usher"
)

// A handler that finds out later that its user may not stay. The client is told
// so by a Close frame, whatever the library is about to write.
func ExampleEnd() {
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(tokens)}}
	server := httptest.NewServer(g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		if _, _, err := c.Read(r.Context()); err != nil {
			return
		}
		usher.End(r.Context(), usher.ErrForbidden) // They have said something bad.
		<-r.Context().Done()
	})))
	defer server.Close()

	ctx := context.Background()
	c, _, err := coder.Dial(ctx, server.URL, &coder.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer alice-token"}},
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.CloseNow()
	_ = c.Write(ctx, coder.MessageText, []byte("something bad"))
	_, _, err = c.Read(ctx)
	fmt.Println(int(coder.CloseStatus(err)) == usher.CloseForbidden)
	// Output: true
}

// A handler that finds out, before it answers, that it cannot serve a client
// that was admitted. A page is told by a Close frame, others by the status.
func ExampleRefuse() {
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(tokens)}}
	door := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := usher.FromContext(r.Context())
		if err == nil {
			err = fmt.Errorf("%w: the room's server is down", usher.ErrUnavailable)
		}
		usher.Refuse(w, r, err) // A Refusal says status, code and word itself.
	}))
	r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
	r.Header.Set("Authorization", "Bearer alice-token")
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 503
}

// Users and passwords in a file, for devices. The hash is what
// "htpasswd -nbB device secret" prints.
func ExampleReadHtpasswd() {
	const line = "device:$2y$05$hhApNra6fpzpY1pGirakRuOeneqF9ZSEg4Q4HtDaGfKk3Xqu8U81u\n"
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Print(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "users")
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		log.Print(err)
		return
	}

	users, err := usher.ReadHtpasswd(path)
	if err != nil {
		log.Print(err)
		return
	}
	users.Lifetime = time.Hour // Who is taken out of the file is out after that, and a Reload.
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Basic(users)}}
	door := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := usher.FromContext(r.Context())
		if err != nil {
			usher.Refuse(w, r, err)
			return
		}
		fmt.Fprint(w, "hello, ", id.Subject)
	}))
	for _, password := range []string{"secret", "guess"} {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		r.SetBasicAuth("device", password)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 401
}

// What a Guard does, for metrics. An event holds no credential.
func ExampleGuard_observe() {
	g := &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(tokens)},
		Observe: func(_ context.Context, e usher.Event) {
			switch e.Kind {
			case usher.EventAdmitted:
				fmt.Println(e.Route, e.Carrier, e.Identity.Subject)
			case usher.EventRefused:
				fmt.Println(e.Route, e.Carrier, e.Refusal.Word, errors.Is(e.Refusal, usher.ErrNoCredential))
			case usher.EventEnded:
				fmt.Println(e.Route, e.Took)
			}
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/rooms/{room}", g.Handler(http.NotFoundHandler()))
	for _, header := range []string{"Bearer alice-token", "Bearer stolen", ""} {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/rooms/1", nil)
		r.Header.Set("Authorization", header)
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// /rooms/{room} bearer alice
	// /rooms/{room} bearer unauthenticated false
	// /rooms/{room}  unauthenticated true
}
