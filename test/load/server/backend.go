//go:build linux

package main

import (
	"bytes"
	"crypto/sha1" // RFC 6455 has it so.
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// A backend stands behind the proxies. It shares the client's core, so it does
// the least that an echo can: one thread with epoll, no buffer while nothing
// comes, frames unmasked where they were read. It trusts its peer.
type backend struct {
	addr             netip.AddrPort
	poll, door, wake int
	open             []*backendConn // By file descriptor.
	in               []byte
}

// A backendConn has what did not come, or go, whole.
type backendConn struct {
	fd      int
	open    bool   // The handshake is answered.
	rest    []byte // Read, and not whole.
	out     []byte // Not taken by the socket yet.
	closing bool
}

func newBackend() (*backend, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	door, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	b := &backend{poll: poll, door: door, wake: wake, in: make([]byte, 256<<10)}
	if err := unix.Bind(door, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	if err := unix.Listen(door, 4096); err != nil {
		return nil, err
	}
	name, err := unix.Getsockname(door)
	if err != nil {
		return nil, err
	}
	at, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("listening on %T", name)
	}
	b.addr = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	return b, errors.Join(b.watch(unix.EPOLL_CTL_ADD, door, unix.EPOLLIN), b.watch(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN))
}

func (b *backend) watch(what, fd int, events uint32) error {
	return unix.EpollCtl(b.poll, what, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// close ends serve, which closes the rest.
func (b *backend) close() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(b.wake, one[:])
}

// serve echoes until close.
func (b *backend) serve() {
	defer unix.Close(b.poll)
	defer unix.Close(b.door)
	ready := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(b.poll, ready, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			log.Print(err)
			return
		}
		for i := range max(n, 0) {
			switch fd := int(ready[i].Fd); fd {
			case b.wake:
				unix.Close(b.wake)
				return
			case b.door:
				b.accept()
			default:
				b.ready(b.open[fd], ready[i].Events)
			}
		}
	}
}

func (b *backend) accept() {
	for {
		fd, _, err := unix.Accept4(b.door, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // Nobody waits any more, or there are too many files: those wait.
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		for len(b.open) <= fd {
			b.open = append(b.open, nil)
		}
		b.open[fd] = &backendConn{fd: fd}
		if b.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			b.drop(b.open[fd])
		}
	}
}

func (b *backend) drop(c *backendConn) {
	if b.open[c.fd] == c {
		b.open[c.fd] = nil
		unix.Close(c.fd)
	}
}

func (b *backend) ready(c *backendConn, events uint32) {
	if c == nil {
		return
	}
	if events&unix.EPOLLOUT != 0 {
		rest := c.out
		c.out = nil
		b.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN)
		b.send(c, rest)
	}
	if events&^unix.EPOLLOUT == 0 || len(c.out) > 1<<20 {
		return // A peer that does not read gets no more.
	}
	n, err := unix.Read(c.fd, b.in)
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	if err != nil || n == 0 {
		b.drop(c)
		return
	}
	p := b.in[:n]
	if len(c.rest) > 0 {
		p = append(c.rest, p...)
		c.rest = nil
	}
	if !c.open {
		p = b.handshake(c, p)
	}
	if c.open && len(p) > 0 {
		p = b.frames(c, p)
	}
	if len(p) > 0 {
		c.rest = bytes.Clone(p)
	}
}

// send writes, and keeps what is not taken.
func (b *backend) send(c *backendConn, p []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, p...)
		return
	}
	n, err := unix.Write(c.fd, p)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		b.drop(c)
		return
	}
	if n = max(n, 0); n < len(p) {
		c.out = bytes.Clone(p[n:])
		b.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN|unix.EPOLLOUT)
	} else if c.closing {
		b.drop(c)
	}
}

var keyHeader = []byte("\r\nsec-websocket-key:")

// handshake answers a request once it is whole, and returns what comes after.
func (b *backend) handshake(c *backendConn, p []byte) []byte {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return p
	}
	at := bytes.Index(bytes.ToLower(p[:end]), keyHeader)
	if at < 0 {
		c.closing = true
		b.send(c, []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		return nil
	}
	key, _, _ := bytes.Cut(p[at+len(keyHeader):end], []byte("\r\n"))
	sum := sha1.Sum(append(bytes.TrimSpace(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	c.open = true
	b.send(c, fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:])))
	return p[end+4:]
}

// frames echoes the whole frames in p, all by one write, and returns the rest.
func (b *backend) frames(c *backendConn, p []byte) []byte {
	var out []byte
	for len(p) > 0 && !c.closing {
		h, err := ws.ReadHeader(bytes.NewReader(p))
		size := ws.HeaderSize(h)
		if err != nil || int64(len(p)-size) < h.Length {
			break
		}
		payload := p[size : size+int(h.Length)]
		p = p[size+int(h.Length):]
		ws.Cipher(payload, h.Mask, 0)
		switch h.OpCode {
		case ws.OpPong:
			continue
		case ws.OpPing:
			h.OpCode = ws.OpPong
		case ws.OpClose:
			c.closing = true
		}
		// The head of the answer is shorter by the mask, and goes before the
		// payload where that was read.
		h.Masked = false
		var head bytes.Buffer
		if ws.WriteHeader(&head, h) != nil {
			break
		}
		out = append(append(out, head.Bytes()...), payload...)
	}
	if len(out) > 0 {
		b.send(c, out)
	}
	return p
}
