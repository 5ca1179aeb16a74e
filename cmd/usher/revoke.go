package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// A revokeCommand takes credentials back.
type revokeCommand struct {
	Subject      string `help:"Whose credentials are meant: all of this subject's (sub)."`
	Session      string `help:"The login whose credentials are meant."`
	Token        string `help:"The id (jti) of the one credential that is meant; not the token itself."`
	Issuer       string `help:"Whose credentials are meant (iss); beside one of the others, who vouched for that."`
	Reason       string `help:"For the log and whoever looks up an explain id. Clients never see it."`
	IssuedBefore string `placeholder:"TIME" help:"Spare credentials that were issued at this time or later: 2026-03-01T10:00:00Z, or seconds since 1970. Default: now."`
	adminFlags
}

// Help is what "usher revoke --help" says besides its flags.
func (revokeCommand) Help() string {
	return `Give one of --subject, --session and --token, or --issuer. All nodes of the engine
do it; the number that is printed is that of the one that was asked.

  usher revoke --subject alice --reason "laptop stolen"`
}

// revokedAnswer is what a gateway has done.
type revokedAnswer struct {
	Connections  int       `json:"connections"`
	IssuedBefore time.Time `json:"issued_before"`
}

// Run revokes, and prints what that has ended.
func (c *revokeCommand) Run(ctx context.Context, stdout io.Writer) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	var done revokedAnswer
	err = c.call(ctx, http.MethodPost, "revocations", body, &done)
	if said, ok := errors.AsType[*problem](err); ok && said.Status == http.StatusServiceUnavailable &&
		json.Unmarshal(said.body, &done) == nil && !done.IssuedBefore.IsZero() {
		// The same time again: what was issued since then stays good.
		return fmt.Errorf("%s ended on this node, and other nodes may not know of the revocation: try again with --issued-before %s",
			connectionsOf(done.Connections), done.IssuedBefore.Format(time.RFC3339Nano))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s ended on this node; credentials issued before %s are refused\n",
		connectionsOf(done.Connections), done.IssuedBefore.Format(time.RFC3339Nano))
	return err
}

func (c *revokeCommand) body() (map[string]any, error) {
	named := 0
	for _, text := range []string{c.Subject, c.Session, c.Token} {
		if text != "" {
			named++
		}
	}
	if named > 1 || named == 0 && c.Issuer == "" {
		return nil, usagef("give one of --subject, --session and --token, or --issuer")
	}
	body := make(map[string]any)
	for name, text := range map[string]string{
		"subject": c.Subject, "session": c.Session, "token": c.Token, "issuer": c.Issuer, "reason": c.Reason,
	} {
		if text != "" {
			body[name] = text
		}
	}
	if c.IssuedBefore == "" {
		return body, nil
	}
	if _, err := strconv.ParseFloat(c.IssuedBefore, 64); err == nil {
		body["issued_before"] = json.Number(c.IssuedBefore)
		if _, err := json.Marshal(body); err == nil {
			return body, nil
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, c.IssuedBefore); err != nil {
		return nil, usagef("--issued-before: want a time such as 2026-03-01T10:00:00Z, or seconds since 1970")
	}
	body["issued_before"] = c.IssuedBefore
	return body, nil
}

func connectionsOf(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return fmt.Sprintf("%d connections", n)
}
