// Package direct reads from sockets and writes to them without a word to Go's
// scheduler. The scheduler is told of a system call because that may block, which a
// call on a socket of its poller does not. To be told costs little, but has a
// consequence: when a process that had nothing to do makes a call, a thread of the
// runtime begins to look, some 60 times in four milliseconds and then less and less
// often, whether calls take long. For a hub that writes to a thousand clients now and
// then that is a fifth of all its work, on a virtual machine.
//
// That thread has other duties: it lets others run where a goroutine never waits, and
// while a call takes long. So one call in a while is an ordinary one, by which it
// wakes, and so are those that copy much.
//
// The scheduler cannot let others have the processor while a call is under way, nor
// stop for the garbage collector: a short write to TCP takes microseconds. A call that
// blocked would take the processor for ever, so each says itself that it does not
// wait: a program can have a socket block without knowing, by [os.File.Fd] of what
// [net.TCPConn.File] returns.
//
// It is there on Unix, and does what it is for on Linux only, but for 386, where these
// system calls are others. Under the race detector all calls are those of package
// syscall, which the detector follows.
package direct
