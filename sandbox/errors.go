package sandbox

import (
	"errors"
	"fmt"

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

// ErrInvalidJSON is of a caller's file that is not JSON, or not of that shape. It
// is wrapped beside what the parser says. Files and pipes of podrt's own that are
// cut short have nothing of it.
var ErrInvalidJSON = errors.New("invalid JSON")

// jsonError is why a file could not be parsed.
type jsonError struct {
	path string // empty where the parser's words are all that is said
	err  error
}

func (e *jsonError) Error() string {
	if e.path == "" {
		return e.err.Error()
	}
	return fmt.Sprintf("parse %q: %v", e.path, e.err)
}
func (e *jsonError) Unwrap() []error { return []error{e.err, ErrInvalidJSON} }

// stateError is an error about a container's state in words that callers know,
// and one of the errors above for programs.
type stateError struct {
	text string
	is   error
}

func (e *stateError) Error() string { return e.text }
func (e *stateError) Unwrap() error { return e.is }
