//go:build !unix

package direct

// A Caller makes calls, but none here.
type Caller struct{}
