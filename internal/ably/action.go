package ably

import "strconv"

// An Action is what a protocol message is about.
type Action int

// The actions. Others are passed over.
const (
	ActionHeartbeat Action = iota
	ActionAck
	ActionNack
	ActionConnect
	ActionConnected
	ActionDisconnect
	ActionDisconnected
	ActionClose
	ActionClosed
	ActionError
	ActionAttach
	ActionAttached
	ActionDetach
	ActionDetached
	ActionPresence
	ActionMessage
	ActionSync
	ActionAuth
	ActionActivate
	ActionObject
	ActionObjectSync
	ActionAnnotation

	actions
)

var actionNames = [actions]string{
	"heartbeat", "ack", "nack", "connect", "connected", "disconnect", "disconnected", "close", "closed", "error",
	"attach", "attached", "detach", "detached", "presence", "message", "sync", "auth", "activate", "object",
	"object_sync", "annotation",
}

// String is the action's name in lower case, for logs.
func (a Action) String() string {
	if a >= 0 && a < actions {
		return actionNames[a]
	}
	return strconv.Itoa(int(a))
}

// NeedsAck reports whether a client waits for an answer by msgSerial.
func (a Action) NeedsAck() bool {
	return a == ActionMessage || a == ActionPresence || a == ActionObject || a == ActionAnnotation
}

// A MessageAction is what a message does.
type MessageAction int

// The actions of messages.
const (
	MessageCreate MessageAction = iota
	MessageUpdate
	MessageDelete
	MessageMeta
	MessageSummary
	MessageAppend
)

// A PresenceAction is what a member does, or in a SYNC, is.
type PresenceAction int

// The actions of presence.
const (
	PresenceAbsent PresenceAction = iota
	PresencePresent
	PresenceEnter
	PresenceLeave
	PresenceUpdate
)
