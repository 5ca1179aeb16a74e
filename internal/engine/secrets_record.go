package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/usher-ws/usher"
)

const maxTicketKeys = 16

// A secretsRecord is what the store has of the secrets.
type secretsRecord struct {
	CSRF []byte `json:"csrf"`
	// Root is what all other secrets that do not rotate are derived of.
	Root []byte `json:"root"`
	// Tickets are the keys of tickets, the latest From first.
	Tickets []ticketKey `json:"tickets"`
}

// A ticketKey seals tickets from a time on, until that of another.
type ticketKey struct {
	Key  []byte    `json:"key"`
	From time.Time `json:"from"`
}

func newSecretsRecord(now time.Time) secretsRecord {
	return secretsRecord{
		CSRF: newSecret(), Root: newSecret(),
		Tickets: []ticketKey{{Key: newSecret(), From: now.UTC()}},
	}
}

// keys returns the keys of tickets, that which seals at now first.
func (r secretsRecord) keys(now time.Time) []usher.Secret {
	first := slices.IndexFunc(r.Tickets, func(k ticketKey) bool { return !now.Before(k.From) })
	if first < 0 { // The clock was put back.
		first = len(r.Tickets) - 1
	}
	list := []usher.Secret{usher.NewSecret(string(r.Tickets[first].Key))}
	for i, k := range r.Tickets {
		if i != first {
			list = append(list, usher.NewSecret(string(k.Key)))
		}
	}
	return list
}

// rotated returns the record as it should be at now, or false if it is that.
func (r secretsRecord) rotated(now time.Time) (secretsRecord, bool) {
	next := r
	next.Tickets = slices.DeleteFunc(slices.Clone(r.Tickets), func(k ticketKey) bool { return k.From.Sub(now) > farAhead })
	// A key that no ticket can need any more is not left lying about.
	for i := 1; i < len(next.Tickets); i++ {
		if now.Sub(next.Tickets[i-1].From) > retireTime {
			next.Tickets = next.Tickets[:i]
		}
	}
	if len(next.Tickets) == 0 || now.Sub(next.Tickets[0].From) >= rotateEvery {
		fresh := ticketKey{Key: newSecret(), From: now.Add(settleTime).UTC()}
		if len(next.Tickets) == 0 {
			fresh.From = now.UTC()
		}
		next.Tickets = slices.Insert(next.Tickets, 0, fresh)
	}
	same := func(a, b ticketKey) bool { return bytes.Equal(a.Key, b.Key) && a.From.Equal(b.From) }
	return next, !slices.EqualFunc(next.Tickets, r.Tickets, same)
}

func (r secretsRecord) encode() ([]byte, error) { return json.Marshal(r) }

func decodeSecrets(text []byte) (secretsRecord, error) {
	var r secretsRecord
	if err := strictJSON(text, &r); err != nil {
		return r, err
	}
	if len(r.CSRF) != secretSize || len(r.Root) != secretSize || len(r.Tickets) == 0 || len(r.Tickets) > maxTicketKeys {
		return r, errors.New("a key is missing or has another size")
	}
	for _, k := range r.Tickets {
		if len(k.Key) != secretSize {
			return r, errors.New("a key of tickets has another size")
		}
	}
	slices.SortStableFunc(r.Tickets, func(a, b ticketKey) int { return b.From.Compare(a.From) })
	return r, nil
}
