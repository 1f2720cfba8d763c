package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/podrt/podrt/sandbox"
)

func TestErrorCode(t *testing.T) {
	_, noFile := os.Open(t.TempDir() + "/none")
	badJSON := json.Unmarshal([]byte("{x"), new(int))
	badType := json.Unmarshal([]byte(`"x"`), new(int))
	const start = "exec failed: unable to start container process: error during container init: "
	for _, tt := range []struct {
		err  error
		want string
	}{
		{sandbox.ErrNotExist, "container-not-found"},
		{fmt.Errorf("podrt create failed: %w", sandbox.ErrExist), "container-exists"},
		{sandbox.ErrNotRunning, "container-not-running"},
		{&exitError{255, fmt.Errorf("exec failed: %w", sandbox.ErrPaused)}, "container-paused"},
		{sandbox.ErrRunning, "container-running"},
		{sandbox.ErrNotPaused, "container-not-paused"},
		{fmt.Errorf("pod %q: %w", "a", sandbox.ErrPodNotExist), "pod-not-found"},
		{sandbox.ErrPodExist, "pod-exists"},
		{sandbox.ErrPodRunning, "pod-running"},
		{sandbox.ErrInvalidID, "invalid-id"},
		{errEmptyID, "invalid-id"},
		{noTopic("x"), "invalid-usage"},
		{&usageError{errors.New("x")}, "invalid-usage"},
		{fmt.Errorf("parse: %w", badJSON), "invalid-json"},
		{badType, "invalid-json"},
		{json.NewDecoder(strings.NewReader("{")).Decode(new(int)), "invalid-json"},
		{fmt.Errorf("%w: cpu", errors.ErrUnsupported), "unsupported"},
		{syscall.ENOSYS, "unsupported"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "no-space"},
		{fmt.Errorf("%w: x", sandbox.ErrStillRunning), "timeout"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "permission-denied"},
		{syscall.EPERM, "permission-denied"},
		{noFile, "not-found"},
		{errors.New(start + `exec: "x": executable file not found in $PATH`), "not-found"},
		{errors.New(start + `exec: "/x": stat /x: no such file or directory`), "not-found"},
		{errors.New(start + `exec /bin/x: no such file or directory`), "not-found"},
		{errors.New(start + `exec: "/etc": is a directory`), "not-executable"},
		{errors.New(start + `exec: "/x": permission denied`), "not-executable"},
		{errors.New(start + `exec /x: exec format error`), "not-executable"},
		{errors.New("exec failed: mount: permission denied"), "internal"},
		{errors.New("x"), "internal"},
	} {
		if got := errorCode(tt.err); got != tt.want {
			t.Errorf("errorCode(%v) = %q; want %q", tt.err, got, tt.want)
		}
	}
}
