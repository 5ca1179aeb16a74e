// Package apps has the applications that share a hub, their API keys, and what
// those and the tokens made with them allow. It judges credentials as verifiers
// of a Guard, makes tokens, and takes them back. It answers nobody: what a
// request was and how it is answered is the business of realtime and rest, which
// ask it, and of the server, which puts it together.
//
// A token is a JWT that is signed with the key's own secret, whether it was made
// here or by whoever has the key. So nothing is stored, and a key that is taken
// away takes its tokens with it.
package apps
