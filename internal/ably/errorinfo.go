package ably

import (
	"errors"
	"fmt"
)

// An ErrorInfo is an error as clients get it. Its Message is for the client: it
// never has a credential in it, nor what only the operator should know.
type ErrorInfo struct {
	// Code says what went wrong.
	Code Code
	// Status is the HTTP status.
	Status int
	// Message says it in words.
	Message string
}

// Err returns the error of a code in its own words.
func Err(c Code) *ErrorInfo {
	e := c.entry()
	return &ErrorInfo{Code: c, Status: e.status, Message: e.text}
}

// Errorf returns the error of a code, in the code's words and those given.
func Errorf(c Code, format string, args ...any) *ErrorInfo {
	e := Err(c)
	e.Message += ": " + fmt.Sprintf(format, args...)
	return e
}

// Explained returns the error with an explain id at the end of its Message: clients
// show and log that, and the operator can look the id up. Where there is none, "",
// it is the same.
func (i *ErrorInfo) Explained(id string) *ErrorInfo {
	if id == "" {
		return i
	}
	e := *i
	e.Message += "; explain id " + id
	return &e
}

// Error gives the code and the message.
func (i *ErrorInfo) Error() string { return fmt.Sprintf("%s (%d)", i.Message, i.Code) }

// ErrorOf returns err as the ErrorInfo that it is or wraps. What nobody has
// made one of is an internal error, whose words stay with the operator.
func ErrorOf(err error) *ErrorInfo {
	if i, ok := errors.AsType[*ErrorInfo](err); ok {
		return i
	}
	return Err(Internal)
}

func (i *ErrorInfo) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "code":
			i.Code = Code(d.integer())
		case "statusCode":
			i.Status = int(d.integer())
		case "message":
			i.Message = d.text()
		default:
			d.skip()
		}
	}
}

func (i *ErrorInfo) encode(e *encoder) {
	e.begin()
	e.text("message", i.Message)
	e.integer("code", int64(i.Code))
	e.integer("statusCode", int64(i.Status))
	e.end()
}

// A Failure is an ErrorInfo as REST answers with it: in an object.
type Failure struct{ ErrorInfo }

func (f *Failure) decode(d *decoder) {
	for name := range d.members {
		if string(name) == "error" {
			f.ErrorInfo.decode(d)
		} else {
			d.skip()
		}
	}
}

func (f *Failure) encode(e *encoder) {
	e.begin()
	e.name("error")
	f.ErrorInfo.encode(e)
	e.end()
}
