package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A link is the connection to NATS servers, which mends itself, and what is
// asked of JetStream by it. It asks by plain requests: the client's own
// JetStream calls repeat some by themselves, and read from whichever server
// they like.
type link struct {
	nc    *nats.Conn
	log   *slog.Logger
	reach *reach
}

// Error codes of JetStream's API.
const (
	codeNoResources   jetstream.ErrorCode = 10023 // Insufficient resources.
	codeNoMessage     jetstream.ErrorCode = 10037
	codeNoStorage     jetstream.ErrorCode = 10047 // Insufficient storage resources.
	codeTooLong       jetstream.ErrorCode = 10054
	codeStreamExists  jetstream.ErrorCode = 10058 // With another configuration.
	codeNoStream      jetstream.ErrorCode = 10059
	codeWrongLast     jetstream.ErrorCode = 10071 // Not the expected revision.
	codeReplicas      jetstream.ErrorCode = 10074 // More than one, without a cluster.
	codeStoreFailed   jetstream.ErrorCode = 10077 // With the cause in words.
	codeWrongLastSoon jetstream.ErrorCode = 10164 // As 10071, by a write that is under way.
)

// errNoStream: nobody serves the subject, so there is no such stream now, or it
// has no leader. Nothing was written.
var errNoStream = fmt.Errorf("%w: no JetStream answers", errCutOff)

// is reports whether err is JetStream's with one of these codes.
func is(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, c := range codes {
		if api.ErrorCode == c {
			return true
		}
	}
	return false
}

// request sends one message and waits for the answer. Its error is errCutOff
// where nothing was sent. Nothing is kept to be sent later.
func (l *link) request(ctx context.Context, m *nats.Msg) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !l.nc.IsConnected() {
		return nil, errCutOff
	}
	answer, err := l.nc.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		l.reach.suspect()
		return nil, errNoStream
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed):
		return nil, errCutOff
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, errTooLong
	case err != nil:
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.Canceled) {
			l.reach.suspect()
		}
		return nil, fmt.Errorf("wait for the store: %w", err)
	}
	return answer.Data, nil
}

// api calls a method of JetStream's API, which the stream's leader answers.
func (l *link) api(ctx context.Context, method string, request, response any) error {
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	text, err = l.request(ctx, &nats.Msg{Subject: "$JS.API." + method, Data: text})
	if err != nil {
		return err
	}
	var outcome struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(text, &outcome); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if outcome.Error != nil {
		return outcome.Error
	}
	if err := json.Unmarshal(text, response); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

// lookAt returns what JetStream knows of a stream.
func (l *link) lookAt(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	info := new(jetstream.StreamInfo)
	if err := l.api(ctx, "STREAM.INFO."+stream, struct{}{}, info); err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", stream, err)
	}
	return info, nil
}

// find is lookAt, and makes the stream where it is not there.
func (l *link) find(ctx context.Context, stream string, settings func() *jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	info, err := l.lookAt(ctx, stream)
	if !is(err, codeNoStream) {
		return info, err
	}
	info = new(jetstream.StreamInfo)
	switch err := l.api(ctx, "STREAM.CREATE."+stream, settings(), info); {
	case is(err, codeStreamExists):
		return l.lookAt(ctx, stream) // Another node was faster.
	case err != nil:
		return nil, fmt.Errorf("make stream %s: %w", stream, err)
	}
	return info, nil
}

// A write is a message for a stream.
type write struct {
	subject string
	value   []byte
	ttl     time.Duration // 0: for ever.
	expect  *uint64       // The subject's last revision; 0: there is none. Default: any.
	mark    bool          // A mark that the entry was removed.
}

// publish writes into stream, and returns the revision.
func (l *link) publish(ctx context.Context, stream string, w write) (uint64, error) {
	if len(w.value) > maxValue {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", errTooLong, len(w.value), maxValue)
	}
	m := &nats.Msg{Subject: w.subject, Data: w.value, Header: nats.Header{}}
	m.Header.Set("Nats-Expected-Stream", stream)
	if w.expect != nil {
		m.Header.Set("Nats-Expected-Last-Subject-Sequence", strconv.FormatUint(*w.expect, 10))
	}
	if w.ttl > 0 {
		// In whole seconds, of which there must be one.
		seconds := (min(w.ttl, maxTTL) + time.Second - 1) / time.Second
		m.Header.Set("Nats-TTL", strconv.FormatInt(int64(seconds), 10))
	}
	if w.mark {
		m.Header.Set("KV-Operation", "DEL")
	}
	text, err := l.request(ctx, m)
	if err != nil {
		return 0, err
	}
	var ack struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(text, &ack); err != nil {
		return 0, fmt.Errorf("decode the store's answer: %w", err)
	}
	switch {
	case ack.Error == nil && ack.Stream != stream:
		return 0, errors.New("the store's answer is of another stream")
	case ack.Error == nil:
		return ack.Sequence, nil
	case is(ack.Error, codeWrongLast, codeWrongLastSoon):
		return 0, errConflict
	case is(ack.Error, codeStoreFailed, codeNoResources, codeNoStorage):
		l.reach.suspect()
		return 0, fmt.Errorf("%w: %s", errFull, ack.Error.Description)
	case is(ack.Error, codeTooLong):
		return 0, errTooLong
	}
	return 0, fmt.Errorf("the store: %w", ack.Error)
}
