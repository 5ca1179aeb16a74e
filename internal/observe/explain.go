package observe

import (
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/usher-ws/usher"
)

const (
	// Remembered is how many refusals and ends can be explained: the newest.
	Remembered = 10_000
	// maxReason bounds the text of one, in bytes.
	maxReason = 512
)

// An Explanation is a refusal, or the end of a connection by its Guard, as the
// operator may see it. It holds no credential.
type Explanation struct {
	// ID is the explain id that the client was given.
	ID string `json:"explain_id"`
	// Time is when it happened.
	Time time.Time `json:"time"`
	// Verdict is "refused" or "ended".
	Verdict string `json:"verdict"`
	// Route is the name of the route.
	Route string `json:"route"`
	// Carrier is the name of the carrier whose credential was judged, or empty.
	Carrier string `json:"carrier,omitempty"`
	// Status is the HTTP status for who could read one.
	Status int `json:"status"`
	// Code is the WebSocket close code for who could read one.
	Code int `json:"close_code"`
	// Word is what the client was told.
	Word string `json:"word"`
	// Reason says what each verifier said, and what else was the cause.
	Reason string `json:"reason"`
	// Client is the client's network: an IPv4 address or 64 bits of IPv6.
	Client string `json:"client,omitempty"`
	// Origin is the request's, if it was allowed; else empty.
	Origin string `json:"origin,omitempty"`
	// Subject, Issuer and Session say whose connection it was, where it was
	// admitted before.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Session string `json:"session,omitempty"`
	// Seconds is how long the verdict took, or how long the connection lived.
	Seconds float64 `json:"seconds"`
}

// Explanations remembers the newest refusals and ends by their explain ids. Older
// ones are forgotten. The zero value is ready for use.
type Explanations struct {
	mu sync.Mutex
	// Guarded by mu.
	ring []Explanation // Up to Remembered of them; then next is the oldest.
	next int
	byID map[string]int // Where each is in ring.
}

// Observe remembers an event that has an explain id.
func (x *Explanations) Observe(e usher.Event) {
	why := e.Refusal
	if why == nil || why.ID == "" {
		return
	}
	one := Explanation{
		ID: why.ID, Time: e.Time.UTC(), Verdict: string(e.Kind), Route: e.Route, Carrier: e.Carrier,
		Status: why.Status, Code: why.Code, Word: why.Word, Reason: printable(Redact(why.Error())), Origin: printable(e.Origin),
		Seconds: e.Took.Seconds(),
	}
	if e.Client.IsValid() {
		one.Client = e.Client.String()
	}
	if e.Identity != nil {
		id := e.Identity
		one.Subject, one.Issuer, one.Session = printable(id.Subject), printable(id.Issuer), printable(id.Session)
	}
	x.add(one)
}

func (x *Explanations) add(one Explanation) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byID == nil {
		x.byID = make(map[string]int)
	}
	if len(x.ring) < Remembered {
		x.byID[one.ID] = len(x.ring)
		x.ring = append(x.ring, one)
		return
	}
	if old := x.ring[x.next].ID; x.byID[old] == x.next {
		delete(x.byID, old)
	}
	x.ring[x.next], x.byID[one.ID] = one, x.next
	x.next = (x.next + 1) % Remembered
}

// Find returns what happened under an explain id, if it is still remembered.
func (x *Explanations) Find(id string) (Explanation, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i, ok := x.byID[id]
	if !ok {
		return Explanation{}, false
	}
	return x.ring[i], true
}

// Newest returns the newest n at most, the newest first.
func (x *Explanations) Newest(n int) []Explanation {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := make([]Explanation, 0, min(n, len(x.ring)))
	for i := range min(n, len(x.ring)) {
		at := (x.next - 1 - i + 2*len(x.ring)) % len(x.ring)
		list = append(list, x.ring[at])
	}
	return list
}

// printable returns text without what would move a terminal's cursor, cut short
// at a character.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
