package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

// A grant is an answer of the token endpoint.
type grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
}

// tokens asks the node's token endpoint. It may be called by many goroutines.
func (g *gateway) tokens(params url.Values) (got grant, err error) {
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, "http://"+g.public+"/oauth/token", strings.NewReader(params.Encode()))
	if err != nil {
		return got, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := httpClient.Do(req)
	if err != nil {
		return got, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return got, err
	}
	err = json.Unmarshal(text, &got)
	return got, err
}

// A backendKey is the API key of an application's backend.
type backendKey struct {
	ID   string
	Text string `json:"key"`
}

// key makes an API key that may have tokens, and waits until all nodes know it.
func (s *site) key(t *testing.T) (k backendKey) {
	t.Helper()
	first := s.gateways[0]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+first.admin+"/usher/v1/keys", strings.NewReader(`{"may":["tokens","exchange"]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&k); err != nil || k.Text == "" {
		t.Fatalf("make an API key: got status %d and %v", res.StatusCode, err)
	}
	for _, g := range s.gateways {
		eventually(t, patience, "the key is known at "+g.process.name, func() bool {
			got, err := g.tokens(k.own())
			return err == nil && got.Access != ""
		})
	}
	return k
}

// client are the parameters that prove who the key is.
func (k backendKey) client() url.Values {
	return url.Values{"client_id": {k.ID}, "client_secret": {k.Text}}
}

// own asks for a token for the key itself.
func (k backendKey) own() url.Values {
	v := k.client()
	v.Set("grant_type", "client_credentials")
	return v
}

// user asks for tokens for a user.
func (k backendKey) user(name string) url.Values {
	v := k.client()
	v.Set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
	v.Set("subject_token", name)
	v.Set("subject_token_type", "urn:usher:token-type:subject")
	v.Set("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")
	return v
}

// refresh uses a refresh token, as a page does.
func (k backendKey) refresh(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {k.ID}}
}

// TestRefreshOverNodes: racing refreshes at three nodes get one successor, so that
// two tabs go on; and the use of a stolen one at any node ends the session, and its
// socket at another node within a second.
func TestRefreshOverNodes(t *testing.T) {
	const sessions, tabs = 100, 6
	s := newSite(t)
	k := s.key(t)
	var took []time.Duration
	for n := range sessions {
		name := userName(n)
		first, err := s.gateways[n%3].tokens(k.user(name))
		if err != nil || first.Refresh == "" {
			t.Fatalf("%s: got %+v and %v, want tokens", name, first.Error, err)
		}
		c, err := dial(t.Context(), s.gateways[(n+1)%3].public, "", first.Access)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.conn.Close() })
		next := s.raceRefresh(t, k, first.Refresh, tabs)
		last := s.raceRefresh(t, k, next, 2) // Both tabs go on.
		begun := time.Now()
		stolen, err := s.gateways[(n+2)%3].tokens(k.refresh(first.Refresh))
		if err != nil || stolen.Error != "invalid_grant" {
			t.Fatalf("%s: the thief got %q and %v, want invalid_grant", name, stolen.Error, err)
		}
		e, err := c.ended()
		if err != nil || e.code != usher.CloseUnauthenticated || e.word != "revoked" {
			t.Fatalf("%s: got the end %+v and %v, want 4401 revoked", name, e, err)
		}
		took = append(took, e.at.Sub(begun))
		for _, g := range s.gateways {
			if got, err := g.tokens(k.refresh(last)); err != nil || got.Error != "invalid_grant" {
				t.Fatalf("%s: the owner's token at %s: got %q and %v, want invalid_grant", name, g.process.name, got.Error, err)
			}
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d stolen tokens, from their use to the Close frame at another node: p50 %v, p99 %v, last %v",
		len(took), took[len(took)/2], p99, took[len(took)-1])
	if p99 >= time.Second {
		t.Errorf("got a p99 of %v, want under 1s", p99)
	}
}

// raceRefresh uses a refresh token many times at once, over all nodes, and returns the one
// successor.
func (s *site) raceRefresh(t *testing.T, k backendKey, token string, tabs int) string {
	t.Helper()
	got, errs := make([]grant, tabs), make([]error, tabs)
	var racing sync.WaitGroup
	for i := range tabs {
		racing.Go(func() { got[i], errs[i] = s.gateways[i%3].tokens(k.refresh(token)) })
	}
	racing.Wait()
	for i := range tabs {
		if errs[i] != nil || got[i].Refresh == "" || got[i].Refresh != got[0].Refresh || got[i].Refresh == token {
			t.Fatalf("tab %d: got the error %q and %v, want the same successor for all", i, got[i].Error, errs[i])
		}
	}
	return got[0].Refresh
}

const (
	// perSecond is how many handshakes are begun in a second at most, while there are no
	// more than atOnce under way, and each rotation of signing keys takes so long.
	perSecond   = 1250
	rotations   = 3
	rotateAfter = 3 * time.Second
)

// TestSigningKeysRotateUnderLoad: while signing keys rotate, by hand at one node after the
// other, no handshake with a good token is refused at any node, whichever made it.
func TestSigningKeysRotateUnderLoad(t *testing.T) {
	s := newSite(t)
	k := s.key(t)
	var done, refused atomic.Int64
	var latest [3]atomic.Pointer[string]
	mint := func(i int) {
		got, err := s.gateways[i].tokens(k.own())
		if err != nil || got.Access == "" {
			t.Errorf("token: got %q and %v", got.Error, err)
			return
		}
		latest[i].Store(&got.Access)
	}
	for i := range latest {
		mint(i)
	}
	end := make(chan struct{})
	var loading sync.WaitGroup
	loading.Go(func() { s.handshakes(t, end, &latest, mint, &done, &refused) })
	begun := time.Now()
	keys := make(map[string]bool)
	for n := range rotations {
		var made struct{ ID string }
		g := s.gateways[n%3]
		if status := g.post(g.admin, "/usher/v1/signing-keys", "", map[string]any{"after": 1.5}, &made); status != http.StatusOK {
			t.Errorf("rotation %d: got status %d, want 200", n, status)
		}
		keys[made.ID] = true
		time.Sleep(rotateAfter)
	}
	close(end)
	loading.Wait()
	took := time.Since(begun)
	t.Logf("%d handshakes in %v, %.0f in a second, over %d new keys on three nodes: %d refused",
		done.Load(), took.Round(time.Millisecond), float64(done.Load())/took.Seconds(), len(keys), refused.Load())
	if len(keys) != rotations {
		t.Errorf("got %d new keys, want %d", len(keys), rotations)
	}
	if refused.Load() > 0 || done.Load() < 100 {
		t.Errorf("got %d refused of %d, want none of many", refused.Load(), done.Load())
	}
}

// handshakes makes handshakes with tokens of each node at each until end is closed.
func (s *site) handshakes(t *testing.T, end <-chan struct{}, latest *[3]atomic.Pointer[string], mint func(int), done, refused *atomic.Int64) {
	turns := make(chan struct{}, atOnce)
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for n := 0; ; n++ {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		select {
		case turns <- struct{}{}:
		case <-end:
			return
		}
		running.Go(func() {
			defer func() { <-turns }()
			if n%10 == 0 {
				mint(n / 10 % 3)
			}
			c, err := dial(t.Context(), s.gateways[n/3%3].public, "", *latest[n%3].Load())
			if err != nil {
				refused.Add(1)
				t.Error(fmt.Errorf("handshake %d: %w", n, err))
				return
			}
			done.Add(1)
			_ = c.conn.Close()
		})
	}
}
