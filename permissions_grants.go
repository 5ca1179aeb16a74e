package usher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	strictjson "github.com/go-jose/go-jose/v4/json"
)

// grants are a capability: what may be done on each resource.
type grants struct {
	list []grant // Sorted by resource, each once.
	wild []grant // Those of list whose resource covers others than itself.
}

type grant struct {
	on  resource
	can operations
}

// operations is a set of operations: a bit for each, or anyOperation alone.
type operations uint32

const anyOperation operations = 1 << 31

// operationNames are in the order of their bits, which is that of the
// canonical text.
var operationNames = []string{
	"annotation-publish", "annotation-subscribe", "channel-metadata", "history",
	"message-delete-any", "message-delete-own", "message-update-any", "message-update-own",
	"object-publish", "object-subscribe", "presence", "privileged-headers", "publish",
	"push-admin", "push-subscribe", "stats", "subscribe",
}

// operationBits are the operations by their names, without "*".
var operationBits = func() map[string]operations {
	bits := make(map[string]operations, len(operationNames))
	for i, name := range operationNames {
		bits[name] = 1 << i
	}
	return bits
}()

// parseOperations reads a list of operations.
func parseOperations(names []string) (operations, error) {
	var all operations
	for _, name := range names {
		bit := operationBits[name]
		switch {
		case name == "*" && len(names) == 1:
			return anyOperation, nil
		case name == "*":
			return 0, errors.New(`"*" stands for all operations, and has to be alone`)
		case bit == 0:
			return 0, fmt.Errorf("%.40q is no operation", name)
		}
		all |= bit
	}
	if all == 0 {
		return 0, errors.New("no operation")
	}
	return all, nil
}

// names lists the operations, sorted.
func (o operations) names() []string {
	if o == anyOperation {
		return []string{"*"}
	}
	var names []string
	for i, name := range operationNames {
		if o&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// and returns the operations that are in both.
func (o operations) and(other operations) operations {
	switch anyOperation {
	case o:
		return other
	case other:
		return o
	}
	return o & other
}

// or returns the operations that are in one of them.
func (o operations) or(other operations) operations {
	if o == anyOperation || other == anyOperation {
		return anyOperation
	}
	return o | other
}

// parseCapability reads a JSON object of operations by resource.
func parseCapability(text string) (grants, error) {
	switch {
	case text == "":
		return grants{}, nil
	case len(text) > MaxPermissions:
		return grants{}, fmt.Errorf("%d bytes, at most %d", len(text), MaxPermissions)
	case !utf8.ValidString(text), tooDeep([]byte(text)), !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{"):
		return grants{}, errCapability // As null would be, which the reader takes for an empty object.
	}
	var lists map[string][]string
	if err := strictjson.Unmarshal([]byte(text), &lists); err != nil {
		return grants{}, errCapability
	}
	byResource := make(map[string]grant, len(lists))
	for name, list := range lists {
		on, err := parseResource(name)
		if err != nil {
			return grants{}, fmt.Errorf("resource %.80q: %w", name, err)
		}
		can, err := parseOperations(list)
		if err != nil {
			return grants{}, fmt.Errorf("resource %.80q: %w", name, err)
		}
		byResource[name] = grant{on, can}
	}
	return newGrants(byResource), nil
}

var errCapability = errors.New("not a JSON object of lists of operations by resource, each resource once")

func newGrants(byResource map[string]grant) grants {
	var g grants
	for _, name := range slices.Sorted(maps.Keys(byResource)) {
		one := byResource[name]
		g.list = append(g.list, one)
		if one.on.wild {
			g.wild = append(g.wild, one)
		}
	}
	return g
}

// may reports whether a grant has the operation on the resource.
func (g grants) may(operation, on string) bool {
	bit := operationBits[operation]
	if bit == 0 {
		return false
	}
	i, found := slices.BinarySearchFunc(g.list, on, func(one grant, on string) int {
		return strings.Compare(one.on.text, on)
	})
	if found && g.list[i].can.and(bit) != 0 {
		return true
	}
	for i := range g.wild {
		if one := &g.wild[i]; one.can.and(bit) != 0 && one.on.covers(on) {
			return true
		}
	}
	return false
}

// intersect takes, of each two resources of which one covers the other, the
// narrower, with the operations that both have.
func (g grants) intersect(other grants) grants {
	both := make(map[string]grant)
	for i := range g.list {
		for j := range other.list {
			a, b := &g.list[i], &other.list[j]
			narrow := a
			switch {
			case a.on.text == b.on.text, b.on.wild && b.on.covers(a.on.text):
			case a.on.wild && a.on.covers(b.on.text):
				narrow = b
			default:
				continue
			}
			if can := a.can.and(b.can); can != 0 {
				both[narrow.on.text] = grant{narrow.on, can.or(both[narrow.on.text].can)}
			}
		}
	}
	return newGrants(both)
}

// String returns the canonical JSON.
func (g grants) String() string {
	if len(g.list) == 0 {
		return ""
	}
	lists := make(map[string][]string, len(g.list))
	for i := range g.list {
		lists[g.list[i].on.text] = g.list[i].can.names()
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(lists); err != nil {
		return "" // Texts in lists in an object: it cannot fail, and less is no danger.
	}
	return strings.TrimSuffix(text.String(), "\n")
}
