package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/usher-ws/usher"
)

// maxClientID bounds a client_id, in bytes.
const maxClientID = 256

// A proof is what a request says of its client.
type proof struct {
	id     string
	secret usher.Secret
	given  bool // There is a secret, maybe an empty one: it is to be judged.
}

// proof reads who the client says it is (RFC 6749 §2.3.1): by Basic or in the
// body, never both. A client_id alone proves nothing.
func (q *request) proof() (proof, error) {
	inBody := proof{id: q.text("client_id"), given: q.has("client_secret")}
	if inBody.given {
		inBody.secret = usher.NewSecret(q.text("client_secret"))
	}
	switch headers := q.Header["Authorization"]; {
	case q.has("client_assertion"), q.has("client_assertion_type"):
		return proof{}, invalidClient("clients prove who they are by Basic or by client_secret", nil)
	case len(headers) > 1:
		return proof{}, bad(codeRequest, "more than one header Authorization")
	case len(headers) == 0 && inBody.given && inBody.id == "":
		return proof{}, invalidClient("client_secret without client_id", nil)
	case len(headers) == 0:
		return inBody, nil
	case inBody.given:
		return proof{}, bad(codeRequest, "a client proves who it is in one way only: by Basic, or by client_secret")
	default:
		byBasic, err := readBasic(headers[0])
		if err == nil && inBody.id != "" && inBody.id != byBasic.id {
			err = bad(codeRequest, "client_id is not the user of Basic")
		}
		return byBasic, err
	}
}

// readBasic reads a header of the scheme Basic, whose two halves are encoded as a
// form is.
func readBasic(header string) (proof, error) {
	no := invalidClient("the header Authorization is not Basic, or malformed", nil)
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return proof{}, no
	}
	both, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(text, " "))
	if err != nil {
		return proof{}, no
	}
	user, password, ok := strings.Cut(string(both), ":")
	id, err := url.QueryUnescape(user)
	if err != nil || !ok || id == "" {
		return proof{}, no
	}
	secret, err := url.QueryUnescape(password)
	if err != nil {
		return proof{}, no
	}
	return proof{id, usher.NewSecret(secret), true}, nil
}

// authenticate returns the client that has proven who it is, or nil where the
// request has no proof: named is the client_id of one that only says so.
func (i *Issuer) authenticate(ctx context.Context, q *request) (client *Client, named string, err error) {
	p, err := q.proof()
	if err != nil {
		return nil, "", err
	}
	if len(p.id) > maxClientID || strings.ContainsFunc(p.id, unicode.IsControl) {
		return nil, "", invalidClient("no such client, or another secret", nil)
	}
	if !p.given {
		return nil, p.id, nil
	}
	c, err := i.o.Clients.Client(ctx, p.id, p.secret)
	switch {
	case errors.Is(err, ErrClient):
		return nil, "", i.wrong(q, p.id, err)
	case err != nil:
		return nil, "", err
	}
	return &c, c.ID, nil
}

// authenticated is authenticate where a proof is needed.
func (i *Issuer) authenticated(ctx context.Context, q *request) (*Client, error) {
	client, _, err := i.authenticate(ctx, q)
	if err == nil && client == nil {
		err = invalidClient("this needs a client's id and secret", nil)
	}
	return client, err
}

// wrong is the answer to a wrong secret. It is judged before anybody is slowed
// down, so that no number of wrong ones keeps out a right one.
func (i *Issuer) wrong(q *request, id string, cause error) error {
	if i.o.Guesses != nil {
		if wait := i.o.Guesses.Wrong(id, i.o.Address(q.Request)); wait > 0 {
			return &failure{
				status: http.StatusTooManyRequests, code: codeSlow, about: "too many wrong secrets", cause: cause,
				wait: strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10),
			}
		}
	}
	return invalidClient("no such client, or another secret", cause)
}

func invalidClient(about string, cause error) error {
	return &failure{status: http.StatusUnauthorized, code: codeClient, about: about, cause: cause}
}

// maxShownID is how long an id is at most that the log has, in bytes. A longer one
// is none of ours, and may be a secret in the wrong place.
const maxShownID = 16

// claimed is who the client says it is, for the log.
func (q *request) claimed() string {
	p, err := q.proof()
	if err != nil || len(p.id) > maxShownID {
		return ""
	}
	return p.id
}
