package realtime_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/hub"
)

// TestTranscripts has clients and server say what testdata/*.txtar has, in both
// formats. Each line begins with the client's name.
//
//	a connect QUERY     opens a WebSocket
//	a > JSON            the client sends it
//	a < JSON            the server has sent it; heartbeats are left out
//	a <                 the server has sent nothing
//	a ends CODE         the server has closed, with the code, or "cut"
//	a cut               the client's connection breaks
//	a beats N           so many heartbeats have come
//	wait DURATION, log down, log up, drain, revoke DURATION
//
// In what is to come "*" stands for any value, and "$name" for one that is kept
// by this name; ${name} is the text that was kept.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d transcripts and %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range txtar.Parse(text).Files {
			for _, format := range []string{"json", "msgpack"} {
				t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+f.Name+"/"+format, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						p := &player{site: newSite(t, hub.Limits{}), msgpack: format == "msgpack", clients: map[string]*client{}, kept: map[string]string{}}
						p.play(t, string(f.Data))
					})
				})
			}
		}
	}
}

type player struct {
	*site
	msgpack bool
	clients map[string]*client
	kept    map[string]string
}

func (p *player) play(t *testing.T, script string) {
	n := 0
	for line := range strings.Lines(script) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.line(t, line); err != nil {
			t.Fatalf("line %d: %s\n%v", n, line, err)
		}
	}
}

func (p *player) line(t *testing.T, line string) error {
	who, rest, _ := strings.Cut(line, " ")
	verb, what, _ := strings.Cut(rest, " ")
	what = p.fill(what)
	switch who {
	case "wait":
		d, err := time.ParseDuration(verb)
		time.Sleep(d)
		return err
	case "log":
		p.log.setDown(verb == "down")
		return nil
	case "revoke":
		d, err := time.ParseDuration(verb)
		if err == nil {
			_, err = p.sessions.Revoke(t.Context(), usher.Revocation{Subject: "app", Applies: time.Now().Add(d)})
		}
		return err
	case "drain":
		go p.sessions.Drain(t.Context(), 0)
		return nil
	}
	c := p.clients[who]
	switch verb {
	case "connect":
		p.clients[who] = p.connect(t, what, p.msgpack)
		return nil
	case ">":
		return c.say(what)
	case "<":
		answer := strings.HasPrefix(what, `{"action":1,`) || strings.HasPrefix(what, `{"action":2,`)
		if err := p.expect(c.next(answer), what); err != nil || what != "" {
			return err
		}
		return p.expect(c.next(true), what)
	case "cut":
		err := c.conn.Close()
		synctest.Wait()
		return err
	case "ends":
		if got := c.end(); got != what {
			return fmt.Errorf("got end %q", got)
		}
		return nil
	case "beats":
		synctest.Wait()
		n := 0
		c.note(func() { n = c.beats })
		if fmt.Sprint(n) != what {
			return fmt.Errorf("got %d heartbeats", n)
		}
		return nil
	}
	return fmt.Errorf("no such verb: %s", verb)
}

// fill puts in what was kept.
func (p *player) fill(s string) string {
	for name, value := range p.kept {
		s = strings.ReplaceAll(s, "${"+name+"}", value)
	}
	return s
}

func (p *player) expect(got any, text string) error {
	if text == "" {
		if got != nil {
			return fmt.Errorf("got %s", jsonOf(got))
		}
		return nil
	}
	var want any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		return err
	}
	if got == nil {
		return fmt.Errorf("got nothing")
	}
	if err := p.match(got, want, "frame"); err != nil {
		return fmt.Errorf("got %s\n%w", jsonOf(got), err)
	}
	return nil
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// match holds what came against what is to come.
func (p *player) match(got, want any, where string) error {
	switch want := want.(type) {
	case string:
		if want == "*" {
			return nil
		}
		if name, ok := strings.CutPrefix(want, "$"); ok {
			text, isText := got.(string)
			if old, known := p.kept[name]; !isText || known && old != text {
				return fmt.Errorf("%s: got %s, want %s", where, jsonOf(got), old)
			}
			p.kept[name] = text
			return nil
		}
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: got %s", where, jsonOf(got))
		}
		for k, v := range want {
			if _, ok := m[k]; !ok {
				return fmt.Errorf("%s: %s is missing", where, k)
			}
			if err := p.match(m[k], v, where+"."+k); err != nil {
				return err
			}
		}
		for k := range m {
			if _, ok := want[k]; !ok {
				return fmt.Errorf("%s: %s is not expected", where, k)
			}
		}
		return nil
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s: got %s, want %d elements", where, jsonOf(got), len(want))
		}
		for i := range want {
			if err := p.match(list[i], want[i], fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if jsonOf(got) != jsonOf(want) {
		return fmt.Errorf("%s: got %s, want %s", where, jsonOf(got), jsonOf(want))
	}
	return nil
}
