package config

// A Carrier is a way for a credential to travel. Exactly one key is given.
type Carrier struct {
	// Single-use ticket, in the query or beside a subprotocol. For browsers.
	Ticket *Ticket `yaml:"ticket"`
	// Token in the offer of subprotocols, as usher.bearer. and the token in
	// base64url.
	Subprotocol *Verify `yaml:"subprotocol"`
	// Cookie, which browsers attach by themselves.
	Cookie *Cookie `yaml:"cookie"`
	// Token in the query, for clients that cannot be changed: it ends up in the
	// logs of proxies.
	Query *Query `yaml:"query"`
	// Token in the header Authorization, which browsers cannot send.
	Bearer *Verify `yaml:"bearer"`
	// User name and password (RFC 7617), for devices. Not beside first_message.
	Basic *Verify `yaml:"basic"`
	// Token in the first message; must be the last carrier.
	FirstMessage *FirstMessage `yaml:"first_message"`
}

// Name returns the key that is given, such as "first_message".
func (c *Carrier) Name() string {
	switch {
	case c.Ticket != nil:
		return "ticket"
	case c.Subprotocol != nil:
		return "subprotocol"
	case c.Cookie != nil:
		return "cookie"
	case c.Query != nil:
		return "query"
	case c.Bearer != nil:
		return "bearer"
	case c.Basic != nil:
		return "basic"
	case c.FirstMessage != nil:
		return "first_message"
	}
	return ""
}

// VerifierNames returns the names of the verifiers that judge what the carrier
// brings: of a ticket, those who judge the credential that it is made from.
func (c *Carrier) VerifierNames() []string {
	switch {
	case c.Ticket != nil:
		return c.Ticket.Verify
	case c.Subprotocol != nil:
		return c.Subprotocol.Verify
	case c.Cookie != nil:
		return c.Cookie.Verify
	case c.Query != nil:
		return c.Query.Verify
	case c.Bearer != nil:
		return c.Bearer.Verify
	case c.Basic != nil:
		return c.Basic.Verify
	case c.FirstMessage != nil:
		return c.FirstMessage.Verify
	}
	return nil
}

// Verify says who judges.
type Verify struct {
	// Names of verifiers, asked in this order.
	Verify []string `yaml:"verify" rule:"required"`
}

// A Ticket is a single-use ticket, and the desk that makes it: POST
// /usher/v1/tickets?route=PATH.
type Ticket struct {
	// Names of verifiers of the credential with which a page asks the desk for a
	// ticket. Default: those of the route's carriers bearer and subprotocol.
	Verify []string `yaml:"verify"`
	// Name of a cookie that the desk takes for such a credential, besides Bearer.
	// Default: none.
	Cookie string `yaml:"cookie"`
	// Name of the query parameter. Default: ticket.
	Param string `yaml:"param" default:"ticket"`
}

// A Cookie is a credential that browsers attach by themselves.
type Cookie struct {
	// Name of the cookie.
	Name string `yaml:"name" rule:"required"`
	// Names of verifiers, asked in this order.
	Verify []string `yaml:"verify" rule:"required"`
	// Whether a handshake needs a second proof, a token that the page fetched.
	// Default: false.
	CSRF bool `yaml:"csrf" default:"false"`
}

// A Query is a token in the URL.
type Query struct {
	// Name of the query parameter. Default: access_token.
	Param string `yaml:"param" default:"access_token"`
	// Names of verifiers, asked in this order.
	Verify []string `yaml:"verify" rule:"required"`
}

// A FirstMessage is a text frame such as {"type":"auth","token":"…"}.
type FirstMessage struct {
	// Names of verifiers, asked in this order. Default: none, only tickets are
	// taken, which needs the carrier ticket.
	Verify []string `yaml:"verify"`
	// Value of the message's member "type". Default: auth.
	Type string `yaml:"type" default:"auth"`
	// Member that holds the token. Default: token.
	Token string `yaml:"token" default:"token"`
}
