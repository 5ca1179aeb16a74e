package ably

import "strings"

// Flags are the bits of ATTACH and ATTACHED.
type Flags uint32

// What ATTACHED says about the attachment.
const (
	HasPresence Flags = 1 << 0
	HasBacklog  Flags = 1 << 1
	Resumed     Flags = 1 << 2
)

// AttachResume is what an ATTACH of older SDKs says that goes on with what was
// there before.
const AttachResume Flags = 1 << 5

// The modes of an attachment: what it may be used for.
const (
	ModePresence            Flags = 1 << 16
	ModePublish             Flags = 1 << 17
	ModeSubscribe           Flags = 1 << 18
	ModePresenceSubscribe   Flags = 1 << 19
	ModeAnnotationPublish   Flags = 1 << 21
	ModeAnnotationSubscribe Flags = 1 << 22
	ModeObjectSubscribe     Flags = 1 << 24
	ModeObjectPublish       Flags = 1 << 25

	// DefaultModes are those of an ATTACH that asks for none.
	DefaultModes = ModePresence | ModePublish | ModeSubscribe | ModePresenceSubscribe | ModeAnnotationPublish

	modes = DefaultModes | ModeAnnotationSubscribe | ModeObjectSubscribe | ModeObjectPublish
)

// modeNames are the modes by the bit's place, as the parameter "modes" has them.
var modeNames = []struct {
	mode Flags
	name string
}{
	{ModePresence, "presence"},
	{ModePublish, "publish"},
	{ModeSubscribe, "subscribe"},
	{ModePresenceSubscribe, "presence_subscribe"},
	{ModeAnnotationPublish, "annotation_publish"},
	{ModeAnnotationSubscribe, "annotation_subscribe"},
	{ModeObjectSubscribe, "object_subscribe"},
	{ModeObjectPublish, "object_publish"},
}

// Modes are those of the flags that are modes.
func (f Flags) Modes() Flags { return f & modes }

// Has reports whether all of the other flags are set.
func (f Flags) Has(other Flags) bool { return f&other == other }

// ParseModes reads a list of modes with commas between them.
func ParseModes(list string) (Flags, *ErrorInfo) {
	var f Flags
next:
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		for _, m := range modeNames {
			if m.name == name {
				f |= m.mode
				continue next
			}
		}
		return 0, Errorf(BadRequest, "unknown channel mode %q", clip(name))
	}
	return f, nil
}

// ModeNames lists the modes of the flags with commas between them.
func (f Flags) ModeNames() string {
	var names []string
	for _, m := range modeNames {
		if f.Has(m.mode) {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ",")
}
