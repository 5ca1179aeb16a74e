//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/test/load/epoll"
	"github.com/usher-ws/usher/test/load/tokens"
)

// warming is how many connections a server has had before it is measured. They
// have tokens of their own.
const warming = 200

// tokens returns so many different tokens; those before skip are for warming.
// They are made once in a run: each server is a new process, which has seen none.
func (b *bench) tokens(algorithm string, n int) ([]string, error) {
	return b.makeTokens(algorithm, n, b.signers[algorithm].Token)
}

// hubTokens is tokens for a hub.
func (b *bench) hubTokens(algorithm string, n int) ([]string, error) {
	return b.makeTokens("hub "+algorithm, n, b.signers[algorithm].HubToken)
}

func (b *bench) makeTokens(name string, n int, sign func(subject string) (string, error)) ([]string, error) {
	made := b.made[name]
	for i := len(made); i < n; i++ {
		t, err := sign(fmt.Sprintf("user-%06d", i))
		if err != nil {
			return nil, err
		}
		made = append(made, t)
	}
	b.made[name] = made
	return made[:n], nil
}

// requests prepares n requests for a contender, and warm ones that come before
// them, all with different credentials.
func (b *bench) requests(c contender, n int) (warm, all []epoll.Request, err error) {
	list := make([]epoll.Request, 0, warming+n)
	switch c.carrier {
	case "ticket":
		for len(list) < cap(list) {
			r, err := ticketRequest(len(list))
			if err != nil {
				return nil, nil, err
			}
			list = append(list, r)
		}
	case "none", "basic":
		for len(list) < cap(list) {
			list = append(list, request(c.carrier, tokens.Password))
		}
	default:
		made, err := b.tokens(c.algorithm, warming+n)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range made {
			list = append(list, request(c.carrier, t))
		}
	}
	return list[:warming], list[warming:], nil
}

// request is a handshake with a credential.
func request(carrier, token string) epoll.Request {
	head, message := tokens.Request(carrier, token)
	r := epoll.Request{Handshake: head}
	if message != nil {
		r.Messages = [][]byte{epoll.TextFrame(message)}
	}
	return r
}

// desk seals the tickets of a run, with the key that the servers have.
var desk = &usher.Tickets{Keys: []usher.Secret{usher.NewSecret(tokens.TicketKey)}, TTL: 5 * time.Minute}

// ticketRequest has a ticket that was made now: a server refuses those that are
// older than itself, since it cannot know whether they were used.
func ticketRequest(i int) (epoll.Request, error) {
	subject := fmt.Sprintf("user-%06d", i)
	ticket, _, err := desk.Make(&usher.Identity{
		Subject: subject, Issuer: tokens.Issuer, Expires: time.Now().Add(time.Hour),
		Claims: usher.Claims{"sub": subject, "iss": tokens.Issuer},
	}, tokens.Origin, "/chat")
	if err != nil {
		return epoll.Request{}, err
	}
	return request("ticket", ticket.Reveal()), nil
}

// redisCommand is a command as clients of Redis write it.
func redisCommand(words ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return []byte(b.String())
}
