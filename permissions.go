package usher

// Permissions are what a credential allows: the scope of OAuth (RFC 6749 §3.3),
// which is a set of names, and a capability, which says for each resource what
// may be done there. The zero value allows nothing. It is a value that does not
// change: what makes another returns it.
type Permissions struct {
	scope      []string            // Sorted, each once.
	capability map[string][]string // Operations by resource, sorted, each once.
}
