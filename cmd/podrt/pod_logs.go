package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/podrt/podrt/sandbox"
)

func podLogsCommand() *command {
	var follow bool
	lines := -1
	return &command{
		name:  "logs",
		usage: "show what the containers of a pod have written in the background",
		args: `<pod> [<container>...]

Where "<container>" is the container's name in pod.json; all, if none is given. Of
several containers each line stands behind its container's name, and unless they
are followed one container comes after the other. A container that was started
again goes on in its log. Output of a foreground "pod run" is not kept.`,
		flags: func(f *flags) {
			f.Bool(&follow, "follow, f", "wait for more, as long as a process waits for the pod's containers")
			f.Func(func(s string) error { return parseLines(s, &lines) }, "tail, n", "no more than the last `LINES` of each container; -1 for all, the default")
		},
		min: 1, max: -1,
		run: func(e *env, args []string) error {
			p, err := e.store.Pod(args[0])
			if err != nil {
				return err
			}
			names := args[1:]
			if len(names) == 0 {
				for _, c := range p.Spec().Own() {
					names = append(names, c.Name)
				}
			}
			for i, name := range names {
				if slices.Contains(names[:i], name) {
					return fmt.Errorf("container %q is given twice", name)
				}
			}
			return e.podLogs(p, names, lines, follow)
		},
	}
}

// podLogs prints the logs of containers.
func (e *env) podLogs(p *sandbox.Pod, names []string, lines int, follow bool) error {
	if len(names) == 0 {
		return fmt.Errorf("pod %q has no container in its bundle: who adds one has its output", p.Name())
	}
	logs := make([]*sandbox.Log, 0, len(names))
	closeLogs := func() {
		for _, l := range logs {
			_ = l.Close()
		}
	}
	defer closeLogs()
	for _, name := range names {
		l, err := p.OpenLog(name, lines, follow)
		if err != nil {
			return err
		}
		logs = append(logs, l)
	}
	if len(logs) == 1 {
		_, err := io.Copy(e.stdout, logs[0])
		return err
	}
	outlivePipes()
	out := newOutputMux(names, closeLogs)
	for i, l := range logs {
		out.add(names[i], l)
		if !follow {
			out.wg.Wait()
		}
	}
	return out.wait()
}

// parseLines reads a number of lines, -1 for all of them.
func parseLines(v string, p *int) error {
	if v == "-1" {
		*p = -1
		return nil
	}
	if parseSeconds(v, p) != nil {
		return errors.New("not a number of lines from 0 on, or -1")
	}
	return nil
}
