package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cases lists all of them, in the order in which they are run.
func cases() []testCase {
	list := []testCase{
		{name: "start", about: "start of the program: --version", setup: startCase},
		{name: "run", about: "run /bin/true, namespaces of its own", setup: runCase},
		{name: "run-pod", about: "run /bin/true in a pinned pod", setup: runPodCase},
		{name: "run-seccomp", about: "run /bin/true under the usual seccomp profile", setup: runSeccompCase},
		{name: "lifecycle", about: "create, start, kill and delete a container", setup: lifecycleCase},
		{name: "delete-force", about: "delete --force a running container", setup: deleteForceCase},
		{name: "exec", about: "exec /bin/true in a running container", setup: execCase},
		{name: "state", about: "state of a running container", setup: stateCase},
		{name: "list-1000", about: "list 1000 containers", setup: listCase},
		{name: "enter", about: "a process into a new cgroup, the kernel's part alone", setup: enterCase},
		{name: "sandbox", about: "a pod without containers, up and down", setup: sandboxCase},
	}
	for _, n := range []int{1, 2, 5, 10, 20} {
		list = append(list, podCase(n))
	}
	return append(list, networkCase("network", true), networkCase("network-1", false), podmanCase())
}

func startCase(l *lab) (stage, error) {
	var st stage
	for _, t := range l.tools {
		st.subjects = append(st.subjects, l.single(t.Name, func() command { return command{t.Path, []string{"--version"}, t.env} }))
	}
	st.subjects = append(st.subjects, l.single(floorProcess, func() command { return l.floorCommand("start") }))
	return st, nil
}

// The two ways in which the floor has a process enter a cgroup.
const (
	enterByClone = "clone3 with CLONE_INTO_CGROUP"
	enterByWrite = "write to cgroup.procs"
)

// enterCase is what ../../docs/upstream-clone-into-cgroup.md is about.
func enterCase(l *lab) (st stage, err error) {
	for name, how := range map[string]string{enterByClone: "clone", enterByWrite: "write"} {
		st.subjects = append(st.subjects, subject{name, func() ([]lap, error) {
			_, work, err := l.floor("enter", how, filepath.Join(cgroupRoot, l.cgroup, "enter"))
			return []lap{{usage: work}}, err
		}})
	}
	slices.SortFunc(st.subjects, func(a, b subject) int { return strings.Compare(a.name, b.name) })
	return st, nil
}

// floorRun is the floor's way of a container that runs /bin/true.
func (l *lab) floorRun(name, nsDir string, filter int) subject {
	return subject{floorProcess, func() ([]lap, error) {
		process, work, err := l.floor("run", l.rootfs(), filepath.Join(cgroupRoot, l.cgroup, name), nsDir, fmt.Sprint(filter), "/bin/true")
		return floorLaps("", process, work), err
	}}
}

func runCase(l *lab) (stage, error) {
	dir, err := l.writeBundle("run", l.spec("run", "/bin/true"))
	if err != nil {
		return stage{}, err
	}
	return stage{subjects: append(l.runs(dir), l.floorRun("run", "-", 0))}, nil
}

// runs has every runtime run the bundle.
func (l *lab) runs(dir string) (subjects []subject) {
	for _, t := range l.tools {
		subjects = append(subjects, l.single(t.Name, func() command { return t.do("run", "--bundle", dir, l.newID()) }))
	}
	return subjects
}

// filterLength is about what libseccomp makes of the profile.
const filterLength = 1000

func runSeccompCase(l *lab) (stage, error) {
	s := l.spec("seccomp", "/bin/true")
	profile, err := seccompProfile()
	if err != nil {
		return stage{}, err
	}
	s.Linux.Seccomp = profile
	dir, err := l.writeBundle("seccomp", s)
	if err != nil {
		return stage{}, err
	}
	return stage{subjects: append(l.runs(dir), l.floorRun("seccomp", "-", filterLength))}, nil
}

// runPodCase runs a container in a pod that stands: podrt in a pod of its own,
// the others in the floor's pins and below its cgroup.
func runPodCase(l *lab) (st stage, err error) {
	var undo []func() error
	st.done = func() error {
		var errs []error
		for _, f := range undo {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	sb := l.sandbox("run-pod")
	if err := l.up(sb); err != nil {
		return st, err
	}
	undo = append(undo, func() error { return l.down(sb) })
	s := l.spec("run-pod/c", "/bin/true")
	join(s, sb.nsDir)
	peer, err := l.writeBundle("run-pod", s)
	if err != nil {
		return st, err
	}
	s = l.spec("", "/bin/true")
	s.Linux.CgroupsPath = "" // below the pod's
	own, err := l.writeBundle("run-pod-podrt", s)
	if err != nil {
		return st, err
	}
	for _, t := range l.podrts() {
		if _, err := l.inTurn(t.do("pod", "create", "stage")); err != nil {
			return st, err
		}
		undo = append(undo, func() error { _, err := l.inTurn(t.do("pod", "rm", "stage")); return err })
		st.subjects = append(st.subjects, l.single(t.Name, func() command { return t.do("run", "--pod", "stage", "--bundle", own, l.newID()) }))
	}
	for _, t := range l.peers() {
		st.subjects = append(st.subjects, l.single(t.Name, func() command { return t.do("run", "--bundle", peer, l.newID()) }))
	}
	st.subjects = append(st.subjects, l.floorRun("run-pod/c", sb.nsDir, 0))
	return st, nil
}

// lifecycleCase is a container's life in an engine's four calls.
func lifecycleCase(l *lab) (stage, error) {
	dir, err := l.writeBundle("lifecycle", l.spec("lifecycle", forever...))
	if err != nil {
		return stage{}, err
	}
	var st stage
	for _, t := range l.tools {
		st.subjects = append(st.subjects, subject{t.Name, func() ([]lap, error) {
			id := l.newID()
			pidFile := filepath.Join(l.dir, "pid")
			var laps []lap
			var all usage
			step := func(metric string, args ...string) error {
				u, err := l.inTurn(t.do(args...))
				laps = append(laps, lap{metric: metric, usage: u})
				all.add(u)
				return err
			}
			if err := step("create", "create", "--bundle", dir, "--pid-file", pidFile, id); err != nil {
				return nil, err
			}
			init, err := pidfd(pidFile)
			if err != nil {
				return nil, err
			}
			err = errors.Join(step("start", "start", id), step("kill", "kill", id, "KILL"))
			if err := errors.Join(err, awaitEnd(init)); err != nil {
				return nil, err
			}
			err = step("delete", "delete", id)
			return append(laps, lap{metric: "all four", usage: all}), err
		}})
	}
	return st, nil
}

func deleteForceCase(l *lab) (stage, error) {
	dir, err := l.writeBundle("delete", l.spec("delete", forever...))
	if err != nil {
		return stage{}, err
	}
	var st stage
	for _, t := range l.tools {
		st.subjects = append(st.subjects, subject{t.Name, func() ([]lap, error) {
			id := l.newID()
			if _, err := l.inTurn(t.do("run", "-d", "--bundle", dir, id)); err != nil {
				return nil, err
			}
			u, err := l.inTurn(t.do("delete", "--force", id))
			return []lap{{usage: u}}, err
		}})
	}
	return st, nil
}

// running starts a container per runtime, by the runtime's name. Its cgroup is
// named after the case and the runtime.
func (l *lab) running(name string) (ids map[string]string, done func() error, err error) {
	ids = map[string]string{}
	done = func() error {
		var errs []error
		for _, t := range l.tools {
			if id, ok := ids[t.Name]; ok {
				_, err := l.inTurn(t.do("delete", "--force", id))
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
	for _, t := range l.tools {
		dir, err := l.writeBundle(name+"-"+t.Name, l.spec(name+"-"+t.Name, forever...))
		if err != nil {
			return ids, done, err
		}
		id := l.newID()
		if _, err := l.inTurn(t.do("run", "-d", "--bundle", dir, id)); err != nil {
			if t.podrt {
				return ids, done, err
			}
			continue // its measurement will say why
		}
		ids[t.Name] = id
	}
	return ids, done, nil
}

func execCase(l *lab) (st stage, err error) {
	ids, done, err := l.running("exec")
	st.done = done
	if err != nil {
		return st, err
	}
	for _, t := range l.tools {
		st.subjects = append(st.subjects, l.single(t.Name, func() command { return t.do("exec", ids[t.Name], "/bin/true") }))
	}
	// The floor goes into podrt's container.
	cgroup := filepath.Join(cgroupRoot, l.cgroup, "exec-podrt")
	b, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		return st, err
	}
	pid := strings.TrimSpace(string(b))
	st.subjects = append(st.subjects, subject{floorProcess, func() ([]lap, error) {
		process, work, err := l.floor("exec", pid, cgroup, "/bin/true")
		return floorLaps("", process, work), err
	}})
	return st, nil
}

func stateCase(l *lab) (st stage, err error) {
	ids, done, err := l.running("state")
	st.done = done
	if err != nil {
		return st, err
	}
	for _, t := range l.tools {
		s := l.single(t.Name, func() command { return t.do("state", ids[t.Name]) })
		st.subjects = append(st.subjects, l.checked(s, func(out string) error {
			if !strings.Contains(out, `"running"`) {
				return fmt.Errorf("state says %q; want running", out)
			}
			return nil
		}))
	}
	return st, nil
}

// checked looks at what a subject printed, after the clock has stopped.
func (l *lab) checked(s subject, check func(out string) error) subject {
	return subject{s.name, func() ([]lap, error) {
		laps, err := s.once()
		if err == nil {
			err = check(l.output())
		}
		return laps, err
	}}
}
