package server

import (
	"encoding/json"
	"net/http"
)

// writeProblem answers with a problem document (RFC 9457). The detail is for
// everyone to read, and has nothing of the request in it.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, "application/problem+json", newProblem(status, detail))
}

// A problem is a problem document.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func newProblem(status int, detail string) problem {
	return problem{"about:blank", http.StatusText(status), status, detail}
}

// writeJSON answers with v, which nobody may store or take for anything else.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		// Only structs of texts and numbers come here, which have a JSON form.
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // Who hung up needs no answer.
}

// onlyGet answers what is no GET or HEAD, and reports whether it is.
func onlyGet(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	writeProblem(w, http.StatusMethodNotAllowed, "the method must be GET")
	return false
}
