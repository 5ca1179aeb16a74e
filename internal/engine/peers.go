package engine

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/usher-ws/usher/internal/hub"
)

// hubSubject is what hubs ask each other by.
const hubSubject = "hub"

// Peers are the hubs of the other nodes that share the engine.
func (e *Engine) Peers() hub.Peers { return peers{e} }

type peers struct{ e *Engine }

// told is an answer on its way. Members are an entry as the log keeps it, since
// their data may be bytes.
type told struct {
	Node      string        `json:"node"`
	Members   []byte        `json:"members,omitempty"`
	Times     []int64       `json:"times,omitempty"`
	Occupancy hub.Occupancy `json:"occupancy"`
	Active    bool          `json:"active"`
	Channels  []string      `json:"channels,omitempty"`
	Uses      []uses        `json:"uses,omitempty"`
}

// uses are an occupancy in few bytes: there may be a thousand in an answer.
type uses [6]int

func usesOf(o hub.Occupancy) uses {
	return uses{o.Connections, o.Publishers, o.Subscribers, o.PresenceConnections, o.PresenceMembers, o.PresenceSubscribers}
}

func (u uses) occupancy() hub.Occupancy {
	return hub.Occupancy{
		Connections: u[0], Publishers: u[1], Subscribers: u[2], PresenceConnections: u[3], PresenceMembers: u[4], PresenceSubscribers: u[5],
	}
}

// Ask implements [hub.Peers].
func (p peers) Ask(ctx context.Context, q hub.Question, answer func(hub.Answer)) error {
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	return p.e.store.ask(ctx, hubSubject, text, func(text []byte) {
		a, err := decodeAnswer(text)
		if err != nil {
			p.e.log.Warn("answer of another node's hub cannot be read", slog.Any("error", err))
			return
		}
		answer(a)
	})
}

// Serve implements [hub.Peers].
func (p peers) Serve(f func(hub.Question) hub.Answer) (stop func(), err error) {
	return p.e.store.serve(hubSubject, func(text []byte) []byte {
		var q hub.Question
		if err := json.Unmarshal(text, &q); err != nil {
			p.e.log.Warn("question of another node's hub cannot be read", slog.Any("error", err))
			return nil
		}
		return encodeAnswer(f(q))
	})
}

func encodeAnswer(a hub.Answer) []byte {
	out := told{Node: a.Node, Occupancy: a.Occupancy, Active: a.Active, Channels: a.Channels}
	for _, o := range a.Uses {
		out.Uses = append(out.Uses, usesOf(o))
	}
	if len(a.Members) > 0 {
		e := &hub.Entry{Name: new(hub.Name), Kind: hub.Presence}
		for _, m := range a.Members {
			e.Messages = append(e.Messages, *m)
			out.Times = append(out.Times, m.Time)
		}
		out.Members = encodeEntry(e)
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return text
}

func decodeAnswer(text []byte) (hub.Answer, error) {
	var in told
	if err := json.Unmarshal(text, &in); err != nil {
		return hub.Answer{}, err
	}
	a := hub.Answer{Node: in.Node, Occupancy: in.Occupancy, Active: in.Active, Channels: in.Channels}
	for _, u := range in.Uses {
		a.Uses = append(a.Uses, u.occupancy())
	}
	if in.Members == nil {
		return a, nil
	}
	e, err := decodeEntry(in.Members)
	if err != nil || len(e.Messages) != len(in.Times) {
		return hub.Answer{}, errEntry
	}
	for i := range e.Messages {
		e.Messages[i].Time = in.Times[i]
		a.Members = append(a.Members, &e.Messages[i])
	}
	return a, nil
}
