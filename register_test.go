package usher

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A modeled revocation is what a register was told, and nothing forgotten.
type modeled struct {
	Revocation
	made, ends time.Time
}

// covers is whether the revocation is about who it names.
func (m *modeled) covers(id *Identity) bool {
	r := &m.Revocation
	return (r.Subject == "" || r.Subject == id.Subject) && (r.Session == "" || r.Session == id.Session) &&
		(r.Token == "" || r.Token == id.Token) && (r.Group == "" || slices.Contains(id.groups(), r.Group)) && (r.Issuer == "" || r.Issuer == id.Issuer || r.Issuer == id.Claims["idp"])
}

// refuses is the rule for one revocation, word for word.
func (m *modeled) refuses(id *Identity, now time.Time) bool {
	switch {
	case !m.covers(id) || !now.Before(m.ends):
		return false
	case id.Issued.IsZero() && id.Recheck:
		return now.Before(m.made.Add(time.Minute))
	case id.Issued.IsZero():
		return true
	}
	return id.Issued.Before(m.IssuedBefore)
}

// TestRegisterProperty compares a register with a list of all that it was told:
// what any of them refuses is refused, and nothing else, except that two of one
// name may be stricter together.
func TestRegisterProperty(t *testing.T) {
	names := rapid.SampledFrom([]string{"", "a", "b"})
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var g register
		var told []modeled
		now := epoch
		minutes := func(label string, from, to int) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * 30 * time.Second
		}
		t.Repeat(map[string]func(*rapid.T){
			"revoke": func(t *rapid.T) {
				r := Revocation{Issuer: names.Draw(t, "issuer"), IssuedBefore: now.Add(-minutes("before", -1, 20))}
				name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
				switch rapid.IntRange(0, 4).Draw(t, "what") {
				case 0:
					r.Subject = name
				case 1:
					r.Session = name
				case 2:
					r.Token = name
				case 3:
					r.Group = name
				default:
					r.Issuer = name
				}
				made := now.Add(-minutes("made", 0, 10)) // One that was told late.
				n := Notice{Revocation: &r, Made: made, Until: made.Add(minutes("keep", 1, 20))}
				g.add(n, now)
				told = append(told, modeled{r, n.Made, n.Until})
			},
			"wait": func(t *rapid.T) { now = now.Add(minutes("wait", 0, 10)) },
			"ask": func(t *rapid.T) {
				id := &Identity{
					Subject: names.Draw(t, "subject"), Issuer: names.Draw(t, "of"), Session: names.Draw(t, "session"),
					Token: names.Draw(t, "token"), Recheck: rapid.Bool().Draw(t, "recheck"),
				}
				id.Claims = Claims{"groups": rapid.SliceOfN(names, 0, 3).Draw(t, "groups")}
				if provider := names.Draw(t, "idp"); provider != "" {
					id.Claims["idp"] = provider
				}
				if rapid.Bool().Draw(t, "dated") {
					id.Issued = now.Add(-minutes("age", 0, 40))
				}
				err := g.refuses(id, now)
				must, may := false, false
				for i := range told {
					must = must || told[i].refuses(id, now)
					may = may || told[i].covers(id)
				}
				if must && err == nil || !may && err != nil {
					t.Fatalf("%+v: got %v, want refused %v, and not unless it is named: %v", id, err, must, may)
				}
				if err != nil && !errors.Is(err, ErrRevoked) {
					t.Fatalf("got %v, want ErrRevoked", err)
				}
			},
			"": func(*rapid.T) {},
		})
	})
}

// TestRegisterMerges two revocations of one name into the stricter.
func TestRegisterMerges(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	early := Notice{Revocation: &Revocation{Subject: "alice", Reason: "first", IssuedBefore: now}, Made: now, Until: now.Add(2 * time.Hour)}
	late := Notice{Revocation: &Revocation{Subject: "alice", Reason: "second", IssuedBefore: now.Add(time.Hour)}, Made: now.Add(time.Hour), Until: now.Add(time.Hour + time.Minute)}
	for name, order := range map[string][2]Notice{"in turn": {early, late}, "late first": {late, early}} {
		t.Run(name, func(t *testing.T) {
			var g register
			for range 100 {
				g.add(order[0], now)
				g.add(order[1], now)
			}
			list := g.entries[revokedName{'s', "alice"}]
			if len(g.entries) != 1 || len(list) != 1 {
				t.Fatalf("got %d names, %d entries, want one", len(g.entries), len(list))
			}
			e := list[0]
			if !e.before.Equal(now.Add(time.Hour)) || !e.made.Equal(now.Add(time.Hour)) || !e.ends.Equal(now.Add(2*time.Hour)) {
				t.Errorf("got %+v, want the later of everything", e)
			}
			if want := `credential revoked: "second"`; e.reason.Error() != want {
				t.Errorf("got reason %v, want %s", e.reason, want)
			}
		})
	}
}

// TestRegisterForgets what has ended, so that its size is that of what still
// counts.
func TestRegisterForgets(t *testing.T) {
	var g register
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begun
	for i := range 10_000 { // One each second, kept for ten minutes.
		now = begun.Add(time.Duration(i) * time.Second)
		g.add(Notice{
			Revocation: &Revocation{Subject: fmt.Sprint("user ", i), IssuedBefore: now}, Made: now, Until: now.Add(10 * time.Minute),
		}, now)
		if n := len(g.entries); n > 11*60+1 {
			t.Fatalf("got %d entries after %d, want at most those of 11 minutes", n, i)
		}
		if i >= 600 {
			old := &Identity{Subject: fmt.Sprint("user ", i-600), Issued: begun.Add(-time.Hour)}
			if err := g.refuses(old, now); err != nil {
				t.Fatalf("got %v for a revocation that has ended, want nil", err)
			}
			old.Subject = fmt.Sprint("user ", i-599)
			if err := g.refuses(old, now); !errors.Is(err, ErrRevoked) {
				t.Fatalf("got %v for a revocation of 599 s ago, want ErrRevoked", err)
			}
		}
	}
	g.add(Notice{Revocation: &Revocation{Subject: "a", IssuedBefore: now}, Made: now, Until: now}, now.Add(time.Hour))
	if n := len(g.entries); n != 0 {
		t.Errorf("got %d entries an hour later, want none: what is over when it comes is not noted either", n)
	}
}

// TestRegisterIssuers has many issuers revoke one name: each counts by itself.
func TestRegisterIssuers(t *testing.T) {
	var g register
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10 {
		g.add(Notice{
			Revocation: &Revocation{Subject: "alice", Issuer: fmt.Sprint(i), IssuedBefore: now}, Made: now,
			Until: now.Add(time.Duration(i+1) * time.Hour),
		}, now)
	}
	for h := range 11 {
		at := now.Add(time.Duration(h) * time.Hour)
		g.forget(at)
		for i := range 12 {
			err := g.refuses(&Identity{Subject: "alice", Issuer: fmt.Sprint(i), Issued: now.Add(-1)}, at)
			if want := i < 10 && i >= h; (err != nil) != want {
				t.Errorf("issuer %d after %d hours: got %v, want refused %v", i, h, err, want)
			}
		}
	}
	if len(g.entries) != 0 {
		t.Errorf("got %d entries in the end, want none", len(g.entries))
	}
}
