package usher

// A Carrier is a way for a credential to travel, with the verifier that judges
// what it brings. Make one with Ticket, Subprotocol, FirstMessage, Cookie,
// Query, Basic or Bearer; the zero value is refused by [Guard.Validate].
//
// A cookie and Basic are ambient: browsers attach them by themselves, also to
// what a foreign page starts. The others are deliberate: a page chose to send
// them. Two different deliberate credentials in one request are a refusal. An
// ambient one does not decide beside a deliberate one, and if it belongs to
// another subject, that is a refusal too.
type Carrier struct {
	name     string
	param    string // Ticket, Query: the query parameter; Cookie: its name.
	verifier Verifier
	csrf     *CSRF
	form     MessageForm
}

// The names of the carriers, as [Credential.Carrier] and logs have them.
const (
	carrierTicket       = "ticket"
	carrierSubprotocol  = "subprotocol"
	carrierFirstMessage = "first_message"
	carrierCookie       = "cookie"
	carrierQuery        = "query"
	carrierBasic        = "basic"
	carrierBearer       = "bearer"
)

// Ticket takes a single-use ticket from the query parameter called param
// ("ticket" if empty), from the subprotocol "usher.ticket.<ticket>", and, on a
// Guard with a FirstMessage carrier, from the first message's member "ticket".
// A ticket that ends up in a log is worthless: it was spent by the handshake
// that was logged, and is bound to an origin and a route. The recommended
// carrier for browsers. Pages get tickets at [Tickets.Desk].
func Ticket(param string, t *Tickets) Carrier {
	c := Carrier{name: carrierTicket, param: param}
	if param == "" {
		c.param = ticketParam
	}
	if t != nil {
		c.verifier = t
	}
	return c
}

// Subprotocol takes a token from the offer of subprotocols (RFC 6455 §11.3.4):
// "usher.bearer." and the token in base64url without padding, beside a
// subprotocol of the application's own, which is the one to select. The token
// is cut out of the offer, so that no handler can echo it. The prefixes of
// Kubernetes ("base64url.bearer.authorization.k8s.io.") and of Phoenix
// ("base64url.bearer.phx.") are understood too. A token offered alone is
// refused: Chromium fails a handshake in which nothing was selected.
func Subprotocol(v Verifier) Carrier {
	return Carrier{name: carrierSubprotocol, verifier: v}
}

// FirstMessage takes a token from the first message, a text frame such as
// {"type":"auth","token":"…"} of at most 8 KiB. The Guard answers the upgrade
// itself and calls the handler after the verdict; sockets that wait are
// bounded by [Limits]. Where the message says "ack":true it is answered with
// {"type":"auth_ok","session":"…","expires_in":…}. It must be the last of the
// Guard's Carriers, and cannot stand beside Basic. With a nil verifier it takes
// only the tickets of the Guard's Ticket carrier.
//
// Connections of such a Guard are not compressed. On those that were admitted
// by another carrier a first message of this form is judged too, and kept from
// the handler.
func FirstMessage(v Verifier) Carrier { return FirstMessageForm(MessageForm{}, v) }

// FirstMessageForm is FirstMessage with names of the application's choice.
func FirstMessageForm(form MessageForm, v Verifier) Carrier {
	return Carrier{name: carrierFirstMessage, form: form.withDefaults(), verifier: v}
}

// Cookie takes the value of the cookie called name. Browsers attach cookies to
// what foreign pages start, so an upgrade or an unsafe method needs an Origin,
// and the Guard's list of origins decides. The cookie is cut out of the
// request; others pass. Two different cookies of that name are a refusal: one
// of them may have been planted by a sibling site.
func Cookie(name string, v Verifier) Carrier {
	return Carrier{name: carrierCookie, param: name, verifier: v}
}

// CookieCSRF is Cookie with a second proof: upgrades need a token that the page
// got by fetch, from [CSRF.Desk], in the query parameter "csrf_token" or in
// the subprotocol "usher.csrf.<token>"; unsafe methods need it in the header
// X-CSRF-Token.
func CookieCSRF(name string, csrf *CSRF, v Verifier) Carrier {
	if csrf == nil {
		v = nil // Refused by Validate, rather than a cookie without its proof.
	}
	return Carrier{name: carrierCookie, param: name, csrf: csrf, verifier: v}
}

// Query takes a reusable token from the query parameter called param
// ("access_token" if empty). It is for clients that you cannot change: the URL
// is in the logs of every proxy on the way and in the browser's console (RFC
// 6750 §5.3). The Guard cuts it out before anything behind it sees the request.
// For pages, use Ticket.
func Query(param string, v Verifier) Carrier {
	if param == "" {
		param = tokenParam
	}
	return Carrier{name: carrierQuery, param: param, verifier: v}
}

// Basic takes a user name and password (RFC 7617). A request without them is
// challenged with 401, or browsers never send them. Firefox gets changing
// credentials wrong and Safari is reported to ignore them: Basic is for devices.
func Basic(v Verifier) Carrier { return Carrier{name: carrierBasic, verifier: v} }

// Bearer takes a token from the Authorization header (RFC 6750), which browsers
// cannot send on a WebSocket: for services, and for pages at a ticket desk.
func Bearer(v Verifier) Carrier { return Carrier{name: carrierBearer, verifier: v} }

// ambient reports whether browsers attach the credential by themselves.
func (c *Carrier) ambient() bool { return c.name == carrierCookie || c.name == carrierBasic }
