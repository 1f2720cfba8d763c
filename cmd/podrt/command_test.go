package main

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/sandbox"
)

// execute runs a command line in this process, without the exit.
func execute(t *testing.T, argv ...string) (stdout string, err error) {
	t.Helper()
	e := newEnv(argv)
	var out bytes.Buffer
	e.stdout = &out
	err = e.execute(argv[1:])
	return out.String(), err
}

func TestArgumentCount(t *testing.T) {
	for _, tt := range []struct {
		line []string
		want string
	}{
		{[]string{"create"}, `"create" requires exactly 1 argument(s)`},
		{[]string{"create", "a", "b"}, `"create" requires exactly 1 argument(s)`},
		{[]string{"run"}, `"run" requires exactly 1 argument(s)`},
		{[]string{"start"}, `"start" requires exactly 1 argument(s)`},
		{[]string{"state"}, `"state" requires exactly 1 argument(s)`},
		{[]string{"delete"}, `"delete" requires exactly 1 argument(s)`},
		{[]string{"kill"}, `"kill" requires a minimum of 1 argument(s)`},
		{[]string{"kill", "a", "b", "c"}, `"kill" requires a maximum of 2 argument(s)`},
		{[]string{"list", "a"}, `"list" requires exactly 0 argument(s)`},
		{[]string{"exec"}, `"exec" requires a minimum of 1 argument(s)`},
		{[]string{"ps"}, `"ps" requires a minimum of 1 argument(s)`},
		{[]string{"features", "a"}, `"features" requires exactly 0 argument(s)`},
		{[]string{"update"}, `"update" requires exactly 1 argument(s)`},
	} {
		out, err := execute(t, append([]string{"podrt"}, tt.line...)...)
		want := os.Args[0] + ": " + tt.want
		if err == nil || err.Error() != want {
			t.Errorf("%q: error %v; want %s", tt.line, err, want)
		}
		if !strings.HasPrefix(out, "Incorrect Usage.\n\nNAME:\n   podrt "+tt.line[0]+" - ") {
			t.Errorf("%q prints %q; want the help of %s", tt.line, out, tt.line[0])
		}
	}
}

func TestBadUsage(t *testing.T) {
	for _, tt := range []struct {
		line   []string
		err    string
		stdout string // how it begins
		status int
	}{
		{[]string{"--nope"}, "flag provided but not defined: -nope", "Incorrect Usage. flag provided but not defined: -nope\n\nNAME:\n   podrt - ", 1},
		{[]string{"create", "--nope"}, "flag provided but not defined: -nope", "Incorrect Usage: flag provided but not defined: -nope\n\nNAME:\n   podrt create - ", 1},
		{[]string{"foo"}, "No help topic for 'foo'", "", 3},
		{[]string{"foo", "-h"}, "No help topic for 'foo'", "", 3},
		{[]string{"help", "foo"}, "No help topic for 'foo'", "", 3},
		{[]string{"pod", "foo"}, "No help topic for 'foo'", "", 3},
		{[]string{"--root", "/", "list"}, "Option --root argument should not be set to /", "", 1},
		{[]string{"--root", "/tmp/..", "list"}, "Option --root argument should not be set to /", "", 1},
		{[]string{"--log-format", "xml", "list"}, "invalid log-format: xml", "", 1},
		{[]string{"--cgroup-manager", "x", "list"}, `--cgroup-manager "x": must be "cgroupfs", "systemd" or "disabled"`, "", 1},
		{[]string{"--cgroup-manager=disabled", "--systemd-cgroup", "list"}, `--cgroup-manager "disabled" and --systemd-cgroup contradict each other`, "", 1},
		{[]string{"delete", ""}, "container id cannot be empty", "", 1},
		{[]string{"state", ""}, "container id cannot be empty", "", 1},
	} {
		out, err := execute(t, append([]string{"podrt"}, tt.line...)...)
		if err == nil || err.Error() != tt.err {
			t.Errorf("%q: error %v; want %s", tt.line, err, tt.err)
		}
		if !strings.HasPrefix(out, tt.stdout) || tt.stdout == "" && out != "" {
			t.Errorf("%q prints %q; want %q first", tt.line, out, tt.stdout)
		}
		status := 1
		var exit *exitError
		if errors.As(err, &exit) {
			status = exit.status
		}
		if status != tt.status {
			t.Errorf("%q: exit status %d; want %d", tt.line, status, tt.status)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, c := range verbs() {
		if c.sub != nil {
			continue
		}
		for _, line := range [][]string{{c.name, "-h"}, {c.name, "--help"}, {"help", c.name}, {"h", c.name}} {
			out, err := execute(t, append([]string{"podrt"}, line...)...)
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
			if !strings.HasPrefix(out, "NAME:\n   podrt "+c.name+" - "+c.usage+"\n\nUSAGE:\n   podrt "+c.name) {
				t.Errorf("%q prints %q", line, out)
			}
		}
	}
	for _, line := range [][]string{{}, {"-h"}, {"--help"}, {"help"}} {
		out, err := execute(t, append([]string{"runc"}, line...)...)
		if err != nil || !strings.HasPrefix(out, "NAME:\n   runc - Open Container Initiative runtime\n") {
			t.Errorf("runc %q: %v, %q", line, err, out)
		}
		for _, c := range verbs() {
			if !strings.Contains(out, "\n   "+c.name+" ") && !c.hidden {
				t.Errorf("help of runc has no %q", c.name)
			}
		}
	}
	out, err := execute(t, "podrt", "pod")
	if err != nil || !strings.HasPrefix(out, "NAME:\n   podrt pod - ") {
		t.Errorf("podrt pod: %v, %q", err, out)
	}
}

func TestVersion(t *testing.T) {
	// Callers take what follows "runc version " for a version, and each line
	// with that word for another one.
	for prog, want := range map[string]string{
		"/usr/bin/podrt": `^podrt version ` + regexp.QuoteMeta(version) + `\ncommit: \S+\nspec: \d+\.\d+\.\d+\ngo: go\S+\n`,
		"/x/runc":        `^runc version ` + regexp.QuoteMeta(sandbox.RuncVersion) + `\+podrt\.\S+\ncommit: \S+\nspec: \d+\.\d+\.\d+\ngo: go\S+\n`,
	} {
		for _, arg := range []string{"-v", "--version"} {
			out, err := execute(t, prog, arg)
			if err != nil || !regexp.MustCompile(want).MatchString(out) || strings.Count(out, "version") != 1 {
				t.Errorf("%s %s: %v, %q; want %s", prog, arg, err, out, want)
			}
		}
	}
}

func TestVerbsInOrder(t *testing.T) {
	var names []string
	for _, c := range verbs() {
		names = append(names, c.name)
	}
	if !slices.IsSorted(names) {
		t.Errorf("verbs are not sorted: %q", names)
	}
}
