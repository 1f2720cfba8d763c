package main

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// Codes are the values of "code" in the JSON line that says why podrt failed
// (--log-format json): what kind of failure it is, for programs that would
// otherwise have to match the message. A code once published keeps its name
// and its meaning; new ones may be added, so take an unknown one for
// "internal".
const (
	codeContainerNotFound   = "container-not-found"   // no container has that id
	codeContainerExists     = "container-exists"      // the id is taken
	codeContainerNotRunning = "container-not-running" // it is stopped, or not started yet
	codeContainerRunning    = "container-running"     // it runs, and must not
	codeContainerPaused     = "container-paused"      // it is paused, and must not be
	codeContainerNotPaused  = "container-not-paused"  // resume of one that is not paused
	codePodNotFound         = "pod-not-found"         // no pod has that name or UID
	codePodExists           = "pod-exists"            // the name is taken
	codePodRunning          = "pod-running"           // it has a live container, and must not
	codeInvalidID           = "invalid-id"            // empty, or not [A-Za-z0-9_+.-]+
	codeInvalidUsage        = "invalid-usage"         // no such verb or flag, a wrong number of arguments, or flags that cannot be
	codeInvalidJSON         = "invalid-json"          // a file of the caller's is not JSON, or not of that shape
	codeNotExecutable       = "not-executable"        // the command is there, and cannot be executed
	codeNotFound            = "not-found"             // the command, or another file, is not there
	codePermissionDenied    = "permission-denied"     // the kernel does not let podrt
	codeNoSpace             = "no-space"              // a file system is full
	codeUnsupported         = "unsupported"           // this machine, or podrt, cannot do that
	codeTimeout             = "timeout"               // killed processes do not end
	codeInternal            = "internal"              // all else
)

// errorCode classifies the error that podrt ends with.
func errorCode(err error) string {
	for _, c := range []struct {
		is   error
		code string
	}{
		{sandbox.ErrNotExist, codeContainerNotFound},
		{sandbox.ErrExist, codeContainerExists},
		{sandbox.ErrNotRunning, codeContainerNotRunning},
		{sandbox.ErrRunning, codeContainerRunning},
		{sandbox.ErrPaused, codeContainerPaused},
		{sandbox.ErrNotPaused, codeContainerNotPaused},
		{sandbox.ErrPodNotExist, codePodNotFound},
		{sandbox.ErrPodExist, codePodExists},
		{sandbox.ErrPodRunning, codePodRunning},
		{sandbox.ErrInvalidID, codeInvalidID},
		{errEmptyID, codeInvalidID},
		{sandbox.ErrStillRunning, codeTimeout},
		{sandbox.ErrInvalidJSON, codeInvalidJSON},
		{errors.ErrUnsupported, codeUnsupported},
		{unix.ENOSPC, codeNoSpace},
		{unix.EDQUOT, codeNoSpace},
	} {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	var (
		there *sandbox.MonitorError
		usage *usageError
	)
	switch {
	case errors.As(err, &there) && there.Kind != "":
		return there.Kind
	case errors.As(err, &usage):
		return codeInvalidUsage
	}
	if code := startCode(err.Error()); code != "" {
		return code
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return codePermissionDenied
	case errors.Is(err, fs.ErrNotExist):
		return codeNotFound
	}
	return codeInternal
}

// startCode classifies why a container's process could not be started. That
// failed on the other side of a pipe, through which only the text came; it ends
// with what exec.LookPath or execve(2) says of the command.
func startCode(msg string) string {
	if strings.Contains(msg, "executable file not found in") {
		return codeNotFound
	}
	if !strings.Contains(msg, `: exec: "`) && !strings.Contains(msg, ": exec /") {
		return ""
	}
	for _, r := range []struct{ reason, code string }{
		{"no such file or directory", codeNotFound},
		{"permission denied", codeNotExecutable},
		{"is a directory", codeNotExecutable},
		{"not a directory", codeNotExecutable},
		{"exec format error", codeNotExecutable},
	} {
		if strings.HasSuffix(msg, r.reason) {
			return r.code
		}
	}
	return ""
}
