// Package cluster has tests of several gateways on one NATS cluster: real
// processes on loopback, three of each, that are killed and cut off. It has no
// code of its own; what one gateway does is tested where that is.
package cluster
