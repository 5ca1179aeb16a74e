//go:build !unix

package demo

import "os/exec"

// ownGroup does nothing here: there are no process groups.
func ownGroup(*exec.Cmd) {}

// terminate and kill end the process, which has no other way to be told than
// the end of its input.
func terminate(c *exec.Cmd) error { return c.Process.Kill() }

func kill(c *exec.Cmd) error { return c.Process.Kill() }
