package engine

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher/internal/hub"
)

// What a channel and an entry are known by in a store stays as it is: others have
// written there before.
func TestNamesInTheStore(t *testing.T) {
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	for _, n := range []hub.Name{{}, {App: "app", Channel: "room"}, {App: "app 1", Channel: "ünï", Kept: true}} {
		if got, want := token(n), digest(fmt.Sprintf("%d %s%s %t", len(n.App), n.App, n.Channel, n.Kept)); got != want {
			t.Errorf("channel %v: got %s, want %s", n, got, want)
		}
	}
	var m letter
	m.data = []byte("data")
	m.address("usher.log.brief_0.7.", "name", "_INBOX.x.", 36, hub.Key{Of: 'c', ID: "connection:1:0"})
	got := []string{m.msg.Subject, m.msg.Reply, m.id[0], string(m.msg.Data)}
	want := []string{"usher.log.brief_0.7.name", "_INBOX.x.10", "name." + digest("cconnection:1:0"), "data"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("letter: got %q, want %q", got, want)
	}
}

// An answer is read alike with and without a parser, and what is none is an error.
func TestPlaceInAnAnswer(t *testing.T) {
	s := &logStream{name: "brief_1"}
	for _, text := range []string{
		`{"stream":"usher_brief_1","seq":1790000000000001}`,
		`{"stream":"usher_brief_1","seq":7,"duplicate": true}`,
		`{"stream":"usher_brief_1","domain":"hub","seq":7}`,
		`{"stream":"usher_brief_10","seq":7}`,
		`{"stream":"usher_brief_2","seq":7}`,
		`{"stream":"usher_brief_1","seq":99999999999999999999}`,
		`{"stream":"usher_brief_1","seq":07}`,
		`{"stream":"usher_brief_1","seq":}`,
		`{"stream":"usher_brief_1","seq":-7}`,
		`{"stream":"usher_brief_1","seq":7`,
		`{"stream":"usher_brief_1"}`,
		`{"stream":"usher_brief_1","seq":0,"error":{"code":503,"err_code":10077,"description":"full"}}`,
		`{}`, ``, `x`,
	} {
		var ack struct {
			jetstream.PubAck
			Error *jetstream.APIError `json:"error"`
		}
		good := json.Unmarshal([]byte(text), &ack) == nil && ack.Error == nil && ack.Stream == s.stream()
		at, err := s.placeIn(&nats.Msg{Data: []byte(text)})
		if good != (err == nil) || good && at != hub.Position(ack.Sequence) {
			t.Errorf("%s: got %d, %v; a parser has %d, %t", text, at, err, ack.Sequence, good)
		}
	}
}
