package nsenter

// extern int podrt_slack;
import "C"

import "golang.org/x/sys/unix"

// Of the main thread, which runs all of a program's init functions. What slack.c
// set came by no fork, so that the default is still what it was before.
func init() {
	if C.podrt_slack != 0 {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // 0 is the default; it cannot fail
	}
}
