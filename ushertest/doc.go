// Package ushertest helps to test what is built with package usher: an issuer
// of tokens that a test can log in with, and the suite that every
// [usher.Spender] must pass.
//
// It is for tests only: its issuer vouches for whoever is named to it. It
// neither replaces a verifier nor imitates a Guard; a test puts the real ones
// in front of its handler. It is called by the tests of applications and of
// usher itself, and every function that takes a [testing.TB] ends what it
// starts when the test ends.
package ushertest
