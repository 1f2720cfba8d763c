package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// session is the calls of one row to one side, and what came of them.
type session struct {
	*testing.T
	side
	w                              *world
	dir, root, bundle, log, cgroup string
	global                         []string // before the verb
	env                            []string // besides PATH
	record                         strings.Builder
	files                          int  // made by process
	skipped                        bool // nothing to compare
}

// result is what one call came to.
type result struct {
	stdout, stderr string
	code           int
	log            string // what the call added to the log
}

func (s *session) Errorf(format string, args ...any) {
	s.Helper()
	s.T.Errorf("%s: "+format, append([]any{s.name}, args...)...)
}

func (s *session) Fatalf(format string, args ...any) {
	s.Helper()
	s.T.Fatalf("%s: "+format, append([]any{s.name}, args...)...)
}

func (s *session) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%v", err)
	}
}

// path is a file of this session.
func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

func (s *session) write(name, content string) string {
	s.Helper()
	s.must(os.WriteFile(s.path(name), []byte(content), 0o644))
	return s.path(name)
}

// configure writes config.json: the shell script, in a root file system that
// all share, and what else change says.
func (s *session) configure(script string, change ...func(*specs.Spec)) {
	s.Helper()
	var spec specs.Spec
	s.must(json.Unmarshal(s.w.config, &spec))
	spec.Process.Terminal = false
	spec.Process.Args = []string{"sh", "-c", script}
	spec.Root.Path = s.w.rootfs
	spec.Linux.CgroupsPath = s.cgroup
	for _, c := range change {
		c(&spec)
	}
	b, err := json.Marshal(&spec)
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.bundle, "config.json"), b, 0o644))
}

func withoutNamespace(typ specs.LinuxNamespaceType) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == typ })
	}
}

func withTerminal(s *specs.Spec) { s.Process.Terminal = true }

// command is a call with this session's global flags.
func (s *session) command(args ...string) *exec.Cmd {
	return s.bare(append(slices.Clone(s.global), args...)...)
}

// bare is a call without global flags.
func (s *session) bare(args ...string) *exec.Cmd {
	cmd := exec.Command(s.bin, args...)
	cmd.Dir = s.bundle
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, s.env...)
	return cmd
}

// run runs a command to its end, unrecorded. Output goes to files: a detached
// container keeps them open.
func (s *session) run(cmd *exec.Cmd) result {
	s.Helper()
	before, _ := os.ReadFile(s.log)
	var files [2]*os.File
	for i := range files {
		f, err := os.CreateTemp(s.dir, "output")
		s.must(err)
		defer os.Remove(f.Name())
		defer f.Close()
		files[i] = f
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.Fatalf("%q: %v", cmd.Args, err)
	}
	r := result{code: cmd.ProcessState.ExitCode()}
	for i, to := range []*string{&r.stdout, &r.stderr} {
		b, err := os.ReadFile(files[i].Name())
		s.must(err)
		*to = string(b)
	}
	after, _ := os.ReadFile(s.log)
	r.log = string(bytes.TrimPrefix(after, before))
	return r
}

// do runs a command and records what came of it.
func (s *session) do(cmd *exec.Cmd) result {
	s.Helper()
	r := s.run(cmd)
	s.checkRules(cmd.Args, r)
	s.fact("call", strings.Join(cmd.Args[1:], " "))
	s.fact("exit code", r.code)
	s.fact("standard output", r.stdout)
	s.fact("standard error", r.stderr)
	s.fact("log", s.normalLog(r.log))
	return r
}

// fact records something that must be the same on all sides.
func (s *session) fact(what string, value any) {
	text := s.normal(fmt.Sprint(value))
	if text == "" {
		return
	}
	if strings.Contains(text, "\n") {
		text = "\n    " + strings.ReplaceAll(text, "\n", "\n    ")
	}
	fmt.Fprintf(&s.record, "%s: %s\n", what, text)
}

// checkRules holds every call of podrt to what the reference page says of all:
// nothing on standard error or in the log on success; exactly one JSON error
// line on failure, and the same message on standard error.
func (s *session) checkRules(argv []string, r result) {
	s.Helper()
	if !s.podrt || !slices.Contains(argv, s.log) || !slices.Contains(argv, "json") || slices.Contains(argv, "--debug") {
		return
	}
	if r.log == "" { // a success, or the exit code of a container's process
		return
	}
	var line struct{ Level, Msg, Time, Code string }
	if err := json.Unmarshal([]byte(r.log), &line); err != nil || strings.Count(r.log, "\n") != 1 {
		s.Errorf("%q: the log is %q; want one JSON object on a line", argv, r.log)
		return
	}
	if _, err := time.Parse(time.RFC3339, line.Time); err != nil || line.Level != "error" || line.Code == "" {
		s.Errorf("%q: the log is %q; want level error, a code and a time as in RFC 3339", argv, r.log)
	}
	if r.code == 0 || r.stderr != line.Msg+"\n" {
		s.Errorf("%q: exit code %d, standard error %q; want a failure with %q", argv, r.code, r.stderr, line.Msg)
	}
}

// call runs a verb; ok wants it to succeed in silence.
func (s *session) call(args ...string) result {
	s.Helper()
	return s.do(s.command(args...))
}

func (s *session) ok(args ...string) string {
	s.Helper()
	return s.silent(s.command(args...))
}

func (s *session) silent(cmd *exec.Cmd) string {
	s.Helper()
	r := s.do(cmd)
	if r.code != 0 || r.stderr != "" || r.log != "" {
		s.Fatalf("%q: %+v; want exit code 0, nothing on standard error and in the log", cmd.Args, r)
	}
	return r.stdout
}

// fails wants a verb to fail with the message, as callers find it.
func (s *session) fails(code int, message string, args ...string) {
	s.Helper()
	s.wantFailure(s.call(args...), code, message, args...)
}

func (s *session) wantFailure(r result, code int, message string, args ...string) {
	s.Helper()
	got, err := lastRuntimeError([]byte(r.log))
	got = s.normal(got)
	if err != nil || got != message || r.code != code {
		s.Errorf("%q: exit code %d, error %q (%v); want %d, %q", args, r.code, got, err, code, message)
	}
}

// quiet runs a verb, unrecorded: it may be repeated.
func (s *session) quiet(args ...string) result {
	s.Helper()
	return s.run(s.command(args...))
}

// status is what state says of the container c1; "" if it fails.
func (s *session) status() string {
	s.Helper()
	var c containerState
	if r := s.quiet("state", "c1"); r.code == 0 {
		s.must(json.Unmarshal([]byte(r.stdout), &c))
	}
	return c.Status
}

func (s *session) pid() int {
	s.Helper()
	var c containerState
	r := s.quiet("state", "c1")
	s.must(json.Unmarshal([]byte(r.stdout), &c))
	return c.Pid
}

// await looks until cond holds.
func (s *session) await(what string, cond func() bool) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within a minute", what)
		}
	}
}

func (s *session) awaitStatus(status string) {
	s.Helper()
	s.await("c1 "+status, func() bool { return s.status() == status })
}

// exists records whether a file is there.
func (s *session) exists(path string) bool {
	_, err := os.Lstat(path)
	s.fact("exists "+s.normal(path), err == nil)
	return err == nil
}

func (s *session) cgroupDir() string { return "/sys/fs/cgroup" + s.cgroup }

// end fails the row if a container is left.
func (s *session) end() {
	entries, _ := os.ReadDir(s.root)
	for _, e := range entries {
		s.Errorf("state of container %q is left", e.Name())
		s.quiet("delete", "--force", e.Name())
	}
	if _, err := os.Stat(s.cgroupDir()); err == nil && len(entries) == 0 {
		s.Errorf("cgroup %s is left", s.cgroup)
	}
}
