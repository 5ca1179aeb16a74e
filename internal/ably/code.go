package ably

import (
	"fmt"
	"slices"
)

// A Code says what went wrong. SDKs branch on it.
type Code int

// The codes that a server gives. What a client should do shows in the number:
// it gets a new token for 40140 to 40149, and gives up on the others of 401.
const (
	BadRequest             Code = 40000
	BadParameter           Code = 40003
	BadConnectionKey       Code = 40006
	MessageTooLarge        Code = 40009
	BadChannelName         Code = 40010
	StaleCursor            Code = 40011
	BadClientID            Code = 40012
	BadData                Code = 40013
	BadVersion             Code = 40017
	BatchFailed            Code = 40020
	BadMessage             Code = 40030
	BadMessageID           Code = 40031
	BadExtras              Code = 40032
	TooManyMessages        Code = 40034
	ForcedNack             Code = 40099
	BadCredential          Code = 40101
	IncompatibleCredential Code = 40102
	TLSRequired            Code = 40103
	BadTokenTimestamp      Code = 40104
	NonceReplayed          Code = 40105
	WrongKey               Code = 40133
	TokenError             Code = 40140
	TokenRevoked           Code = 40141
	TokenExpired           Code = 40142
	TokenUnknown           Code = 40143
	BadJWT                 Code = 40144
	NotPermitted           Code = 40160
	RevocationNeedsKey     Code = 40162
	RevocationDisabled     Code = 40163
	ModeMissing            Code = 40165
	Forbidden              Code = 40300
	NotFound               Code = 40400
	UnknownKey             Code = 40400
	RateLimited            Code = 42910
	ConnectionRateLimited  Code = 42911
	ListingChannels        Code = 42912
	TooManyRequests        Code = 42914
	ConnectionFlooded      Code = 42920
	Internal               Code = 50000
	TimedOut               Code = 50003
	Unavailable            Code = 50005
	Disconnected           Code = 80003
	ConnectionUnknown      Code = 80018
	ChannelWrongState      Code = 90001
	ContinuityLost         Code = 90003
	TooManyChannels        Code = 90010
	PresenceNeedsClientID  Code = 91000
	TooManyMembers         Code = 91003
	MutationDisabled       Code = 93002
)

// A codeEntry is what goes with a code.
type codeEntry struct {
	code   Code
	status int
	text   string
}

// codes are sorted by code.
var codes = []codeEntry{
	{BadRequest, 400, "bad request"},
	{BadParameter, 400, "invalid parameter value"},
	{BadConnectionKey, 400, "invalid connection key"},
	{MessageTooLarge, 400, "message is too large"},
	{BadChannelName, 400, "invalid channel name"},
	{StaleCursor, 400, "the pagination cursor has expired"},
	{BadClientID, 400, "invalid client id"},
	{BadData, 400, "invalid message data or encoding"},
	{BadVersion, 400, "unsupported protocol version"},
	{BatchFailed, 400, "a part of the batch failed"},
	{BadMessage, 400, "invalid publish request"},
	{BadMessageID, 400, "invalid message id"},
	{BadExtras, 400, "invalid message extras"},
	{TooManyMessages, 400, "too many messages in one publish"},
	{ForcedNack, 400, "refused, as was asked for"},
	{BadCredential, 401, "invalid credentials"},
	{IncompatibleCredential, 401, "incompatible credentials"},
	{TLSRequired, 401, "basic authentication needs TLS"},
	{BadTokenTimestamp, 401, "the timestamp of the token request is outside the window"},
	{NonceReplayed, 401, "the nonce of the token request was used before"},
	{WrongKey, 401, "the key does not match"},
	{TokenError, 401, "token error"},
	{TokenRevoked, 401, "the token was revoked"},
	{TokenExpired, 401, "the token has expired"},
	{TokenUnknown, 401, "the token is not recognized"},
	{BadJWT, 401, "invalid JWT format"},
	{NotPermitted, 401, "not permitted with the given capability"},
	{RevocationNeedsKey, 401, "revoking tokens needs the API key"},
	{RevocationDisabled, 401, "the key does not allow that its tokens are revoked"},
	{ModeMissing, 400, "the channel was attached without the mode that this needs"},
	{Forbidden, 403, "forbidden"},
	{NotFound, 404, "not found"},
	{RateLimited, 429, "rate limit exceeded"},
	{ConnectionRateLimited, 429, "rate limit of the connection exceeded"},
	{ListingChannels, 429, "the channels of the app are being listed already, and only once at a time"},
	{TooManyRequests, 429, "too many requests"},
	{ConnectionFlooded, 429, "rate limit of the connection exceeded by far"},
	{Internal, 500, "internal error"},
	{TimedOut, 500, "timed out"},
	{Unavailable, 503, "service unavailable"},
	{Disconnected, 400, "disconnected"},
	{ConnectionUnknown, 400, "invalid or unknown connection key"},
	{ChannelWrongState, 400, "channel operation failed: wrong state"},
	{ContinuityLost, 404, "messages since the given serial are no longer kept"},
	{TooManyChannels, 400, "too many channels on one connection"},
	{PresenceNeedsClientID, 400, "presence needs a client id"},
	{TooManyMembers, 400, "the channel has as many members as it may"},
	{MutationDisabled, 400, "mutable messages are not enabled"},
}

func (c Code) entry() codeEntry {
	i, ok := slices.BinarySearchFunc(codes, c, func(e codeEntry, c Code) int { return int(e.code - c) })
	if !ok {
		return codeEntry{c, int(c) / 100, fmt.Sprintf("error %d", int(c))}
	}
	return codes[i]
}

// Status is the HTTP status that goes with the code.
func (c Code) Status() int { return c.entry().status }

// String is what the code means, in a few words.
func (c Code) String() string { return c.entry().text }

// Renewable reports whether a new token would help.
func (c Code) Renewable() bool { return c >= TokenError && c <= 40149 }
