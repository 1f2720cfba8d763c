package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// sandboxCase makes a pod and removes it: by the command line, and by the
// floor. The floor has namespaces, pins and a cgroup, no more.
func sandboxCase(l *lab) (st stage, err error) {
	for _, t := range l.podrts() {
		st.subjects = append(st.subjects, subject{t.Name, func() ([]lap, error) {
			return l.upAndDown(t.do("pod", "create", "sandbox"), t.do("pod", "rm", "sandbox"))
		}})
	}
	sb := l.sandbox("sandbox")
	st.subjects = append(st.subjects, l.floorUpDown(
		[]string{"up", sb.nsDir, sb.cgroup},
		[]string{"down", sb.nsDir, sb.cgroup}))
	return st, nil
}

// upAndDown measures a command that makes something and one that removes it.
func (l *lab) upAndDown(up, down command) ([]lap, error) {
	return upDown(
		func() (usage, error) { return l.inTurn(up) },
		func() (usage, error) { time.Sleep(l.pause); return l.inTurn(down) })
}

// upDown runs down even if up failed: half of it may be there.
func upDown(up, down func() (usage, error)) ([]lap, error) {
	u, uerr := up()
	d, derr := down()
	if err := errors.Join(uerr, derr); err != nil {
		return nil, err
	}
	both := u
	both.add(d)
	return []lap{{metric: "up", usage: u}, {metric: "down", usage: d}, {metric: "both", usage: both}}, nil
}

func (l *lab) floorUpDown(up, down []string) subject {
	return subject{floorProcess, func() ([]lap, error) {
		process, work, err := l.floor(up...)
		if err != nil {
			return nil, err
		}
		time.Sleep(l.pause)
		laps := floorLaps("up", process, work)
		p, w, err := l.floor(down...)
		laps = append(laps, floorLaps("down", p, w)...)
		process.add(p)
		work.add(w)
		return append(laps, floorLaps("both", process, work)...), err
	}}
}

// floorWorkers is the width at which the floor makes a pod's containers: with
// more, two cores are no faster.
const floorWorkers = 4

// podCase makes a pod of n containers and removes it. podrt runs a pod bundle.
// The peers, who know no pods, run and delete n containers in namespaces that
// the floor has made for them before the clock starts, with "run --detach",
// their shortest way.
func podCase(n int) testCase {
	slow := 1
	if n >= 10 {
		slow = 2
	}
	name := "pod-" + strconv.Itoa(n)
	return testCase{name: name, about: fmt.Sprintf("a pod of %d, up and down", n), slow: slow, setup: func(l *lab) (stage, error) {
		sb := l.sandbox(name)
		dir, alone, err := l.podBundle(name, n, sb.nsDir)
		if err != nil {
			return stage{}, err
		}
		var st stage
		for _, t := range l.podrts() {
			st.subjects = append(st.subjects, l.podrtPod(t, name, dir))
		}
		for _, t := range l.peers() {
			one := subject{t.Name + ", one by one", func() ([]lap, error) { return l.peerPod(t, sb, alone, l.inTurn) }}
			all := subject{t.Name + ", all at once", func() ([]lap, error) { return l.peerPod(t, sb, alone, l.atOnce) }}
			st.subjects = append(st.subjects, one)
			if n > 1 {
				st.subjects = append(st.subjects, all)
			}
		}
		pod := []string{"pod", sb.nsDir, sb.cgroup, filepath.Join(dir, "containers/c0/rootfs"), strconv.Itoa(n), strconv.Itoa(min(n, floorWorkers))}
		st.subjects = append(st.subjects, l.floorUpDown(append(pod, forever...), []string{"kill", sb.nsDir, sb.cgroup}))
		return st, nil
	}}
}

func (l *lab) podrtPod(t *tool, name, dir string) subject {
	return subject{t.Name, func() ([]lap, error) {
		return l.upAndDown(t.do("pod", "run", "-d", dir), t.do("pod", "rm", "-f", name))
	}}
}

func (l *lab) peerPod(t *tool, sb sandbox, bundles []string, in func(...command) (usage, error)) (_ []lap, retErr error) {
	if err := l.up(sb); err != nil {
		return nil, err
	}
	defer func() {
		if err := l.down(sb); retErr == nil {
			retErr = err
		}
	}()
	time.Sleep(l.pause)
	var run, remove []command
	for _, b := range bundles {
		id := l.newID()
		run = append(run, t.do("run", "--detach", "--bundle", b, id))
		remove = append(remove, t.do("delete", "--force", id))
	}
	return upDown(
		func() (usage, error) { return in(run...) },
		func() (usage, error) { time.Sleep(l.pause); return in(remove...) })
}
