package ably

import "strings"

// A KeyName names an API key: "app.key".
type KeyName struct {
	// App is the application that the key belongs to.
	App string
	// ID is the key's own.
	ID string
}

// ParseKeyName reads the name of a key.
func ParseKeyName(s string) (name KeyName, ok bool) {
	app, id, found := strings.Cut(s, ".")
	return KeyName{App: app, ID: id}, found && app != "" && id != "" && !strings.ContainsAny(id, ".:") && !strings.Contains(app, ":")
}

// String is the name as the wire has it.
func (k KeyName) String() string { return k.App + "." + k.ID }

// ParseKey cuts a whole key, "app.key:secret", in two.
func ParseKey(s string) (name KeyName, secret string, ok bool) {
	before, secret, found := strings.Cut(s, ":")
	if !found || secret == "" {
		return KeyName{}, "", false
	}
	name, ok = ParseKeyName(before)
	return name, secret, ok
}
