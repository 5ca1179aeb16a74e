//go:build !race

package direct

// enough is the tally at which a call is an ordinary one: some 150 ms of short
// writes, and a few of long ones.
const enough = 16384
