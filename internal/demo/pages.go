package demo

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
)

//go:embed site
var siteFiles embed.FS

// About is what the page needs to know of the demo.
type about struct {
	User  string    `json:"user"`
	Other addresses `json:"other"`
	// WhyNode says why there is no chat in Node, or is empty.
	WhyNode string `json:"why_no_node"`
	// Config is the gateway's configuration.
	Config string `json:"config"`
}

// Addresses are those of the other site in its two guises.
type addresses struct {
	Sibling   string `json:"sibling"`
	CrossSite string `json:"cross_site"`
}

// A site is what the page is made of.
type site struct {
	house   *house
	ring    *ring
	gateway *gateway
	explain func(ctx context.Context, out io.Writer, admin, id string) error
	home    string
	about   about // But for who is logged in.
}

// maxBody bounds what the demo's own endpoints read.
const maxBody = 1 << 10

// pageRoutes serves the page, its events, and the login that an application
// would have.
func pageRoutes(mux *http.ServeMux, s *site) {
	other := s.about.Other
	mux.Handle("GET /{$}", toLocalhost(s.home, servePage("index.html", func(host string) string {
		return fmt.Sprintf("default-src 'self'; connect-src 'self' ws://%s; frame-src %s %s; "+
			"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
			host, strings.TrimSuffix(other.Sibling, "/"), strings.TrimSuffix(other.CrossSite, "/"))
	})))
	mux.Handle("GET /assets/{name}", serveAsset())
	mux.Handle("GET /demo/events", events(s.ring))
	// These change something or hand something out, so no other page may call
	// them; that they are not WebSockets is what makes the standard library's
	// protection do.
	api := http.NewServeMux()
	api.HandleFunc("GET /demo/about", func(w http.ResponseWriter, r *http.Request) {
		known := s.about
		known.User = s.house.current(r).subject
		writeJSON(w, known)
	})
	api.HandleFunc("POST /demo/login", s.house.login)
	api.HandleFunc("POST /demo/logout", s.house.logout)
	api.HandleFunc("POST /demo/token", s.house.giveToken)
	api.HandleFunc("GET "+whoamiPath, s.house.whoami)
	api.HandleFunc("GET /demo/figures", s.figures)
	api.HandleFunc("GET /demo/explain/{id}", s.explanation)
	mux.Handle("/demo/", http.NewCrossOriginProtection().Handler(api))
}

func (s *site) figures(w http.ResponseWriter, r *http.Request) {
	now, err := s.gateway.figures(r.Context())
	if err != nil {
		http.Error(w, "the gateway does not answer", http.StatusBadGateway)
		return
	}
	writeJSON(w, now)
}

// explanation answers with what "usher explain" prints for the id.
func (s *site) explanation(w http.ResponseWriter, r *http.Request) {
	admin, err := s.gateway.adminURL(r.Context())
	if err != nil || s.explain == nil {
		http.Error(w, "nobody can explain this", http.StatusNotFound)
		return
	}
	var text bytes.Buffer
	if err := s.explain(r.Context(), &text, admin, r.PathValue("id")); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	writeJSON(w, map[string]string{"text": text.String()})
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

// onlyHosts answers to the given names only: a page that has its own name
// resolve to this machine (DNS rebinding) finds nothing.
func onlyHosts(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(names, hostName(r.Host)) {
			http.Error(w, "no such site here", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is host without its port and brackets.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return host
	}
	return name
}
