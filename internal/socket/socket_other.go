//go:build !linux

package socket

import (
	"errors"
	"net"
)

// Available says whether the rest of the package is there.
const Available = false

// Dial is an error.
func (k *Call) Dial() (c net.Conn, n int, err error) { return nil, 0, errors.ErrUnsupported }
