package ably

import "net/url"

// Link is the value of one Link header (RFC 8288) that leads to another page of
// what was asked for. SDKs read one link in each header, take nothing but a link
// relative to the last segment of the path, and split at commas: there are none
// in it.
func Link(rel, segment string, query url.Values) string {
	return "<./" + segment + "?" + query.Encode() + `>; rel="` + rel + `"`
}
