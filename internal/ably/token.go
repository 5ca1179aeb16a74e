package ably

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
)

// A TokenRequest asks for a token. It is signed by whoever has the key, so that
// it can be carried by who has not.
type TokenRequest struct {
	// KeyName is the key that signs it.
	KeyName string
	// TTL is how long the token is to live, in milliseconds. 0: as long as usual.
	TTL int64
	// Capability is what the token is to allow, the text as it was signed. Empty:
	// what the key allows.
	Capability string
	// ClientID is whose token it is to be. Empty: nobody's.
	ClientID string
	// Timestamp is when it was made, in milliseconds since 1970.
	Timestamp int64
	// Nonce makes that it is used once.
	Nonce string
	// MAC is its signature. Empty: it was not signed.
	MAC string
}

func (r *TokenRequest) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "keyName":
			r.KeyName = d.text()
		case "ttl":
			outer := d.take()
			r.TTL = d.integer()
			if p := d.take(); p != nil {
				d.refuse(BadParameter, "ttl is a number of milliseconds")
			} else {
				d.problem = outer
			}
		case "capability":
			if d.kind() == kindText {
				r.Capability = d.text()
			} else {
				r.Capability = d.raw()
			}
		case "clientId":
			if d.kind() == kindText {
				if r.ClientID = d.text(); r.ClientID == "" {
					d.refuse(BadClientID, "empty")
				}
			} else {
				r.ClientID = d.text()
			}
		case "timestamp":
			r.Timestamp = d.integer()
		case "nonce":
			r.Nonce = d.text()
		case "mac":
			r.MAC = d.text()
		default:
			d.skip()
		}
	}
}

func (r *TokenRequest) encode(e *encoder) {
	e.begin()
	e.text("keyName", r.KeyName)
	e.integer("ttl", r.TTL)
	e.text("capability", r.Capability)
	e.text("clientId", r.ClientID)
	e.integer("timestamp", r.Timestamp)
	e.text("nonce", r.Nonce)
	e.text("mac", r.MAC)
	e.end()
}

// Sign signs the request with the key's secret.
func (r *TokenRequest) Sign(secret string) {
	ttl := ""
	if r.TTL != 0 {
		ttl = strconv.FormatInt(r.TTL, 10)
	}
	r.MAC = base64.StdEncoding.EncodeToString(r.sum(secret, ttl))
}

// SignedBy reports whether the key with this secret has signed the request. A
// TTL that says nothing is signed as nothing by some and as 0 by others.
func (r *TokenRequest) SignedBy(secret string) bool {
	mac, err := base64.StdEncoding.DecodeString(r.MAC)
	if err != nil {
		return false
	}
	if r.TTL != 0 {
		return hmac.Equal(mac, r.sum(secret, strconv.FormatInt(r.TTL, 10)))
	}
	return hmac.Equal(mac, r.sum(secret, "")) || hmac.Equal(mac, r.sum(secret, "0"))
}

// sum is the MAC of the text that is signed: a line each, the last one too.
func (r *TokenRequest) sum(secret, ttl string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%d\n%s\n", r.KeyName, ttl, r.Capability, r.ClientID, r.Timestamp, r.Nonce)
	return h.Sum(nil)
}

// TokenDetails are a token, and what it says to those who cannot read it.
type TokenDetails struct {
	// Token is the token. It is a secret.
	Token string
	// KeyName is the key that it was made with.
	KeyName string
	// Issued and Expires are when it lives, in milliseconds since 1970.
	Issued, Expires int64
	// Capability is what it allows, as canonical JSON.
	Capability string
	// ClientID is whose it is: "*" of who may say so, empty of nobody.
	ClientID string
}

func (t *TokenDetails) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "token":
			t.Token = d.text()
		case "keyName":
			t.KeyName = d.text()
		case "issued":
			t.Issued = d.integer()
		case "expires":
			t.Expires = d.integer()
		case "capability":
			t.Capability = d.text()
		case "clientId":
			t.ClientID = d.text()
		default:
			d.skip()
		}
	}
}

func (t *TokenDetails) encode(e *encoder) {
	e.begin()
	e.alwaysText("token", t.Token)
	e.alwaysText("keyName", t.KeyName)
	e.alwaysInteger("issued", t.Issued)
	e.alwaysInteger("expires", t.Expires)
	e.alwaysText("capability", t.Capability)
	e.text("clientId", t.ClientID)
	e.end()
}
