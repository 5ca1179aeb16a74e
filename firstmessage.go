package usher

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	strictjson "github.com/go-jose/go-jose/v4/json"
	"github.com/gobwas/ws"
)

// maxMessage bounds a first message, in bytes of payload.
const maxMessage = 8 << 10

// A MessageForm names the members of a first message, for applications that
// have a form of their own. All are members of the one JSON object.
type MessageForm struct {
	// Type is the value of the member "type". Default: "auth".
	Type string
	// Token is the member that holds the token. Default: "token".
	Token string
	// Ticket is the member that holds a ticket. Default: "ticket".
	Ticket string
}

func (f MessageForm) withDefaults() MessageForm {
	return MessageForm{
		Type: cmp.Or(f.Type, "auth"), Token: cmp.Or(f.Token, "token"), Ticket: cmp.Or(f.Ticket, "ticket"),
	}
}

// A firstMessage is what such a message says.
type firstMessage struct {
	kind   Kind
	secret string
	ack    bool
}

var errNoAuthMessage = errors.New("not an authentication message")

// parse reads a first message. Its error is errNoAuthMessage if the message is
// something else, errTwoCredentials or errMalformed otherwise.
func (f MessageForm) parse(payload []byte) (firstMessage, error) {
	if members, ok := readPlain(string(payload)); ok {
		return f.read(members)
	}
	return f.parseAny(payload)
}

// read reads the members of a message that is one JSON object.
func (f MessageForm) read(members map[string]any) (m firstMessage, err error) {
	if kind, _ := members["type"].(string); kind != f.Type {
		return m, errNoAuthMessage
	}
	token, hasToken := members[f.Token]
	ticket, hasTicket := members[f.Ticket]
	m.kind = KindToken
	if hasTicket {
		m.kind, token = KindTicket, ticket
	}
	m.secret, _ = token.(string)
	ack := members["ack"]
	m.ack, _ = ack.(bool)
	switch _, isBool := ack.(bool); {
	case hasToken && hasTicket:
		return m, errTwoCredentials
	case m.secret == "", ack != nil && !isBool:
		return m, errMalformed
	}
	return m, nil
}

// parseAny is parse for what is not plain.
func (f MessageForm) parseAny(payload []byte) (firstMessage, error) {
	var m firstMessage
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || jsonString(members["type"]) != f.Type {
		return m, errNoAuthMessage
	}
	// A member that is there twice is read differently by others.
	var strict map[string]strictjson.RawMessage
	if strictjson.Unmarshal(payload, &strict) != nil {
		return m, errMalformed
	}
	token, ticket := members[f.Token], members[f.Ticket]
	switch {
	case token != nil && ticket != nil:
		return m, errTwoCredentials
	case ticket != nil:
		m.kind, m.secret = KindTicket, jsonString(ticket)
	default:
		m.kind, m.secret = KindToken, jsonString(token)
	}
	if m.secret == "" {
		return m, errMalformed
	}
	if ack, ok := members["ack"]; ok && json.Unmarshal(ack, &m.ack) != nil {
		return m, errMalformed
	}
	return m, nil
}

func jsonString(raw json.RawMessage) string {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// candidateOf makes a first message into a credential. A ticket is judged by
// the Guard's Ticket carrier.
func (g *guardState) candidateOf(m firstMessage, v *visit) candidate {
	c := newCandidate(m.kind, m.secret)
	c.cred.Carrier = carrierFirstMessage
	c.cred.Origin, c.cred.Route = v.origin, v.route
	c.carrier = g.first
	if m.kind == KindTicket {
		c.carrier = g.ticket
	}
	if c.carrier == nil || c.carrier.verifier == nil {
		c.err = fmt.Errorf("%w: no carrier for a %s in the first message", ErrUnrecognized, m.kind)
	}
	return c
}

// ackFrame is what a client that asked for it hears of its admission.
func ackFrame(id *Identity) []byte {
	text, err := json.Marshal(struct {
		Type      string `json:"type"`
		Session   string `json:"session"`
		ExpiresIn int64  `json:"expires_in"`
	}{"auth_ok", id.Session, seconds(time.Now(), id.Expires)})
	if err != nil {
		panic(err) // Strings and a number always encode.
	}
	return ws.MustCompileFrame(ws.NewTextFrame(text))
}
