package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how long a certificate is used without a look at its files.
const certificateAge = time.Second

// A certificate is that of the public listener. Its files are read again when
// they have changed; as long as what is in them is no pair, the last that was
// one is used.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	pair    *tls.Certificate
	stamp   [2]fileStamp // Of the files that pair was read from.
	warned  string       // Of which error the log was told last.
	checked time.Time
}

// A fileStamp tells two versions of a file apart.
type fileStamp struct {
	size    int64
	changed time.Time
}

// readCertificate reads a certificate and its key, both in PEM.
func readCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, checked: time.Now()}
	var err error
	if c.stamp, err = c.look(); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	c.pair = &pair
	return c, nil
}

// get returns the certificate for a handshake. Its files are on a disk of this
// machine: the look at them holds nobody up.
func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certificateAge {
		return c.pair
	}
	c.checked = time.Now()
	stamp, err := c.look()
	if err == nil && stamp == c.stamp {
		return c.pair
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile)
	}
	if err != nil {
		// Between the change of one file and of the other this is to be
		// expected: the next look will tell. Once for each error is enough.
		if text := err.Error(); text != c.warned {
			c.warned = text
			c.log.Warn("certificate not read again; the last one stays", "error", err)
		}
		return c.pair
	}
	c.pair, c.stamp, c.warned = &pair, stamp, ""
	c.log.Info("certificate read again", "not_after", pair.Leaf.NotAfter)
	return c.pair
}

func (c *certificate) look() (stamp [2]fileStamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		about, err := os.Stat(name)
		if err != nil {
			return stamp, fmt.Errorf("read certificate: %w", err)
		}
		stamp[i] = fileStamp{about.Size(), about.ModTime()}
	}
	return stamp, nil
}
