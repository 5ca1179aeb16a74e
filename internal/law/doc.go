// Package law holds the repository to its architecture: which package may
// import which, what the public API is, how long a file may grow, what is
// documented, and that the documentation is true.
//
// It has no code of its own, only tests, and nobody imports it. Each test is
// policy, not description: to change what it says, change the test first, in a
// commit of its own that gives the reason.
package law
