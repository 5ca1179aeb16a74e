//go:build race

package direct

// enough has each call be an ordinary one.
const enough = 0
