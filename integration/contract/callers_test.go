package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"
)

// What callers do with a runtime's output, as their sources have it.

// lastRuntimeError is the containerd shim's getLastRuntimeError: the last
// record of log.json with level "error"; a line that is no such record fails
// it.
func lastRuntimeError(log []byte) (string, error) {
	var (
		msg  string
		last struct {
			Level string
			Msg   string
			Time  time.Time
		}
	)
	for dec := json.NewDecoder(bytes.NewReader(log)); ; {
		if err := dec.Decode(&last); errors.Is(err, io.EOF) {
			return msg, nil
		} else if err != nil {
			return "", err
		}
		if last.Level == "error" {
			msg = strings.TrimSpace(last.Msg)
		}
	}
}

// containerState is go-runc's Container, the type of `state` and `list`.
type containerState struct {
	ID          string            `json:"id"`
	Pid         int               `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"`
}

// goRuncVersion is go-runc's parseVersion.
func goRuncVersion(out string) (runc, commit, spec string) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if !strings.HasPrefix(lines[0], "runc version ") {
		return "", "", ""
	}
	runc = lines[0][len("runc version "):]
	for _, l := range lines[1:] {
		if v, ok := strings.CutPrefix(l, "commit: "); ok {
			commit = v
		} else if v, ok := strings.CutPrefix(l, "spec: "); ok {
			spec = v
		}
	}
	return runc, commit, spec
}

// dockerVersion is moby's parseRuntimeVersion: each line with the word version
// overrides those before.
func dockerVersion(out string) (runtime, version, commit string) {
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		if strings.Contains(line, "version") {
			s := strings.Split(line, "version")
			runtime, version = strings.TrimSpace(s[0]), strings.TrimSpace(s[len(s)-1])
		} else if strings.HasPrefix(line, "commit:") {
			commit = strings.TrimSpace(strings.TrimPrefix(line, "commit:"))
		}
	}
	return runtime, version, commit
}

// dockerExitCode is moby's setExitCodeFromError, by the text.
func dockerExitCode(msg string) int {
	msg = strings.ToLower(msg)
	has := func(s string) bool { return strings.Contains(msg, s) }
	switch {
	case has("permission denied"), has("is a directory"):
		return 126
	case has("not a directory"), has("executable file not found"), has("no such file or directory"):
		return 127
	}
	return 128
}

var (
	podmanPermission = regexp.MustCompile(`(?i).*permission denied.*|.*operation not permitted.*`)
	podmanNotFound   = regexp.MustCompile(`(?i).*executable file not found in.*|.*no such file or directory.*|.*open executable.*`)
)

// podmanExitCode is podman's: readConmonPipeData takes the whole oci-log for
// one JSON object, getOCIRuntimeError its message by regular expressions.
func podmanExitCode(ociLog string) (int, error) {
	var e struct{ Level, Time, Msg string }
	if err := json.Unmarshal([]byte(ociLog), &e); err != nil {
		return 0, err
	}
	switch {
	case podmanPermission.MatchString(e.Msg):
		return 126, nil
	case podmanNotFound.MatchString(e.Msg):
		return 127, nil
	}
	return 125, nil
}

// notFound is whether a caller takes the text for the absence of a process.
func notFound(caller, text string) bool {
	lower := strings.ToLower(text)
	for _, s := range map[string][]string{
		"containerd": {"os: process already finished", "container not running", "no such process"},
		"CRI-O":      {"no such process", "container not running", "invalid process"},
		"BuildKit":   {"container not running", "container does not exist", "no such process"},
	}[caller] {
		if strings.Contains(lower, s) {
			return true
		}
	}
	return false
}
