// Package hubtest has the suite that a hub's log passes, whatever it is built
// on, and what its tests are made of. Only tests import it.
package hubtest
