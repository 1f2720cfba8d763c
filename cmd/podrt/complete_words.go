package main

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// words are the values of the flag with that long name, which means the same
// with every verb that has it.
func (e *env) words(flag string) completions {
	switch flag {
	case "bundle", "root", "pod-root", "lib-root", "log-root", "image-path", "work-path", "parent-path":
		return completions{paths: directories}
	case "log", "config", "pid-file", "process", "resources", "console-socket", "pidfd-socket":
		return completions{paths: files}
	case "format":
		return of("table json")
	case "log-format":
		return of("text json")
	case "log-level":
		return of("error warning info debug")
	case "rootless":
		return of("true false auto")
	case "cgroup-manager":
		return of("cgroupfs systemd disabled")
	case "manage-cgroups-mode":
		return of("soft full strict ignore")
	case "empty-ns":
		return of("network")
	case "cpu-idle":
		return of("0 1")
	case "lsm-profile":
		return of("apparmor: selinux:")
	case "signal":
		return signalNames()
	case "cap":
		return of(strings.Join(sandbox.Features("", "").Linux.Capabilities, " "))
	case "pod":
		return e.pods()
	case "network":
		c := of("none host bridge")
		c.words = append(c.words, e.networks().words...)
		for _, p := range e.pods().words {
			c.words = append(c.words, candidate{"container:" + p.text, "the network of this pod"})
		}
		return c
	case "host":
		return of("ipc pid uts")
	case "share":
		return of("net,ipc,uts net,ipc,uts,pid none")
	}
	return completions{}
}

// argument are the words for the argument that comes after args: what the
// verb's synopsis calls it says what it is.
func (e *env) argument(c *command, args []string) completions {
	line, _, _ := strings.Cut(c.args, "\n")
	line, _, _ = strings.Cut(line, " || ")
	synopsis := strings.Fields(line)
	i := len(args)
	if c.max < 0 && i >= len(synopsis) && len(synopsis) > 0 && strings.HasSuffix(line, "...]") {
		i = len(synopsis) - 1
	}
	if i >= len(synopsis) {
		return completions{}
	}
	switch what := strings.Trim(synopsis[i], "[]<>."); what {
	case "container-id":
		if c.name != "create" && c.name != "run" && c.name != "restore" { // a new one
			return e.containers().without(args)
		}
	case "signal":
		return signalNames()
	case "pod":
		return e.pods().without(args)
	case "network":
		if c.name != "create" {
			return e.networks().without(args)
		}
	case "container":
		return e.members(args[0])
	case "bundle", "directory":
		return completions{paths: directories}
	default:
		if strings.Contains(what, "|") {
			return of(strings.ReplaceAll(what, "|", " "))
		}
	}
	return completions{}
}

// without leaves out what is given already.
func (c completions) without(args []string) completions {
	given := make(map[string]bool, len(args))
	for _, a := range args {
		given[a] = true
	}
	kept := completions{}
	for _, w := range c.words {
		if !given[w.text] {
			kept.words = append(kept.words, w)
		}
	}
	return kept
}

// containers are the ids below the state root. What cannot be read is left out:
// who completes a line has no place for errors.
func (e *env) containers() (c completions) {
	states, _, _ := sandbox.ListContainers(e.root)
	for _, s := range states {
		c.words = append(c.words, candidate{s.ID, string(s.Status)})
	}
	return c
}

func (e *env) pods() (c completions) {
	pods, _ := e.store.Pods()
	for _, p := range pods {
		c.words = append(c.words, candidate{p.Name(), p.UID()})
	}
	return c
}

// networks are the names of podrt's own: CNI's would take another program.
func (e *env) networks() (c completions) {
	for _, n := range e.store.OwnNetworks() {
		c.words = append(c.words, candidate{n.Name, strings.Join(n.SubnetList(), ",")})
	}
	return c
}

// members are the names of a pod's containers.
func (e *env) members(pod string) (c completions) {
	p, err := e.store.Pod(pod)
	if err != nil {
		return c
	}
	st, err := p.Status()
	if err != nil {
		return c
	}
	for _, m := range st.Containers {
		c.words = append(c.words, candidate{m.Name, m.Status})
	}
	return c
}

// signalNames are the names of signal(7) without the real-time ones.
func signalNames() completions {
	c := completions{}
	for sig := unix.Signal(1); sig < 32; sig++ {
		if name := unix.SignalName(sig); name != "" {
			c.words = append(c.words, candidate{strings.TrimPrefix(name, "SIG"), sig.String()})
		}
	}
	return c
}
