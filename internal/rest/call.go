package rest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
)

const (
	// latestVersion is the version of the protocol that requests are of which
	// name none.
	latestVersion = 6
	// firstNewForms is the version since which batches answer in full, and what
	// was counted has one name each.
	firstNewForms = 3
)

// A call is one request with what is known of it.
type call struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	path    []string // Unescaped segments.
	query   url.Values
	out     ably.Format // Of the answer.
	version int

	// Of an admitted client. Nil else.
	grant *apps.Grant
	app   *hub.App
}

func (s *Server) newCall(w http.ResponseWriter, r *http.Request, path []string) *call {
	c := &call{server: s, w: w, r: r, path: path, query: r.URL.Query(), version: latestVersion}
	c.out = c.wanted()
	said := r.Header.Get("X-Ably-Version")
	if said == "" {
		said = c.query.Get("v")
	}
	if v, err := strconv.ParseFloat(said, 64); err == nil && v > 0 && v < 1e6 {
		c.version = int(v)
	}
	return c
}

// wanted is the format that the client wants: what it says first of those that
// we have, or else JSON. That it wants an answer with status and headers in its body
// (envelope) is passed over: the SDKs that ask for one take any other too, and pages
// may read status and headers as they are.
func (c *call) wanted() ably.Format {
	if f, ok := ably.ParseFormat(c.query.Get("format")); ok {
		return f
	}
	for _, line := range c.r.Header["Accept"] {
		for media := range strings.SplitSeq(line, ",") {
			if f, ok := ably.FormatOf(media); ok {
				return f
			}
		}
	}
	return ably.JSON
}

// identify finds out what the client may do, and as whom.
func (c *call) identify() error {
	id, err := usher.FromContext(c.r.Context())
	if err != nil {
		return err
	}
	g, err := c.server.o.Registry.Grant(id)
	if err != nil {
		return apps.Explain(err)
	}
	clientID, said := "", false
	if values := c.r.Header["X-Ably-Clientid"]; len(values) > 0 {
		raw, err := base64.StdEncoding.DecodeString(values[0])
		if err != nil {
			return ably.Errorf(ably.BadClientID, "X-Ably-ClientId is not base64")
		}
		clientID, said = string(raw), true
	}
	g, bad := g.As(clientID, said)
	if bad != nil {
		return bad
	}
	if c.app = c.server.o.Registry.App(g.App); c.app == nil {
		return ably.Errorf(ably.BadCredential, "the app is no more")
	}
	c.grant = g
	return nil
}

// channel takes the channel's name, which is the second segment of the path.
func (c *call) channel() (string, error) {
	name, bad := ably.ParseChannelName(c.path[1])
	if bad != nil {
		return "", bad
	}
	return name.Name, nil
}

// channelFor is channel for those who may do an operation there.
func (c *call) channelFor(operations ...string) (string, error) {
	name, err := c.channel()
	if err != nil {
		return "", err
	}
	var bad *ably.ErrorInfo
	for _, operation := range operations {
		if bad = c.grant.May(operation, name); bad == nil {
			return name, nil
		}
	}
	return "", bad
}

// segments unescapes the path, segment by segment: a name may have a slash in it.
func segments(u *url.URL) ([]string, bool) {
	path, ok := strings.CutPrefix(u.EscapedPath(), "/")
	if !ok || len(path) > 8<<10 {
		return nil, false
	}
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, part := range parts {
		s, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		parts[i] = s
	}
	return parts, true
}
