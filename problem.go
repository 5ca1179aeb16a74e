package usher

import (
	"encoding/json"
	"net/http"
)

// A problem is a refusal of a plain HTTP request, in words for whoever made it.
type problem struct {
	status int
	detail string
}

func (p *problem) Error() string { return p.detail }

func (p *problem) write(w http.ResponseWriter) { writeProblem(w, p.status, p.detail, "") }

// writeProblem answers with a problem document (RFC 9457). An explainID that is
// empty is left out. What it says is for everyone to read.
func writeProblem(w http.ResponseWriter, status int, detail, explainID string) {
	writeJSON(w, status, "application/problem+json", struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		ExplainID string `json:"explain_id,omitempty"`
	}{"about:blank", http.StatusText(status), status, detail, explainID})
}

// writeJSON answers with v, which nobody may store or take for anything else.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body, err := json.Marshal(v)
	if err != nil {
		// Only structs of texts and numbers come here, which have a JSON form.
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // Who hung up needs no answer.
}
