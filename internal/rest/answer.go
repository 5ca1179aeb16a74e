package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/lexicon"
)

// An answer is what a call is answered with.
type answer struct {
	// status is the HTTP status. Default: 200.
	status int
	body   ably.Value
	// links are Link headers, one each.
	links []string
	// failed is told in headers beside a body that says more. Nil: it has not.
	failed *ably.ErrorInfo
}

func ok(body ably.Value) *answer { return &answer{body: body} }

// answer has a call answered within the time that there is for it.
func (s *Server) answer(c *call, handle handler) {
	ctx, cancel := context.WithTimeout(c.r.Context(), s.o.Timeout)
	defer cancel()
	c.r = c.r.WithContext(ctx)
	a, err := handle(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.stats.request(c, a.failed == nil)
	if a.failed != nil {
		c.explain(a.failed)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	for _, link := range a.links {
		c.w.Header().Add("Link", link)
	}
	s.write(c, a.status, a.body)
}

// fail answers with an error. What is not one of the wire stays with the
// operator.
func (s *Server) fail(c *call, err error) {
	why := lexicon.Refusal(err)
	if why.Code == ably.Internal {
		switch {
		case c.r.Context().Err() != nil, errors.Is(err, context.DeadlineExceeded):
			why = ably.Err(ably.TimedOut)
		default:
			s.o.Log.Error("rest call failed", "method", c.r.Method, "error", err)
		}
	}
	s.stats.request(c, false)
	c.explain(why)
	s.write(c, why.Status, &ably.Failure{ErrorInfo: *why})
}

// explain puts an error into the headers, where some SDKs look for it, and counts
// it.
func (c *call) explain(why *ably.ErrorInfo) {
	c.server.o.Refused(why.Code)
	h := c.w.Header()
	h.Set("X-Ably-Errorcode", strconv.Itoa(int(why.Code)))
	h.Set("X-Ably-Errormessage", oneLine(why.Message))
	if why.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", "1") // In seconds (RFC 9110 §10.2.3): what is counted passes soon.
	}
}

// oneLine makes a message one that a header can have.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// write writes the answer in the format that was asked for. The media type has
// no parameters: SDKs compare it as a string.
func (s *Server) write(c *call, status int, body ably.Value) {
	s.headers(c.w, c.r)
	h := c.w.Header()
	h["Content-Type"] = []string{c.out.ContentType()}
	h.Set("Cache-Control", "no-store")
	text := ably.Append(nil, c.out, body)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if len(text) > short {
		// Who does not read its answer must not hold it for ever.
		to := http.NewResponseController(c.w)
		_ = to.SetWriteDeadline(time.Now().Add(s.o.WriteTimeout))
		defer func() {
			_ = to.Flush()
			_ = to.SetWriteDeadline(time.Time{}) // The next answer on the connection may be another's.
		}()
	}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(text) //nolint:gosec // No browser takes it for a page: see the headers.
	}
}

// short is how long an answer is at most that net/http writes by itself, after the
// call is over.
const short = 2 << 10

// headers are those of every answer: what pages of other origins need to read it.
func (s *Server) headers(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Ably-Serverid", s.o.ServerID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Origin, Accept")
	origin := r.Header.Get("Origin")
	if origin == "" || !s.o.Origins(origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "Link, Retry-After, X-Ably-Errorcode, X-Ably-Errormessage, X-Ably-Serverid, Content-Type")
}

// preflight tells a browser what pages may send (the fetch standard's CORS
// protocol). That is the same everywhere: the call itself says what it needs.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	s.headers(w, r)
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, X-Ably-Version, X-Ably-ClientId, Ably-Agent, Content-Type, Accept")
		h.Set("Access-Control-Max-Age", "7200")
	}
	w.WriteHeader(http.StatusNoContent)
}
