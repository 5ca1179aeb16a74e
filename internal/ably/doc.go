// Package ably has the words of the Ably wire: the messages of the protocol and
// of its REST side, their two encodings, names, serials, error codes, and the
// text of what is signed. It reads and writes bytes that others have brought: it
// does no I/O, keeps no state, and knows neither HTTP nor the hub.
//
// It takes more than it gives. Numbers come in any width, unknown members are
// passed over, null is as good as absent. What it writes has every member at
// most once, in one form, and none that says nothing.
//
// Two kinds of fault are told apart. What cannot be read at all is an error of
// Decode. What can be read and makes no sense, such as a number as the data of a
// message, is kept by the message and told by its Check: so a client hears which
// of its messages was wrong, and its connection goes on.
package ably
