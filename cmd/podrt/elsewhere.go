package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// imageCommand and kubeCommand are groups of another program, podrt-kube, which
// links what no start of a container should pay for. It prints their help, and
// completes their lines.
func imageCommand() *command {
	return &command{
		name:      "image",
		usage:     "pull, make, remove and look at images",
		about:     "What images pods can be made of is kept below the library root. pod.json refers to\none by its digest, as \"image\" of a container." + aboutElsewhere + "image --help",
		elsewhere: true,
	}
}

func kubeCommand() *command {
	return &command{
		name:      "kube",
		usage:     "run pods of Kubernetes' manifests",
		about:     "A manifest becomes a pod bundle, which is run as \"podrt pod run\" does." + aboutElsewhere + "kube --help",
		elsewhere: true,
	}
}

// aboutElsewhere is a constant, as every start of podrt makes its table of verbs.
const aboutElsewhere = "\n\nThe commands of this group are those of another program, podrt-kube, which is\nlooked for beside podrt, and where $PODRT_KUBE says. To list them:\n\n    # podrt "

// runElsewhere runs a command of podrt-kube; args begin with c's name. Where that
// program is not installed, its help is what podrt knows.
func (e *env) runElsewhere(c *command, path string, args []string) error {
	err := e.executeElsewhere(args)
	if asked := len(args) == 1 || isHelp(args[1]) || args[1] == "-h" || args[1] == "--help"; asked && errors.Is(err, fs.ErrNotExist) {
		e.groupHelp(c, path)
		return nil
	}
	return err
}

// executeElsewhere has podrt-kube take this process over.
func (e *env) executeElsewhere(args []string) error {
	program, err := sandbox.KubeProgram()
	if err != nil {
		return err
	}
	argv := append([]string{program}, e.givenFlags()...)
	return fmt.Errorf("execute %q: %w", program, unix.Exec(program, append(argv, args...), os.Environ()))
}

// givenFlags are the global flags, with paths that are the same wherever the program
// goes.
func (e *env) givenFlags() []string {
	o := &e.opts
	flags := []string{"--pod-root=" + e.store.RunRoot, "--lib-root=" + e.store.LibRoot, "--log-root=" + e.store.LogRoot}
	if e.rootSet {
		flags = append(flags, "--root="+e.root)
	}
	for _, f := range []struct{ name, value, def string }{
		{"log", o.log, ""},
		{"log-format", o.logFormat, "text"},
		{"log-level", o.logLevel, ""},
		{"cgroup-manager", o.cgroupManager, ""},
		{"rootless", o.rootless, "auto"},
		{"debug", strconv.FormatBool(o.debug), "false"},
		{"systemd-cgroup", strconv.FormatBool(o.systemdCgroup), "false"},
		{"engine-pods", strconv.FormatBool(o.enginePods), "true"},
	} {
		if f.value != f.def {
			flags = append(flags, "--"+f.name+"="+f.value)
		}
	}
	return flags
}

// elsewhere returns the words of a command line, which are completed, from a verb of
// podrt-kube on; nil if it has none.
func (e *env) elsewhere(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	l := completionLine{flags: newFlags(), before: words[:len(words)-1]}
	e.globalFlags(l.flags)
	_, _ = l.flags.parse(nil, true)
	if _, done := l.walk("", true, e.words); done || len(l.args) == 0 {
		return nil
	}
	if c := find(verbs(), l.args[0]); c == nil || !c.elsewhere {
		return nil
	}
	_ = e.setupRoots()
	return append(l.args, words[len(words)-1])
}
