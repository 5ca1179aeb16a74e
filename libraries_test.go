package usher_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/usher-ws/usher"
)

// libraries are handlers that know nothing of a Guard but FromContext, one for
// each library. Each compresses where the client offers to, selects "chat" and
// sends messages back, the first with the subject in front.
func libraries(t *testing.T) map[string]http.Handler {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echoGorilla(w, r, r.Header.Get("X-User"))
	}))
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]http.Handler{
		"coder":   admitted(echoCoder),
		"gorilla": admitted(echoGorilla),
		"gobwas":  admitted(echoGobwas),
		"proxy": &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			if id, err := usher.FromContext(p.In.Context()); err == nil {
				p.Out.Header.Set("X-User", id.Subject)
			}
		}},
	}
}

func admitted(echo func(w http.ResponseWriter, r *http.Request, subject string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := usher.FromContext(r.Context())
		if err != nil {
			http.Error(w, "nobody", http.StatusInternalServerError)
			return
		}
		echo(w, r, id.Subject)
	})
}

func echoCoder(w http.ResponseWriter, r *http.Request, subject string) {
	c, err := coder.Accept(w, r, &coder.AcceptOptions{
		Subprotocols: []string{chat}, CompressionMode: coder.CompressionContextTakeover,
	})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(4 << 20)
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if c.Write(r.Context(), kind, append([]byte(subject), message...)) != nil {
			return
		}
		subject = ""
	}
}

func echoGorilla(w http.ResponseWriter, r *http.Request, subject string) {
	u := gorilla.Upgrader{
		Subprotocols: []string{chat}, EnableCompression: true,
		CheckOrigin: func(*http.Request) bool { return true }, // The Guard did.
	}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		if c.WriteMessage(kind, append([]byte(subject), message...)) != nil {
			return
		}
		subject = ""
	}
}

func echoGobwas(w http.ResponseWriter, r *http.Request, subject string) {
	e := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	c, _, _, err := ws.HTTPUpgrader{
		Protocol: func(p string) bool { return p == chat }, Negotiate: e.Negotiate,
	}.Upgrade(r, w)
	if err != nil {
		return
	}
	defer c.Close()
	var state wsflate.MessageState
	rd := wsutil.Reader{
		Source: c, State: ws.StateServerSide | ws.StateExtended,
		Extensions:     []wsutil.RecvExtension{&state},
		OnIntermediate: wsutil.ControlFrameHandler(c, ws.StateServerSide),
	}
	wr := wsutil.NewWriter(c, ws.StateServerSide|ws.StateExtended, 0)
	wr.SetExtensions(&state)
	for {
		h, err := rd.NextFrame()
		if err != nil {
			return
		}
		if h.OpCode.IsControl() {
			if rd.OnIntermediate(h, &rd) != nil {
				return
			}
			continue
		}
		if echoMessage(wr, &rd, h.OpCode, state.IsCompressed(), subject) != nil {
			return
		}
		subject = ""
	}
}

func echoMessage(wr *wsutil.Writer, rd io.Reader, op ws.OpCode, compressed bool, subject string) error {
	if compressed {
		rd = wsflate.NewReader(rd, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
	}
	message, err := io.ReadAll(rd)
	if err != nil {
		return err
	}
	wr.ResetOp(op)
	message = append([]byte(subject), message...)
	if !compressed {
		if _, err := wr.Write(message); err != nil {
			return err
		}
		return wr.Flush()
	}
	fw := wsflate.NewWriter(wr, func(w io.Writer) wsflate.Compressor {
		f, _ := flate.NewWriter(w, flate.BestSpeed)
		return f
	})
	if _, err := fw.Write(message); err != nil {
		return err
	}
	if err := fw.Close(); err != nil {
		return err
	}
	return wr.Flush()
}

// A way is how a client brings a credential of alice's.
type way struct {
	name   string
	first  bool // By the first message: the Guard answers the handshake.
	target string
	lines  []string
	offer  string
	say    string // The first message.
}

// ways are all there are, with a fresh ticket where one is needed.
func ways(t *testing.T, tickets *usher.Tickets, origin string) []way {
	ticket := func() string {
		secret, _, err := tickets.Make(&usher.Identity{Subject: "alice", Expires: time.Now().Add(time.Hour)}, origin, "/")
		if err != nil {
			t.Fatal(err)
		}
		return secret.Reveal()
	}
	list := []way{
		{name: "ticket in the query", target: "/?ticket=" + ticket()},
		{name: "ticket in the subprotocol", offer: "usher.ticket." + ticket()},
		{name: "ticket in the first message", first: true, say: `{"type":"auth","ticket":"` + ticket() + `"}`},
		{name: "subprotocol", offer: bearerEntry("alice-word")},
		{name: "first message", first: true, say: `{"type":"auth","token":"alice-word"}`},
		{name: "cookie", lines: []string{"Cookie: session=alice-word"}},
		{name: "query", target: "/?access_token=alice-word"},
		{name: "basic", lines: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:alice-word"))}},
		{name: "bearer", lines: []string{"Authorization: Bearer alice-word"}},
	}
	for i := range list {
		w := &list[i]
		if w.target == "" {
			w.target = "/"
		}
		offer := chat
		if w.offer != "" {
			offer += ", " + w.offer
		}
		w.lines = append(w.lines, "Origin: "+origin, "Sec-WebSocket-Protocol: "+offer)
	}
	return list
}

// guards returns a Guard with every carrier that can stand beside Basic, or
// beside FirstMessage.
func guards(tickets *usher.Tickets, first bool) *usher.Guard {
	g := &usher.Guard{
		Subprotocols: []string{chat},
		Carriers: []usher.Carrier{
			usher.Ticket("", tickets), usher.Subprotocol(known), usher.Cookie("session", known),
			usher.Query("", known), usher.Bearer(known),
		},
	}
	if first {
		g.Carriers = append(g.Carriers, usher.FirstMessage(known))
	} else {
		g.Carriers = append(g.Carriers, usher.Basic(known))
	}
	return g
}

// TestLibraries has each library behind each carrier.
func TestLibraries(t *testing.T) {
	for library, h := range libraries(t) {
		for _, first := range []bool{false, true} {
			tickets := &usher.Tickets{}
			g := guards(tickets, first)
			g.Detach = !first
			s := guard(t, g, h)
			for _, w := range ways(t, tickets, s.origin()) {
				if w.first != first && (w.first || w.name == "basic") {
					continue // The Guard does not take it.
				}
				name := fmt.Sprintf("%s/%s/first message %v", library, w.name, first)
				t.Run(name, func(t *testing.T) { talk(t, s, w, !first) })
			}
		}
	}
}

// talk sends a handshake and a hundred messages at once, then one of 1 MiB, and
// closes. compressed says that the library may negotiate compression.
func talk(t *testing.T, s *server, w way, compressed bool) {
	var early bytes.Buffer
	early.WriteString(upgrade(s.addr, w.target, append(w.lines, "Sec-WebSocket-Extensions: permessage-deflate")...))
	if w.say != "" {
		_ = ws.WriteFrame(&early, ws.MaskFrame(ws.NewTextFrame([]byte(w.say))))
	}
	for i := range 100 {
		_ = ws.WriteFrame(&early, ws.MaskFrame(ws.NewTextFrame(fmt.Appendf(nil, "m%d", i))))
	}
	p := dial(t, s.addr, "")
	p.say(early.String())
	res := p.status(http.StatusSwitchingProtocols)
	if got := res.Header.Values("Sec-Websocket-Protocol"); len(got) != 1 || got[0] != chat {
		t.Errorf("got subprotocol %q, want %q", got, chat)
	}
	got := strings.HasPrefix(res.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate")
	if got != compressed {
		t.Errorf("got extensions %q, want compression %v", res.Header.Get("Sec-Websocket-Extensions"), compressed)
	}
	in := &inbox{t: t, rd: p.rd}
	for i := range 100 {
		want := fmt.Sprintf("m%d", i)
		if i == 0 {
			want = "alice" + want
		}
		if got := string(in.message()); got != want {
			t.Fatalf("got message %d %q, want %q", i, got, want)
		}
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		p.sendFrame(ws.OpBinary, big)
	}()
	if got := in.message(); !bytes.Equal(got, big) {
		t.Errorf("got %d bytes back, want the %d that were sent", len(got), len(big))
	}
	<-sent
	p.sendFrame(ws.OpClose, []byte{3, 0xe8})
	if f := p.receive(); f.Header.OpCode != ws.OpClose {
		t.Errorf("got frame %v, want the library's Close", f.Header.OpCode)
	}
	if _, err := p.rd.ReadByte(); err == nil {
		t.Error("got bytes after the Close")
	}
}

// An inbox joins the fragments of messages and inflates them.
type inbox struct {
	t    *testing.T
	rd   io.Reader
	past []byte // What compressed messages may refer back to.
}

func (in *inbox) message() []byte {
	in.t.Helper()
	var payload []byte
	compressed := false
	for {
		f, err := ws.ReadFrame(in.rd)
		if err != nil {
			in.t.Fatalf("read a frame: %v", err)
		}
		compressed = compressed || f.Header.Rsv1()
		if payload = append(payload, f.Payload...); f.Header.Fin {
			break
		}
	}
	if !compressed {
		return payload
	}
	// RFC 7692 §7.2.2, and a last block so that the reader knows the end.
	payload = append(payload, "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	message, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(payload), in.past))
	if err != nil {
		in.t.Fatalf("inflate: %v", err)
	}
	in.past = append(in.past, message...)
	in.past = in.past[max(0, len(in.past)-32<<10):]
	return message
}
