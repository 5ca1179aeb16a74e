//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/usher-ws/usher/test/load/epoll"
	"github.com/usher-ws/usher/test/load/tokens"
)

func TestBroadcast(t *testing.T) {
	dir := t.TempDir()
	signer, err := tokens.NewSigner("HS256", dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.HubToken("alice")
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, options{mode: "broadcast", algorithm: "HS256", dir: dir})
	c, err := epoll.New(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	request := func(token, more string) epoll.Request {
		return epoll.Request{Handshake: tokens.Handshake("/?access_token="+token+more, "", "")}
	}
	list := []epoll.Request{request(token, ""), request(token, "&channel=room"), request(token, "&channel=room")}
	for range 5 {
		list[0].Publishes.Add(epoll.TextFrame([]byte("room ~hello")))
	}
	if _, err := c.Connect(list, 1); err != nil {
		t.Fatal(err)
	}
	o, err := c.Publish(epoll.Load{Each: 5, Window: 2, Ack: "ack", Mark: "~hello"})
	if err != nil || len(o.Latencies) != 5 {
		t.Errorf("got %d, %v, want 5 that two got", len(o.Latencies), err)
	}
	foreign := request(token, "")
	foreign.Handshake = []byte(strings.Replace(string(foreign.Handshake), tokens.Origin, "https://evil.example.com", 1))
	for want, r := range map[string]epoll.Request{"401": request("x"+token, ""), "403": foreign} {
		c, err := epoll.New(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if _, err := c.Connect([]epoll.Request{r}, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
