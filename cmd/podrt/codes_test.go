package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

func TestErrorCode(t *testing.T) {
	_, noFile := os.Open(t.TempDir() + "/none")
	badJSON := json.Unmarshal([]byte("{x"), new(int))
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
		{fmt.Errorf("parse: %w", badJSON), "internal"}, // of nobody knows which file
		{io.ErrUnexpectedEOF, "internal"},
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

// TestErrorCodeOfFiles: what is wrong with a file of the caller's is for the
// caller to mend, and with one of podrt's own it is not.
func TestErrorCodeOfFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		load func(dir string) error
		code map[string]string // of what the file holds
	}{
		{"config.json", func(dir string) error { _, err := sandbox.LoadSpec(dir, ""); return err }, map[string]string{
			"": "invalid-json", "{": "invalid-json", "[]": "invalid-json", `{"hostname": 1}`: "invalid-json", "{}": "internal",
		}},
		{"process.json", func(dir string) error { _, err := sandbox.LoadProcess(dir + "/process.json"); return err }, map[string]string{
			"": "invalid-json", `{"cwd": "/`: "invalid-json", `{"cwd": 1}`: "invalid-json", "{}": "internal",
		}},
		{"resources.json", func(dir string) error { return readResources(dir+"/resources.json", new(specs.LinuxResources)) }, map[string]string{
			"": "invalid-json", `{"memory":`: "invalid-json", `{"memory": {"limit": "x"}}`: "invalid-json",
		}},
		{"pod.json", func(dir string) error { _, err := sandbox.LoadPodBundle(dir); return err }, map[string]string{
			"": "invalid-json", "{": "invalid-json", `{"podVersion": 1}`: "invalid-json", `{"podVersion": "0.1.0", "nope": 1}`: "invalid-json",
			`{"podVersion": "0.1.0", "metadata": {"name": "/"}, "containers": [{"name": "a"}]}`: "internal",
		}},
		{"c1/state.json", func(dir string) error { _, err := sandbox.LoadContainer(dir, "c1"); return err }, map[string]string{
			"": "internal", "{": "internal", `{"id": 1}`: "internal",
		}},
	} {
		for text, want := range tt.code {
			dir := t.TempDir()
			file := filepath.Join(dir, tt.name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.load(dir); err == nil || errorCode(err) != want {
				t.Errorf("%s that holds %q: %v, code %q; want code %q", tt.name, text, err, errorCode(err), want)
			}
		}
	}
}
