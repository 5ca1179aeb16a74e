// Package observe is what the operator sees: logs without credentials, metrics,
// and the refusals that an explain id leads to. It learns of them by
// [usher.Event], which holds no credential; the redaction of logs is a second
// line behind that.
//
// It serves no HTTP of its own and knows no configuration; package server does.
package observe
