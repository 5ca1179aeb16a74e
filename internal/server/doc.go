// Package server is where everybody meets: it turns a configuration into
// Guards, tunnels and endpoints, listens, and follows the process's life from
// its start over reloads to its drain.
//
// What a configuration makes is a site, which is immutable. A reload makes
// another site and puts it in the place of the first; connections stay with the
// Guard that admitted them. What must outlive a configuration is in kept.
//
// It reads no command line and no configuration file: package main does.
package server
