package smuggling

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A front is expected to pass /chat on to the backend, with the header
// X-User-Id: alice, and to answer all else itself.
const (
	key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	// Bearer is a credential that each probe has, for fronts that ask for one.
	Bearer = "probe-word"
	// User is what a front says in X-User-Id.
	User = "alice"

	common   = "Host: front.example\r\nAuthorization: Bearer " + Bearer + "\r\n"
	smuggled = "GET /internal HTTP/1.1\r\nHost: front.example\r\nX-User-Id: root\r\n\r\n"
)

// An Upgrade is an upgrade that is none.
type Upgrade struct {
	// Name is the column's, and Title says what is tried.
	Name, Title string
	text        string
	answer      func(head string) string
}

func fixed(text string) func(string) string { return func(string) string { return text } }

// Upgrades are those that are tried.
var Upgrades = []Upgrade{
	{
		"A", "bad version; the backend answers 426",
		"GET /chat HTTP/1.1\r\n" + common + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\n" + key + "\r\n",
		fixed("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"),
	},
	{
		"B", "GET; 101 without Sec-WebSocket-Accept",
		"GET /chat HTTP/1.1\r\n" + common + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + key + "\r\n",
		fixed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
	},
	{
		"B2", "GET; 101 with a wrong Sec-WebSocket-Accept",
		"GET /chat HTTP/1.1\r\n" + common + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + key + "\r\n",
		fixed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"),
	},
	{
		"C", "POST; 101 without Sec-WebSocket-Accept",
		"POST /chat HTTP/1.1\r\n" + common + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" + key + "Content-Length: 0\r\n\r\n",
		fixed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
	},
	{
		"D", "Upgrade: h2c; 101 to h2c",
		"GET /chat HTTP/1.1\r\n" + common + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
		fixed("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
	},
}

// An Outcome is what came of an Upgrade.
type Outcome struct {
	// Status is what the client was answered, 0 for nothing.
	Status int
	// Reached says that the upgrade came to the backend, and Smuggled that the
	// second request did, which no front should let pass.
	Reached, Smuggled bool
}

// String is the outcome as a cell of a table.
func (o Outcome) String() string {
	word := "safe"
	if o.Smuggled {
		word = "**smuggled**"
	}
	if !o.Reached {
		word += ", not forwarded"
	}
	return fmt.Sprintf("%s (%d)", word, o.Status)
}

// Try tries the upgrade at the front in front of b, with the second request
// right behind it, and once more after the answer.
func (u Upgrade) Try(front string, b *Backend) (Outcome, error) {
	var out Outcome
	for _, early := range []bool{true, false} {
		b.prepare(u.answer)
		status, err := exchange(front, u.text, early, !early)
		if err != nil {
			return out, err
		}
		// What is on its way to the backend arrives, or the front has closed.
		got := settled(b)
		out.Status = status
		out.Reached = out.Reached || strings.Contains(got, " /chat ")
		out.Smuggled = out.Smuggled || strings.Contains(got, "/internal")
	}
	return out, nil
}

// exchange sends text and returns the status of the answer. The second request
// goes right behind it, or after the answer.
func exchange(front, text string, before, after bool) (int, error) {
	c, err := net.DialTimeout("tcp", front, patience)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if before {
		text += smuggled
	}
	if _, err := io.WriteString(c, text); err != nil {
		return 0, err
	}
	rd := bufio.NewReader(c)
	res, err := http.ReadResponse(rd, nil)
	if err != nil {
		return 0, nil // A front may hang up, which is an answer too.
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, res.Body)
	}
	if after {
		_, _ = io.WriteString(c, smuggled)
	}
	if before || after {
		// Until the front answers the second request, or closes, or has passed
		// it on and the backend says nothing.
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, _ = rd.ReadByte()
	}
	return res.StatusCode, nil
}

// settled waits until nothing more comes to the backend.
func settled(b *Backend) string {
	got := b.Got()
	for range 20 {
		time.Sleep(10 * time.Millisecond)
		if now := b.Got(); now != got {
			got = now
		} else if len(got) > 0 {
			break
		}
	}
	return got
}

// Aliases are headers that some server takes for X-User-Id, and one that asks
// to remove it.
var Aliases = []string{
	"X-User-Id: root", "x-user-id: root", "X_User_Id: root", "X.User.Id: root", "X-User_Id: root", "x~user~id: root",
	"X-User-Id: root\r\nX-User-Id: root", "Connection: Upgrade, X-User-Id",
}

// TryAliases sends a correct handshake with each of the aliases, and returns
// the headers with a client's value that reached the backend, and whether the
// front's own was missing once.
func TryAliases(front string, b *Backend) (reached []string, deleted bool, err error) {
	for _, alias := range Aliases {
		b.prepare(accept101)
		connection := "Connection: Upgrade\r\n"
		if strings.HasPrefix(alias, "Connection") {
			connection = ""
		}
		text := "GET /chat HTTP/1.1\r\n" + common + "Upgrade: websocket\r\n" + connection +
			alias + "\r\nSec-WebSocket-Version: 13\r\n" + key + "\r\n"
		if _, err := exchange(front, text, false, false); err != nil {
			return nil, false, err
		}
		head, _, _ := strings.Cut(settled(b), "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			name, v, _ := strings.Cut(line, ":")
			if strings.TrimSpace(v) == "root" {
				reached = append(reached, name)
			}
		}
		deleted = deleted || head != "" && value(head, "X-User-Id") != User
	}
	return reached, deleted, nil
}
