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
