//go:build !unix

package engine

import "os"

// lockFile does nothing: here nothing keeps a second process from the directory.
func lockFile(*os.File) error { return nil }
