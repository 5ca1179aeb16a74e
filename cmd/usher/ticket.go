package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// A ticketCommand fetches a ticket from the desk of a gateway.
type ticketCommand struct {
	URL       string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"The public listener of the gateway. Default: http://127.0.0.1:8080."`
	Route     string `placeholder:"PATH" help:"The route that the ticket is for. Default: the only one that takes tickets."`
	TokenFile string `required:"" placeholder:"FILE" help:"File with a token that the ticket is made from."`
	Origin    string `placeholder:"ORIGIN" help:"Origin of the page that will use it, such as https://app.example.com. Default: none, for a client that is no browser."`
}

// Help is what "usher ticket --help" says besides its flags.
func (ticketCommand) Help() string {
	return `The ticket opens one connection, within 30 seconds:

  usher ticket --route /chat --token-file token`
}

// Run prints the ticket and a newline.
func (c *ticketCommand) Run(ctx context.Context, stdout io.Writer) error {
	base, err := baseURL("--url", c.URL)
	if err != nil {
		return err
	}
	token, err := readCredential("token", c.TokenFile)
	if err != nil {
		return err
	}
	desk := base.JoinPath("usher/v1/tickets")
	if c.Route != "" {
		desk.RawQuery = url.Values{"route": {c.Route}}.Encode()
	}
	h := http.Header{"Authorization": {"Bearer " + token}}
	var body any
	if c.Origin != "" {
		body = map[string]string{"origin": c.Origin}
		h.Set("Content-Type", "application/json")
	}
	var got struct {
		Ticket string `json:"ticket"`
	}
	err = exchange(ctx, http.MethodPost, desk, h, body, &got)
	if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
		return fmt.Errorf("no gateway answers at %s; is it running? --url names another", base.Host)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, printable(got.Ticket))
	return err
}
