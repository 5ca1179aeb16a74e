//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/usher-ws/usher/test/load/tokens"
)

// The backend is a correct server, whatever the size of messages, alone and
// behind a proxy.
func TestBackend(t *testing.T) {
	s := begin(t, options{mode: "backend"})
	proxy, _, err := handler(t.Context(), options{mode: "reverse", upstream: s.addr.String()})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	client := &http.Client{Transport: &http.Transport{}}
	for name, url := range map[string]string{"alone": "http://" + s.addr.String() + "/chat", "behind a proxy": front.URL} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c, res, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			if res.Body != nil {
				defer res.Body.Close()
			}
			defer c.CloseNow()
			c.SetReadLimit(-1)
			for _, size := range []int{0, 1, 125, 126, 4 << 10, 65536, 1 << 20} {
				sent := make([]byte, size)
				rand.Read(sent)
				if err := c.Write(ctx, websocket.MessageBinary, sent); err != nil {
					t.Fatal(err)
				}
				kind, got, err := c.Read(ctx)
				if err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, sent) {
					t.Fatalf("%d bytes: got %d bytes back, %v, %v", size, len(got), kind, err)
				}
			}
			reading := c.CloseRead(ctx)
			if err := c.Ping(reading); err != nil {
				t.Errorf("ping: %v", err)
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func TestBackendRefusesWhatIsNoHandshake(t *testing.T) {
	s := begin(t, options{mode: "backend"})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("got %d, want 400", res.StatusCode)
	}
}

// nginx asks it with the headers of the handshake.
func TestAuthServer(t *testing.T) {
	h := authServer(verifierFunc(func(token string) (string, error) {
		if token != "good" {
			return "", errNone
		}
		return "alice", nil
	}))
	for token, want := range map[string]int{"Bearer good": 200, "Bearer bad": 401, "": 401} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", token)
		r.Header.Set("Origin", tokens.Origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: got %d, want %d", token, w.Code, want)
		}
	}
}

type verifierFunc func(string) (string, error)

func (f verifierFunc) Verify(token string) (string, error) { return f(token) }

func TestUnknown(t *testing.T) {
	for name, o := range map[string]options{
		"mode":      {mode: "x", library: "gobwas", algorithm: "HS256"},
		"library":   {mode: "guard", library: "x"},
		"key":       {mode: "guard", library: "gobwas", algorithm: "HS256", dir: t.TempDir()},
		"no option": {},
	} {
		if _, _, err := handler(t.Context(), o); err == nil {
			t.Errorf("unknown %s: got no error", name)
		}
	}
	if _, err := finder("pigeon", nil); err == nil {
		t.Error("unknown carrier: got no error")
	}
	if err := run(t.Context(), options{mode: "x"}, nil, nil); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want an error", err)
	}
}
