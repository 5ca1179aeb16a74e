package demo

import (
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed site
var siteFiles embed.FS

// The addresses of the page, and of the other site in its two guises.
type addresses struct {
	home      string
	Sibling   string `json:"sibling"`
	CrossSite string `json:"cross_site"`
}

// maxBody bounds what the demo's own endpoints read.
const maxBody = 1 << 10

// pageRoutes serves the page, its events, and the login that an application
// would have.
func pageRoutes(mux *http.ServeMux, h *house, r *ring, pages addresses) {
	mux.Handle("GET /{$}", toLocalhost(pages.home, servePage("index.html", func(host string) string {
		return fmt.Sprintf("default-src 'self'; connect-src 'self' ws://%s; frame-src %s %s; "+
			"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
			host, strings.TrimSuffix(pages.Sibling, "/"), strings.TrimSuffix(pages.CrossSite, "/"))
	})))
	mux.Handle("GET /assets/{name}", serveAsset())
	mux.Handle("GET /demo/events", events(r))
	// These change something or hand something out, so no other page may call
	// them; that they are not WebSockets is what makes the standard library's
	// protection do.
	api := http.NewServeMux()
	api.HandleFunc("GET /demo/me", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]any{"user": h.sessions.who(r), "other": pages})
	})
	api.HandleFunc("POST /demo/login", h.login)
	api.HandleFunc("POST /demo/logout", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, h.sessions.end(r))
		writeJSON(w, map[string]any{"user": ""})
	})
	api.HandleFunc("POST /demo/token", h.giveToken)
	mux.Handle("/demo/", http.NewCrossOriginProtection().Handler(api))
}

// login logs in whoever asks: the demo has no passwords here.
func (h *house) login(w http.ResponseWriter, r *http.Request) {
	var ask struct{ User string }
	if !readJSON(w, r, &ask) {
		return
	}
	if _, ok := users[ask.User]; !ok {
		http.Error(w, "no such user", http.StatusBadRequest)
		return
	}
	h.sessions.end(r)
	http.SetCookie(w, h.sessions.start(ask.User))
	writeJSON(w, map[string]any{"user": ask.User})
}

// giveToken gives a token to who is logged in.
func (h *house) giveToken(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Kind, User string }
	if !readJSON(w, r, &ask) {
		return
	}
	subject := h.sessions.who(r)
	if subject == "" {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	// To show what two credentials do, the page may have another user's token.
	if _, ok := users[ask.User]; ok {
		subject = ask.User
	}
	token, err := h.token(subject, ask.Kind)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, map[string]any{"token": token})
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into); err != nil {
		http.Error(w, "want a JSON object", http.StatusBadRequest)
		return false
	}
	return true
}

// toLocalhost sends a visitor who came by number to the name, so that the
// number can play another site.
func toLocalhost(home string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hostName(r.Host) != "localhost" {
			http.Redirect(w, r, home, http.StatusFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// servePage serves one page with the policy that it needs.
func servePage(name string, policy func(host string) string) http.Handler {
	text, err := siteFiles.ReadFile("site/" + name)
	if err != nil {
		panic(err) // It is embedded: the build would be broken.
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy(html.EscapeString(r.Host)))
		head.Set("Content-Type", "text/html; charset=utf-8")
		head.Set("Referrer-Policy", "no-referrer")
		pageHeaders(head)
		// A cookie that is no credential, to show that such ones pass.
		if _, err := r.Cookie(themeCookie); err != nil {
			http.SetCookie(w, &http.Cookie{Name: themeCookie, Value: "light", Path: "/", SameSite: http.SameSiteLaxMode})
		}
		w.Write(text)
	})
}

func pageHeaders(head http.Header) {
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
}

// serveAsset serves scripts, styles and the icon.
func serveAsset() http.Handler {
	assets, err := fs.Sub(siteFiles, "site/assets")
	if err != nil {
		panic(err) // See servePage.
	}
	files := http.FileServerFS(assets)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pageHeaders(w.Header())
		http.StripPrefix("/assets", files).ServeHTTP(w, r)
	})
}

// otherRoutes is the other site: a page that attacks the chat at target.
func otherRoutes(target string) http.Handler {
	mux := http.NewServeMux()
	home := strings.TrimSuffix(target, "/")
	socket := "ws" + strings.TrimPrefix(home, "http")
	mux.Handle("GET /{$}", servePage("other.html", func(string) string {
		return fmt.Sprintf("default-src 'self'; connect-src 'self' %s %s; frame-ancestors %s; "+
			"base-uri 'none'; form-action 'none'; object-src 'none'", home, socket, home)
	}))
	mux.Handle("GET /assets/{name}", serveAsset())
	mux.HandleFunc("GET /target", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{"http": home, "ws": socket})
	})
	return mux
}
