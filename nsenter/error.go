package nsenter

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error is a step of making a sandbox that did not succeed.
type Error struct {
	Step   string        // what was tried: "unshare", "write sysctl", "pin namespace"
	Object string        // on what, in the user's words; empty where the step says it all
	Detail string        // the cause where it is no errno, as `wanted "1", got "0"`
	Errno  syscall.Errno // 0 when there is a Detail
}

// Error is one line, as `write sysctl "net.foo": no such file or directory`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Step)
	if e.Object != "" {
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(e.Object))
	}
	b.WriteString(": ")
	if e.Detail != "" || e.Errno == 0 {
		b.WriteString(e.Detail)
	} else {
		b.WriteString(e.Errno.Error())
	}
	b.WriteString(e.hint())
	return b.String()
}

// Unwrap returns the errno, so that errors.Is finds fs.ErrExist and its like.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// hint explains errnos that do not speak for themselves.
func (e *Error) hint() string {
	switch {
	case e.Step == "unshare" && e.Errno == unix.ENOSPC:
		return " (the limit is in /proc/sys/user/max_" + e.Object + "_namespaces)"
	case e.Step == "unshare" && e.Errno == unix.EINVAL:
		return " (not supported by this kernel)"
	case e.Errno == unix.EXDEV:
		return " (something is mounted over it)"
	}
	return ""
}
