package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
)

const (
	// adminTime is how long a gateway may take to answer.
	adminTime = 10 * time.Second
	// maxAnswer bounds an answer, in bytes: a page of 1000 connections fits.
	maxAnswer = 64 << 20
	// maxSecretFile bounds a file with a token or a key, in bytes.
	maxSecretFile = 64 << 10
)

// adminFlags say which gateway is asked, and as who.
type adminFlags struct {
	Admin      string `default:"http://127.0.0.1:8081" placeholder:"URL" help:"The admin listener of the gateway, or its public one with an API key. Default: http://127.0.0.1:8081."`
	APIKeyFile string `name:"api-key-file" placeholder:"FILE" help:"File with an API key, which a gateway on another machine asks for. Default: none."`
}

// call calls the admin API: what is under /usher/v1/, with body as JSON unless it
// is nil. It decodes the answer into to unless that is nil.
func (f *adminFlags) call(ctx context.Context, method, what string, body, to any) error {
	base, err := baseURL("--admin", f.Admin)
	if err != nil {
		return err
	}
	target, err := base.Parse(strings.TrimSuffix(base.Path, "/") + "/usher/v1/" + what)
	if err != nil {
		return fmt.Errorf("ask admin listener: %w", err)
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if f.APIKeyFile != "" {
		key, err := readCredential("API key", f.APIKeyFile)
		if err != nil {
			return err
		}
		h.Set("Authorization", "Bearer "+key)
	}
	err = exchange(ctx, method, target, h, body, to)
	if failed, ok := errors.AsType[*net.OpError](err); ok && failed.Op == "dial" {
		return fmt.Errorf("no gateway answers at %s; is it running, and is that its admin listener? --admin names another", base.Host)
	}
	if said, ok := errors.AsType[*problem](err); ok && said.Status == http.StatusUnauthorized {
		if f.APIKeyFile == "" {
			return fmt.Errorf("the gateway at %s wants an API key: --api-key-file", base.Host)
		}
		return fmt.Errorf("the gateway at %s does not know this API key, or it is disabled or has expired", base.Host)
	}
	return err
}

// remove removes what is at path, and says so of it by its name.
func (f *adminFlags) remove(ctx context.Context, stdout io.Writer, path, name string) error {
	if err := f.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s is removed\n", printable(name))
	return err
}

// baseURL reads the URL of a listener.
func baseURL(flag, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, usagef("%s: want a URL such as http://127.0.0.1:8081", flag)
	}
	return u, nil
}

// readCredential reads a file with a credential, which has no blanks inside.
func readCredential(what, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	words := strings.Fields(string(text))
	if len(words) != 1 || len(text) > maxSecretFile || strings.ContainsFunc(words[0], func(r rune) bool { return r > '~' || !unicode.IsPrint(r) }) {
		return "", fmt.Errorf("read %s %s: want one word of ASCII, and nothing else", what, file)
	}
	return words[0], nil
}

// A problem is what a gateway answers that says no (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	ID     string `json:"explain_id"`
	body   []byte // All of it: it may have more to say.
}

// Error is the detail, for who runs the command.
func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = strings.ToLower(p.Title)
	}
	if p.ID != "" {
		text += " (explain id " + p.ID + ")"
	}
	return printable(text)
}

// exchange sends a request and decodes the answer into to unless that is nil. The
// error is a problem where the gateway says no. It follows no redirect, which
// would take the credential along.
func exchange(ctx context.Context, method string, to *url.URL, h http.Header, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, adminTime)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("ask gateway: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	req.Header = h
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // Without the URL.
	}
	if err != nil {
		return fmt.Errorf("ask gateway at %s: %w", to.Host, err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask gateway at %s: %w", to.Host, err)
	}
	if res.StatusCode >= 300 {
		p := &problem{body: got}
		if json.Unmarshal(got, p) != nil || p.Status == 0 {
			return fmt.Errorf("ask gateway at %s: status %d and no answer of an usher's", to.Host, res.StatusCode)
		}
		p.Status = res.StatusCode
		return p
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(got, into); err != nil {
		return fmt.Errorf("ask gateway at %s: status %d and no answer of an usher's", to.Host, res.StatusCode)
	}
	return nil
}

// printable returns text without what would move a terminal's cursor: much of
// what is shown was chosen by others.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
