package usher

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	defaultCSRFTTL = 12 * time.Hour
	minCSRFKey     = 32

	csrfTimeSize = 8
	csrfSize     = csrfTimeSize + sha256.Size
)

// CSRF makes and checks the second proof of [CookieCSRF]: a token that only a
// page which can read our answers has, bound to the session that the cookie
// belongs to. It can be used until it expires. The zero value is ready for one
// process, and must not be copied after first use.
type CSRF struct {
	// Key is a secret of at least 32 random bytes, the same on all nodes.
	// Default: a random one, so that tokens end with the process.
	Key Secret
	// TTL is how long a token is good. A negative one is an error of Validate.
	// Default: 12 hours.
	TTL time.Duration

	once   sync.Once
	random []byte // The key if Key is empty. Immutable after once.
}

// Validate reports what is wrong with the fields. As long as it is an error,
// no token is made and none is good.
func (c *CSRF) Validate() error {
	if n := len(c.Key.Reveal()); n > 0 && n < minCSRFKey {
		return fmt.Errorf("csrf key has %d bytes, want at least %d random ones", n, minCSRFKey)
	}
	if c.TTL < 0 {
		return errors.New("csrf lifetime is negative")
	}
	return nil
}

// Token returns a token for the session of id: base64url without padding, so
// that it is legal in a query, a header and a subprotocol. It is empty if id is
// nil, and on a CSRF that does not validate.
func (c *CSRF) Token(id *Identity) string {
	if id == nil || c.Validate() != nil {
		return ""
	}
	expires := uint64(time.Now().Add(c.ttl()).Unix())
	return base64url.EncodeToString(c.sum(expires, id))
}

// check reports whether token was made for the session of id and is good at
// now. The comparison takes the same time whatever the token is.
func (c *CSRF) check(token string, id *Identity, now time.Time) bool {
	if id == nil || c.Validate() != nil {
		return false
	}
	if len(token) != base64url.EncodedLen(csrfSize) {
		return false
	}
	got, ok := decodeBase64URL(token)
	if !ok {
		return false
	}
	expires := binary.BigEndian.Uint64(got)
	return hmac.Equal(got, c.sum(expires, id)) && now.Unix() < int64(expires)
}

// sum returns the bytes of a token: the time when it expires, in seconds since
// 1970, and the code of that time and of the session.
func (c *CSRF) sum(expires uint64, id *Identity) []byte {
	session := id.Session
	if session == "" {
		session = derivedSession(id.Issuer, id.Subject)
	}
	token := binary.BigEndian.AppendUint64(make([]byte, 0, csrfSize), expires)
	message := append([]byte("usher csrf v1"), token...)
	for _, s := range []string{id.Issuer, id.Subject, session} {
		message = binary.BigEndian.AppendUint64(message, uint64(len(s)))
		message = append(message, s...)
	}
	h := hmac.New(sha256.New, c.key())
	h.Write(message)
	return h.Sum(token)
}

func (c *CSRF) key() []byte {
	if !c.Key.Empty() {
		return []byte(c.Key.Reveal())
	}
	c.once.Do(func() {
		c.random = make([]byte, minCSRFKey)
		rand.Read(c.random)
	})
	return c.random
}

func (c *CSRF) ttl() time.Duration { return cmp.Or(c.TTL, defaultCSRFTTL) }

// Desk returns the endpoint where pages get a token, by GET or POST:
//
//	200 {"csrf_token":"…","expires_in":43200}
//
// It stands behind g, with the Cookie carrier whose sessions the tokens are
// for. Pages of g's origins can read the answer (CORS); that no other can is
// what makes the token a proof. The time is in seconds.
func (c *CSRF) Desk(g *Guard) http.Handler {
	return newCORS(g, g.Handler(&csrfDesk{csrf: c, log: g.compile().log}), http.MethodGet, http.MethodPost)
}

type csrfDesk struct {
	csrf *CSRF
	log  *slog.Logger
}

// ServeHTTP runs for those whom the Guard admitted.
func (d *csrfDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := FromContext(r.Context())
	if err == nil {
		err = d.csrf.Validate()
	}
	if err != nil {
		d.log.Error("cannot make a csrf token", "error", err)
		(&problem{http.StatusInternalServerError, "no token could be made"}).write(w)
		return
	}
	writeJSON(w, http.StatusOK, "application/json", struct {
		Token     string `json:"csrf_token"`
		ExpiresIn int64  `json:"expires_in"`
	}{d.csrf.Token(id), int64(d.csrf.ttl() / time.Second)})
}
