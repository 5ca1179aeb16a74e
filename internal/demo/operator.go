package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// An operatorLog shows the gateway's log on the page, exactly as an operator
// has it. It is what the gateway writes to: a line of JSON at a time.
type operatorLog struct {
	ring  *ring
	tries *tries
}

// Write adds a record to the events.
func (o *operatorLog) Write(line []byte) (int, error) {
	if e, ok := logEvent(line); ok {
		for _, f := range e.Fields {
			if f.Name == "route" {
				e.Try = o.tries.of(f.Value, e.Line)
			}
		}
		o.ring.add(e)
	}
	return len(line), nil
}

// logEvent reads a record with its attributes in their order.
func logEvent(line []byte) (event, bool) {
	e := event{Kind: "log"}
	d := json.NewDecoder(bytes.NewReader(line))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return e, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return e, false
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return e, false
		}
		value := string(raw)
		if text := ""; json.Unmarshal(raw, &text) == nil {
			value = text
		}
		switch name {
		case "time":
		case "level":
			e.Level = value
		case "msg":
			e.Line = value
		default:
			e.Fields = append(e.Fields, field{fmt.Sprint(name), value})
		}
	}
	return e, e.Line != ""
}
