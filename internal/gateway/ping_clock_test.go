package gateway

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// at fails the test unless so much time has passed since begun.
func at(t *testing.T, begun time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(begun); got != want {
		t.Errorf("it is %v later, want %v", got, want)
	}
}

func TestPingDead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before []byte // What the client says at half time.
		cut    bool   // The upstream gets a part of a frame: nothing can follow.
	}{
		{"says nothing", nil, false},
		{"stopped after a message", masked(ws.NewTextFrame([]byte("last words"))), false},
		{"stopped in the middle of a head", []byte{0x81}, false},
		{"stopped in the middle of a Pong", pong(make([]byte, pingSize))[:9], true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := piped(t, Route{Ping: every})
				begun, last := time.Now(), time.Duration(0)
				got := p.server.recorded()
				if tt.before != nil {
					time.Sleep(every / 2)
					last = every / 2
					p.client.say(tt.before)
				}
				if payload := p.client.hearsPing(); len(payload) != pingSize {
					t.Errorf("got %d bytes of payload, want %d", len(payload), pingSize)
				}
				at(t, begun, last+every)
				p.client.hearsClose("unresponsive ")
				at(t, begun, last+2*every)
				synctest.Wait()
				if got.over.Load() != tt.cut || told(got.bytes()) == tt.cut {
					t.Errorf("the upstream got %x, its end %v, want Close 1001 or else the end", got.bytes(), got.over.Load())
				}
				at(t, begun, last+2*every)
			})
		})
	}
}

// told reports whether b ends with a client's Close 1001.
func told(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	f, err := ws.ReadFrame(bytes.NewReader(b[len(b)-8:]))
	return err == nil && f.Header.OpCode == ws.OpClose && f.Header.Masked && string(ws.UnmaskFrame(f).Payload) == "\x03\xe9"
}

// A client that answers lives for ever, and its upstream learns nothing of it.
func TestPingAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		got, begun := p.server.recorded(), time.Now()
		seen := make(map[string]bool)
		for i := range 100 {
			payload := p.client.hearsPing()
			at(t, begun, time.Duration(i+1)*every)
			if seen[string(payload)] {
				t.Fatalf("got the payload %x twice", payload)
			}
			seen[string(payload)] = true
			p.client.say(pong(payload))
		}
		hello := masked(ws.NewTextFrame([]byte("hello")))
		p.client.say(hello)
		synctest.Wait()
		if !bytes.Equal(got.bytes(), hello) {
			t.Errorf("the upstream got %x, want %x and no more", got.bytes(), hello)
		}
		p.client.Close()
		<-p.done
		if p.in != int64(len(hello)) || p.out != 0 {
			t.Errorf("got traffic %d and %d, want %d and 0", p.in, p.out, len(hello))
		}
	})
}

// Payloads differ between connections: an upstream cannot guess them.
func TestPingUnpredictable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := piped(t, Route{Ping: every}), piped(t, Route{Ping: every})
		one, other := a.client.hearsPing(), b.client.hearsPing()
		if bytes.Equal(one[:nonceSize], other[:nonceSize]) || bytes.Equal(one[:nonceSize], make([]byte, nonceSize)) {
			t.Errorf("got %x and %x, want two that nobody guesses", one, other)
		}
	})
}

// Every byte is a sign of life, whole frame or not, and nobody who gives one is
// asked.
func TestPingNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		got, begun := p.server.recorded(), time.Now()
		frame := masked(ws.NewBinaryFrame(make([]byte, 126)))
		for i := range frame {
			time.Sleep(every - 1)
			p.client.say(frame[i : i+1])
		}
		last := time.Since(begun)
		p.client.hearsPing()
		at(t, begun, last+every)
		if !bytes.Equal(got.bytes(), frame) {
			t.Errorf("the upstream got %x, want %x", got.bytes(), frame)
		}
	})
}

// A Ping never goes into a frame of the upstream's, nor is a client to blame that
// could not be asked.
func TestPingBetweenFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		begun := time.Now()
		frame := ws.MustCompileFrame(ws.NewFrame(ws.OpText, false, []byte("half and half")))
		heard := make(chan ws.OpCode, 8)
		var asked atomic.Int64
		go func() {
			for {
				f, err := ws.ReadFrame(p.client.rd)
				if err != nil {
					return
				}
				if f.Header.OpCode == ws.OpPing {
					asked.Store(int64(time.Since(begun)))
				}
				heard <- f.Header.OpCode
			}
		}()
		p.server.say(frame[:5])
		time.Sleep(7*every + 1)
		p.server.say(frame[5:]) // A fragment: control frames go between those.
		p.server.say(ws.MustCompileFrame(ws.NewFrame(ws.OpContinuation, true, nil)))
		synctest.Wait()
		if got := []ws.OpCode{<-heard, <-heard, <-heard}; !slices.Equal(got, []ws.OpCode{ws.OpText, ws.OpPing, ws.OpContinuation}) {
			t.Errorf("got frames %v, want the fragment, a Ping, the other", got)
		}
		if got := asked.Load(); got != int64(7*every+1) {
			t.Errorf("got the Ping after %v, want at the end of the frame", time.Duration(got))
		}
		if got := <-heard; got != ws.OpClose {
			t.Errorf("got %v, want Close", got)
		}
		at(t, begun, 8*every+1)
	})
}

// A Ping that had to wait is not sent to a client that was heard meanwhile.
func TestPingOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		begun := time.Now()
		b := ws.MustCompileFrame(ws.NewTextFrame([]byte("half")))
		go func() {
			p.server.say(b[:3])
			time.Sleep(every * 3 / 2)
			p.client.say([]byte{0x81})
			p.server.say(b[3:])
		}()
		if f := p.client.hears(); string(f.Payload) != "half" {
			t.Errorf("got %v %q, want half", f.Header.OpCode, f.Payload)
		}
		p.client.hearsPing()
		at(t, begun, every*5/2)
	})
}

// Also a Ping that had to wait does not follow a Close.
func TestPingNotAfterCloseInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		begun := time.Now()
		b := ws.MustCompileFrame(ws.NewTextFrame([]byte("half")))
		go func() {
			p.server.say(b[:3])
			time.Sleep(every * 3 / 2)
			p.server.say(append(b[3:], ws.MustCompileFrame(ws.NewCloseFrame([]byte("\x03\xe9")))...))
		}()
		if f := p.client.hears(); string(f.Payload) != "half" {
			t.Errorf("got %v %q, want half", f.Header.OpCode, f.Payload)
		}
		p.client.hearsClose("")
		p.client.ends()
		at(t, begun, 3*every+closeTime)
	})
}

// A head of which a part came is nothing that the client knows of.
func TestPingAmidHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		p.server.say([]byte{0x81})
		p.client.say(pong(p.client.hearsPing()))
		p.server.say([]byte{0x02, 'h', 'i'})
		if f := p.client.hears(); string(f.Payload) != "hi" {
			t.Errorf("got %v %q, want hi", f.Header.OpCode, f.Payload)
		}
	})
}

// Who waits for the upstream is not dead.
func TestPingUpstreamTakesNothing(t *testing.T) {
	for _, idle := range []time.Duration{0, 1000 * every} {
		synctest.Test(t, func(t *testing.T) {
			p := piped(t, Route{Ping: every, Idle: idle})
			var asked atomic.Int64
			go p.client.listen(func(payload []byte) {
				asked.Add(1)
				p.client.say(pong(payload))
			})
			time.Sleep(every + 1)
			if asked.Load() != 1 {
				t.Errorf("got %d Pings, want 1", asked.Load())
			}
			hello := masked(ws.NewTextFrame([]byte("hello")))
			p.client.say(hello) // The gateway has it, and the upstream does not take it.
			time.Sleep(50 * every)
			if f := p.server.hears(); string(f.Payload) != "hello" {
				t.Errorf("the upstream got %v %q, want hello", f.Header.OpCode, f.Payload)
			}
			time.Sleep(50 * every)
			if got := asked.Load(); got < 45 {
				t.Errorf("got %d Pings, want about 50", got)
			}
			p.client.say(hello)
			if f := p.server.hears(); string(f.Payload) != "hello" {
				t.Errorf("the upstream got %v %q, want hello", f.Header.OpCode, f.Payload)
			}
		})
	}
}

// Pings and their answers are no traffic.
func TestPingIdle(t *testing.T) {
	for name, idle := range map[string]time.Duration{"whole": 10 * every, "not whole": 10*every + 1, "shorter": every - 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := piped(t, Route{Ping: every, Idle: idle})
				begun, done := time.Now(), make(chan struct{})
				go func() {
					defer close(done)
					for {
						f := p.client.hears()
						if f.Header.OpCode == ws.OpClose {
							if !bytes.HasPrefix(f.Payload, []byte("\x03\xe9idle ")) {
								t.Errorf("got Close %q, want 1001 idle", f.Payload)
							}
							p.client.say(masked(f))
							return
						}
						for b := range slices.Chunk(pong(f.Payload), 1) {
							p.client.say(b)
						}
					}
				}()
				p.server.hearsClose("")
				at(t, begun, idle)
				<-done
			})
		})
	}
}

// Nothing follows a Close but its answer, or the end of who gives none.
func TestPingAfterClose(t *testing.T) {
	t.Run("of the upstream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := piped(t, Route{Ping: every})
			begun := time.Now()
			p.server.say(ws.MustCompileFrame(ws.NewCloseFrame([]byte("\x03\xe9"))))
			p.client.hearsClose("")
			p.client.ends()
			at(t, begun, 2*every+closeTime)
		})
	})
	t.Run("of the client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := piped(t, Route{Ping: every})
			p.client.say(masked(ws.NewCloseFrame([]byte("\x03\xe9"))))
			p.server.hearsClose("")
			go func() {
				for range 40 { // It goes on, so that it is not cut.
					time.Sleep(time.Second)
					p.server.say(ws.MustCompileFrame(ws.NewTextFrame([]byte("more"))))
				}
				p.server.say(ws.MustCompileFrame(ws.NewCloseFrame([]byte("\x03\xe9"))))
			}()
			for range 40 {
				if f := p.client.hears(); f.Header.OpCode != ws.OpText {
					t.Errorf("got %v, want the upstream's texts alone", f.Header.OpCode)
				}
			}
			p.client.hearsClose("")
			p.client.ends()
		})
	})
}

// What look makes of what is known, at the time 100, with a Ping of 10.
func TestLook(t *testing.T) {
	const now, every = 100, 10
	tests := []struct {
		name               string
		heard, alive, told int64
		deaf, stuck        bool
		asked              int64
		due                bool
		clientDone         bool
		upClosed, closed   bool

		wait         time.Duration
		dead, asking bool
	}{
		{name: "heard", heard: 93, wait: 3},
		{name: "alive", alive: 93, wait: 3},
		{name: "silent", heard: 90, wait: every, asking: true},
		{name: "asked", heard: 80, asked: 92, wait: 2},
		{name: "asked in vain", heard: 80, asked: 90, dead: true},
		{name: "asked, and heard since", heard: 91, asked: 90, wait: 1},
		{name: "asked, heard since, silent again", heard: 88, asked: 80, wait: every, asking: true},
		{name: "asked in vain, half-closed", heard: 80, asked: 90, clientDone: true, wait: every, asking: true},
		{name: "deaf", heard: 50, deaf: true, wait: every},
		{name: "deaf, asked at the same time", heard: 50, deaf: true, asked: 51, wait: every},
		{name: "cannot be asked", heard: 50, told: 50, due: true, wait: every, asking: true},
		{name: "is being told something", heard: 50, told: 95, stuck: true, due: true, wait: 5, asking: true},
		{name: "takes nothing", heard: 50, told: 90, stuck: true, due: true, dead: true, asking: true},
		{name: "takes nothing, heard of late", heard: 85, told: 90, stuck: true, due: true, wait: 5, asking: true},
		{name: "takes nothing, half-closed", heard: 50, told: 90, stuck: true, due: true, clientDone: true, dead: true, asking: true},
		{name: "takes nothing, looked at first", heard: 50, told: 50, stuck: true, wait: every, asking: true},
		{name: "owes a Close", heard: 50, upClosed: true, wait: every},
		{name: "owes a Close in vain", heard: 50, upClosed: true, asked: 90, dead: true},
		{name: "closed", heard: 50, upClosed: true, closed: true, wait: every, asking: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tn := &tunnel{}
			tn.pings.begin(every)
			tn.heard.end(tt.heard)
			if tt.deaf {
				tn.heard.begin(tt.heard)
			}
			tn.told.end(tt.told)
			if tt.stuck {
				tn.told.begin(tt.told)
			}
			tn.alive.Store(tt.alive)
			tn.pings.asked.Store(tt.asked)
			tn.pings.due.Store(tt.due)
			tn.clientDone.Store(tt.clientDone)
			tn.upClosed.Store(tt.upClosed)
			tn.clientClosed.Store(tt.closed)
			wait, dead := tn.look(now)
			if !dead && wait != tt.wait || dead != tt.dead || tn.pings.due.Load() != tt.asking {
				t.Errorf("got %d, dead %v, asking %v, want %d, %v, %v", wait, dead, tn.pings.due.Load(), tt.wait, tt.dead, tt.asking)
			}
			if !tt.deaf {
				return
			}
			tn.heard.end(tt.heard) // It may be answered now.
			if _, dead := tn.look(now + every - 1); dead {
				t.Error("it is dead before it could answer")
			}
		})
	}
}

// Exactly the answers are left out.
func TestPongsPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := piped(t, Route{Ping: every})
		got := p.server.recorded()
		var want []byte
		passes := func(b []byte) {
			want = append(want, b...)
			for piece := range slices.Chunk(b, 1) {
				p.client.say(piece)
			}
		}
		passes(pong(make([]byte, pingSize))) // The gateway has asked nothing yet.
		first := p.client.hearsPing()
		number := binary.BigEndian.Uint64(first[nonceSize:])
		passes(pong(binary.BigEndian.AppendUint64(bytes.Clone(first[:nonceSize]), number-1)))
		passes(pong(binary.BigEndian.AppendUint64(bytes.Clone(first[:nonceSize]), number+1)))
		passes(pong(make([]byte, pingSize)))
		passes(pong(first[:pingSize-1]))
		passes(pong(append(bytes.Clone(first), 0)))
		passes(masked(ws.NewPingFrame(bytes.Clone(first))))
		passes(masked(ws.NewBinaryFrame(bytes.Clone(first))))
		other := bytes.Clone(first)
		other[nonceSize-1] ^= 1
		passes(pong(other))
		p.client.say(pong(first))
		passes(pong(first)) // It was answered.
		passes(masked(ws.NewFrame(ws.OpText, false, []byte("a"))))
		second := p.client.hearsPing()
		passes(masked(ws.NewPingFrame(nil))) // A sign of life, before the answer.
		third := p.client.hearsPing()
		p.client.say(slices.Concat(pong(second), pong(third)))
		passes(masked(ws.NewFrame(ws.OpContinuation, true, []byte("b"))))
		_ = p.client.hearsPing()
		passes(masked(ws.NewPingFrame(nil)))
		p.client.say(pong(p.client.hearsPing())) // The last answer is enough.
		synctest.Wait()
		if !bytes.Equal(got.bytes(), want) {
			t.Errorf("the upstream got\n%x, want\n%x", got.bytes(), want)
		}
	})
}

// What is held back is lost only where nobody was to get it.
func TestPongCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for kept := 7; kept < 2+4+pingSize; kept++ {
			p := piped(t, Route{Ping: every})
			ours := p.client.hearsPing()
			p.client.say(pong(ours)[:kept])
			p.client.Close()
			p.server.hearsClose("")

			p = piped(t, Route{Ping: every})
			got := p.server.recorded()
			p.client.say(pong(ours)[:6])
			synctest.Wait()
			if len(got.bytes()) != 6 {
				t.Errorf("the upstream got %x, want all of a Pong that answers nothing", got.bytes())
			}
			p.client.Close()

			p = piped(t, Route{Ping: every})
			got = p.server.recorded()
			foreign := bytes.Clone(p.client.hearsPing())
			foreign[0] ^= 1
			part := pong(foreign)[:kept]
			p.client.say(part)
			p.client.Close()
			<-p.done
			synctest.Wait()
			if !bytes.Equal(got.bytes(), part) {
				t.Errorf("the upstream got %x of its Pong, want %x", got.bytes(), part)
			}
		}
	})
}
