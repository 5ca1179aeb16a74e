package hub

import "strconv"

// assignIDs gives the messages ids of the form base:index where the first has
// none. Its error says that those which a client gave do not belong together.
func (p *Publication) assignIDs() error {
	list := p.Messages
	if list[0].ID == "" {
		for i := range list {
			if list[i].ID != "" {
				return ErrIDs
			}
			list[i].ID = p.id(i)
		}
		return nil
	}
	if len(list) == 1 {
		return nil
	}
	first := list[0].ID
	if len(first) < 2 || first[len(first)-2:] != ":0" {
		return ErrIDs
	}
	stem := first[:len(first)-1]
	for i := range list {
		if list[i].ID != stem+strconv.Itoa(i) {
			return ErrIDs
		}
	}
	return nil
}

// id is that of a message which has none of its own.
func (p *Publication) id(index int) string {
	b := make([]byte, 0, 64)
	if p.Base != "" {
		b = append(b, p.Base...)
	} else {
		b = strconv.AppendInt(append(append(b, p.ConnectionID...), ':'), p.Number, 10)
	}
	return string(strconv.AppendInt(append(b, ':'), int64(index), 10))
}
