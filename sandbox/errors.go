package sandbox

import (
	"github.com/opencontainers/runc/libcontainer"
)

// Errors about containers that callers act on. Their text is libcontainer's:
// engines match it.
var (
	ErrExist      = libcontainer.ErrExist
	ErrInvalidID  = libcontainer.ErrInvalidID
	ErrNotExist   = libcontainer.ErrNotExist
	ErrPaused     = libcontainer.ErrPaused
	ErrRunning    = libcontainer.ErrRunning
	ErrNotRunning = libcontainer.ErrNotRunning
	ErrNotPaused  = libcontainer.ErrNotPaused
)

// stateError is an error about a container's state in words that callers know,
// and one of the errors above for programs.
type stateError struct {
	text string
	is   error
}

func (e *stateError) Error() string { return e.text }
func (e *stateError) Unwrap() error { return e.is }
