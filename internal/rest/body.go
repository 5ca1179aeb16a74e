package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/usher-ws/usher/internal/ably"
)

const (
	formType = "application/x-www-form-urlencoded"
	// maxBody bounds what one request can bring: what a batch may have.
	maxBody = 2 << 20
	// maxStranger bounds the body of a request that nobody has judged yet: a token
	// request, which is no larger than a token can be.
	maxStranger = 64 << 10
)

// read reads the body into v.
func (c *call) read(v ably.Value) error {
	format := ably.JSON
	if media := c.r.Header.Get("Content-Type"); media != "" {
		var ok bool
		if format, ok = ably.FormatOf(media); !ok {
			return ably.Errorf(ably.BadRequest, "the body must be JSON or msgpack")
		}
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	return ably.Decode(format, body, v)
}

// body reads the body as it is.
func (c *call) body() ([]byte, error) {
	most := int64(maxBody)
	if c.grant == nil {
		most = maxStranger
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	if err == nil {
		return body, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, ably.Errorf(ably.MessageTooLarge, "a body of more than %d bytes", most)
	}
	return nil, ably.Errorf(ably.BadRequest, "the body did not come whole")
}

// media is the type of the body, without its parameters.
func (c *call) media() string {
	media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// readForm is read for a body that may also be a form, each of whose fields is a
// member of v as text.
func (c *call) readForm(v ably.Value) error {
	if c.media() != formType {
		return c.read(v)
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ably.Errorf(ably.BadRequest, "the form is malformed")
	}
	members := make(map[string]string, len(form))
	for name, values := range form {
		switch {
		case len(values) > 1:
			return ably.Errorf(ably.BadRequest, "a field is in the form more than once")
		case !utf8.ValidString(name), !utf8.ValidString(values[0]):
			return ably.Errorf(ably.BadRequest, "text that is not UTF-8")
		}
		members[name] = values[0]
	}
	text, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return ably.Decode(ably.JSON, text, v)
}

// readBare reads a message of which the body is nothing but the data: text, bytes,
// or JSON.
func (c *call) readBare() (ably.Messages, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	name := c.query.Get("name")
	if name == "" {
		name = c.r.Header.Get("X-Ably-Name")
	}
	m := new(ably.Message)
	switch media := c.media(); {
	case !utf8.ValidString(name), media != "application/octet-stream" && !utf8.Valid(body):
		return nil, ably.Errorf(ably.BadData, "text that is not UTF-8")
	case strings.HasPrefix(media, "text/"):
		m.Data = ably.TextData(string(body))
	case media == "application/octet-stream":
		m.Data = ably.BinaryData(string(body))
	case media == "application/json":
		if !json.Valid(body) { // Or it could end the object that it is put in.
			return nil, ably.Errorf(ably.BadRequest, "the body is no JSON")
		}
		if err := ably.Decode(ably.JSON, append(append([]byte(`{"data":`), body...), '}'), m); err != nil {
			return nil, err
		}
	default:
		return nil, ably.Errorf(ably.BadRequest, "a body that is the data itself is text, JSON or application/octet-stream")
	}
	m.Name = name
	return ably.Messages{m}, nil
}
