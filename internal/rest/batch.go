package rest

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/lexicon"
)

// batchPublish answers POST /messages.
func (c *call) batchPublish() (*answer, error) {
	var specs ably.BatchSpecs
	if err := c.read(&specs); err != nil {
		return nil, err
	}
	channels, messages := 0, 0
	for _, spec := range specs.List {
		channels += len(spec.Channels)
		messages += len(spec.Messages)
		if len(spec.Channels) == 0 || len(spec.Messages) == 0 {
			return nil, ably.Errorf(ably.BadRequest, "a batch spec has channels and messages")
		}
	}
	switch {
	case channels == 0:
		return nil, ably.Errorf(ably.BadRequest, "a batch without channels")
	case channels > ably.MaxBatchChannels:
		return nil, ably.Errorf(ably.BadRequest, "a batch goes to %d channels at most", ably.MaxBatchChannels)
	case messages > ably.MaxMessages:
		return nil, ably.Err(ably.TooManyMessages)
	}
	all := ably.BatchResults{Single: specs.Single}
	for _, spec := range specs.List {
		result := new(ably.BatchResult)
		for _, channel := range spec.Channels {
			result.Results = append(result.Results, c.publishPart(channel, spec.Messages))
		}
		all.List = append(all.List, result)
	}
	if c.version < firstNewForms {
		return oldBatch(&all), nil
	}
	return &answer{status: http.StatusCreated, body: &all}, nil
}

// publishPart publishes to one channel of a batch.
func (c *call) publishPart(channel string, list ably.Messages) *ably.BatchPart {
	part := &ably.BatchPart{Channel: channel}
	name, bad := ably.ParseChannelName(channel)
	if bad == nil {
		bad = c.grant.May("publish", name.Name)
	}
	if bad != nil {
		part.Error = bad
		return part
	}
	done, err := c.publishTo(name.Name, list)
	if err != nil {
		part.Error = lexicon.Refusal(err)
		return part
	}
	part.MessageID, part.Serials = done.MessageID, done.Serials
	return part
}

// oldBatch is the answer of versions that had no counts: a list, and where a part
// has failed an error with that list in it.
func oldBatch(all *ably.BatchResults) *answer {
	old := &ably.OldBatch{}
	for _, result := range all.List {
		old.Parts = append(old.Parts, result.Results...)
	}
	for _, p := range old.Parts {
		if p.Error != nil {
			old.Error = ably.Err(ably.BatchFailed)
			return &answer{status: http.StatusBadRequest, body: old, failed: old.Error}
		}
	}
	return &answer{status: http.StatusCreated, body: old}
}

// batchPresence answers GET /presence.
func (c *call) batchPresence() (*answer, error) {
	names := c.query.Get("channels")
	if names == "" {
		names = c.query.Get("channel")
	}
	if names == "" {
		return nil, ably.Errorf(ably.BadRequest, "no channels")
	}
	channels := strings.Split(names, cmp.Or(c.query.Get("separator"), ","))
	if len(channels) > ably.MaxBatchChannels {
		return nil, ably.Errorf(ably.BadRequest, "a batch goes to %d channels at most", ably.MaxBatchChannels)
	}
	result := new(ably.BatchResult)
	for _, channel := range channels {
		result.Results = append(result.Results, c.presencePart(channel))
	}
	return ok(result), nil
}

// presencePart tells who is present on one channel of a batch.
func (c *call) presencePart(channel string) *ably.BatchPart {
	part := &ably.BatchPart{Channel: channel}
	name, bad := ably.ParseChannelName(channel)
	if bad == nil {
		if bad = c.grant.May("subscribe", name.Name); bad != nil {
			bad = c.grant.May("presence", name.Name)
		}
	}
	if bad != nil {
		part.Error = bad
		return part
	}
	members, err := c.app.Members(c.r.Context(), name.Name)
	if err != nil {
		part.Error = lexicon.Refusal(err)
		return part
	}
	part.Presence = new(ably.PresenceMessages)
	for _, m := range members {
		*part.Presence = append(*part.Presence, lexicon.Member(m))
	}
	return part
}
