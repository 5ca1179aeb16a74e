//go:build unix

package demo

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the process into a group of its own, so that Ctrl+C at the
// terminal does not end it before the gateway has said goodbye.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the group of the process to end, and kill ends it.
func terminate(c *exec.Cmd) error { return signalGroup(c, syscall.SIGTERM) }

func kill(c *exec.Cmd) error { return signalGroup(c, syscall.SIGKILL) }

func signalGroup(c *exec.Cmd, s syscall.Signal) error {
	err := syscall.Kill(-c.Process.Pid, s)
	if err == syscall.ESRCH {
		return os.ErrProcessDone
	}
	return err
}
