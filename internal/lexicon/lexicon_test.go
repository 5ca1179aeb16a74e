package lexicon_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// A message is the same after it has been the hub's.
func TestMessages(t *testing.T) {
	for _, data := range []ably.Data{{}, ably.TextData(""), ably.TextData("x"), ably.BinaryData(""), ably.BinaryData("\x00\xff")} {
		in := &ably.Message{ID: "b:0", Name: "n", Data: data, Encoding: "json", ClientID: "me", Extras: `{"a":1}`}
		e := &hub.Entry{Messages: lexicon.Messages(ably.Messages{in})}
		e.Stamp(7_000_123, 9)
		e.Messages[0].ConnectionID = "c"
		want := *in
		want.Timestamp, want.Serial, want.ConnectionID = 9, "00000000007000-123@usher:000", "c"
		want.Version = &ably.Version{Serial: want.Serial, Timestamp: 9}
		got := lexicon.Past(hub.Past{Entry: e})
		if d := cmp.Diff(string(ably.Append(nil, ably.JSON, &want)), string(ably.Append(nil, ably.JSON, got))); d != "" {
			t.Error(d)
		}
	}
}

func TestPresence(t *testing.T) {
	for _, action := range []ably.PresenceAction{ably.PresenceEnter, ably.PresenceUpdate, ably.PresenceLeave} {
		in := &ably.PresenceMessage{ID: "c:1:0", Action: action, ClientID: "me", Data: ably.BinaryData("x"), Encoding: "utf-8", Extras: "{}"}
		list := lexicon.PresenceMessages(ably.PresenceMessages{in})
		if d := cmp.Diff(string(ably.Append(nil, ably.JSON, in)), string(ably.Append(nil, ably.JSON, lexicon.PresenceMessage(&list[0])))); d != "" {
			t.Error(d)
		}
		if got := lexicon.Member(&list[0]); got.Action != ably.PresencePresent || got.ClientID != "me" {
			t.Errorf("got %+v, want a member that is present", got)
		}
	}
	if list := lexicon.PresenceMessages(ably.PresenceMessages{{Action: ably.PresenceAbsent}}); list[0].Action != hub.None {
		t.Errorf("got action %d, want none", list[0].Action)
	}
}

func TestOccupancy(t *testing.T) {
	got := lexicon.Occupancy(hub.Occupancy{Connections: 1, Publishers: 2, Subscribers: 3, PresenceConnections: 4, PresenceMembers: 5, PresenceSubscribers: 6})
	if want := (ably.Occupancy{Connections: 1, Publishers: 2, Subscribers: 3, PresenceConnections: 4, PresenceMembers: 5, PresenceSubscribers: 6}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRefusal(t *testing.T) {
	for err, want := range map[error]ably.Code{
		fmt.Errorf("x: %w", hub.ErrTooLarge): ably.MessageTooLarge, hub.ErrIDs: ably.BadMessageID, hub.ErrUnavailable: ably.Unavailable,
		ably.Err(ably.BadData): ably.BadData, errors.New("x"): ably.Internal,
	} {
		if got := lexicon.Refusal(err); got.Code != want {
			t.Errorf("%v: got %v, want %d", err, got, want)
		}
	}
}
