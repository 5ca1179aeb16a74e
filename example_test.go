package usher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/usher-ws/usher"
)

// tokens is a verifier of one's own: whatever knows who a token belongs to.
var tokens = usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	if !c.Secret.Equal(usher.NewSecret("alice-token")) {
		return nil, errors.New("unknown token")
	}
	return &usher.Identity{Subject: "alice", Expires: time.Now().Add(time.Hour)}, nil
})

// A handler that is written with coder/websocket, and a client of it that
// brings its token in the subprotocol header, as a page can.
func ExampleGuard() {
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Subprotocol(tokens)}}
	server := httptest.NewServer(g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := usher.FromContext(r.Context())
		if err != nil {
			http.Error(w, "no guard", http.StatusInternalServerError)
			return
		}
		c, err := coder.Accept(w, r, &coder.AcceptOptions{
			Subprotocols:       []string{"chat"},
			InsecureSkipVerify: true, // The Guard has judged the origin.
		})
		if err != nil {
			return
		}
		defer c.CloseNow()
		_ = c.Write(r.Context(), coder.MessageText, []byte("hello, "+id.Subject))
		_ = c.Close(coder.StatusNormalClosure, "")
	})))
	defer server.Close()

	ctx := context.Background()
	c, _, err := coder.Dial(ctx, server.URL, &coder.DialOptions{
		Subprotocols: []string{"chat", bearerEntry("alice-token")},
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer c.CloseNow()
	_, message, err := c.Read(ctx)
	fmt.Println(c.Subprotocol(), string(message), err)
	_, _, err = c.Read(ctx)
	fmt.Println(coder.CloseStatus(err))
	// Output:
	// chat hello, alice <nil>
	// StatusNormalClosure
}

// In front of gorilla/websocket. Its own check of the origin knows nothing of
// the Guard's list.
func ExampleGuard_Handler_gorilla() {
	upgrader := gorilla.Upgrader{
		CheckOrigin: func(*http.Request) bool { return true }, // The Guard has judged it.
	}
	g := &usher.Guard{
		Carriers: []usher.Carrier{usher.Subprotocol(tokens), usher.Bearer(tokens)},
		Origins:  []string{"https://app.example.com"},
	}
	http.Handle("/gorilla", g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, message, err := c.ReadMessage() // net.ErrClosed when the token expires.
			if err != nil {
				return
			}
			if c.WriteMessage(kind, message) != nil {
				return
			}
		}
	})))
}

// In front of gobwas/ws, with the first message as the carrier: the Guard has
// answered the handshake when the handler runs, so that the handler's
// subprotocols are the Guard's to know.
func ExampleGuard_Handler_gobwas() {
	g := &usher.Guard{
		Carriers:     []usher.Carrier{usher.FirstMessage(tokens)},
		Subprotocols: []string{"chat"},
	}
	upgrader := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "chat" }}
	http.Handle("/gobwas", g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := upgrader.Upgrade(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			message, op, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			if wsutil.WriteServerMessage(c, op, message) != nil {
				return
			}
		}
	})))
}

// In front of a WebSocket server elsewhere, which is told who is there and gets
// no credential.
func ExampleGuard_Handler_reverseProxy() {
	backend := &url.URL{Scheme: "http", Host: "127.0.0.1:9000"}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(backend)
		p.Out.Host = p.In.Host     // Upstreams compare it with the Origin.
		p.Out.Header.Del("X-User") // A client's own is nobody's word.
		if id, err := usher.FromContext(p.In.Context()); err == nil {
			p.Out.Header.Set("X-User", id.Subject)
		}
	}}
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Ticket("", &usher.Tickets{})}}
	http.Handle("/proxied", g.Handler(proxy))
}

// A refusal in the application's own protocol. The request that Deny gets has
// no credential in it.
func ExampleGuard_deny() {
	g := &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(tokens)},
		Deny: func(w http.ResponseWriter, _ *http.Request, err error) {
			var why *usher.Refusal
			if !errors.As(err, &why) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(why.Status)
			fmt.Fprintf(w, `{"action":9,"reason":%q}`, why.Word)
		},
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer wrong")
	w := httptest.NewRecorder()
	g.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 401 {"action":9,"reason":"unauthenticated"}
}

// JSON Web Tokens of an identity provider, whose keys are fetched ahead of the
// first handshake.
func ExampleJWT() {
	keys := &usher.JWKS{URL: "https://login.example.com/.well-known/jwks.json"}
	if err := keys.Start(context.Background()); err != nil {
		log.Print(err) // They may come later: until then clients hear 4503.
	}
	defer keys.Close()
	login := &usher.JWT{Issuer: "https://login.example.com", Audience: "chat", Keys: keys}
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Subprotocol(login), usher.Bearer(login)}}
	if err := g.Validate(); err != nil {
		log.Print(err)
	}
}

// A handler that finds out who is there. It is the same for a plain request and
// for an upgrade.
func ExampleFromContext() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := usher.FromContext(r.Context())
		if err != nil {
			http.Error(w, "no guard", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "hello, %s; credential: %q", id.Subject, r.Header.Get("Authorization"))
	})
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(tokens)}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer alice-token")
	w := httptest.NewRecorder()
	g.Handler(hello).ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output: hello, alice; credential: ""
}

// A test of a handler needs no Guard.
func ExampleNewContext() {
	ctx := usher.NewContext(context.Background(), &usher.Identity{Subject: "alice"})
	id, err := usher.FromContext(ctx)
	fmt.Println(id.Subject, err)
	// Output: alice <nil>
}

// Two verifiers behind one carrier: the first that recognizes a token decides.
func ExampleAnyOf() {
	guests := usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
		if !c.Secret.Equal(usher.NewSecret("guest")) {
			return nil, usher.ErrUnrecognized
		}
		return &usher.Identity{Subject: "guest"}, nil
	})
	id, err := usher.AnyOf(guests, tokens).Verify(context.Background(), usher.Credential{
		Kind: usher.KindToken, Secret: usher.NewSecret("alice-token"),
	})
	fmt.Println(id.Subject, err)
	// Output: alice <nil>
}

// A server that ends its connections before it stops: Shutdown knows nothing of
// WebSockets.
func ExampleSessions_Drain() {
	sessions := new(usher.Sessions)
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(tokens)}, Sessions: sessions}
	server := &http.Server{
		Addr: "127.0.0.1:8000", ReadHeaderTimeout: 10 * time.Second,
		Handler: g.Handler(http.NotFoundHandler()),
	}
	run := func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		go func() { log.Print(server.ListenAndServe()) }()
		<-ctx.Done()
		leave, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(sessions.Drain(leave, 10*time.Second), server.Shutdown(leave)); err != nil {
			log.Print(err)
		}
	}
	_ = run
}

// A page gets a token for its session by fetch, and brings it along with the
// cookie that the browser attaches.
func ExampleCookieCSRF() {
	csrf := new(usher.CSRF)
	door := &usher.Guard{Carriers: []usher.Carrier{usher.CookieCSRF("__Host-session", csrf, tokens)}}
	desk := &usher.Guard{Carriers: []usher.Carrier{usher.Cookie("__Host-session", tokens)}}
	mux := http.NewServeMux()
	mux.Handle("/csrf", csrf.Desk(desk))
	mux.Handle("/chat", door.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "in")
	})))
	_ = mux
}
