package main

import (
	"errors"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestRun runs every case once, with the peers that are there, so that none of
// them rots. It needs bin/podrt.
func TestRun(t *testing.T) {
	rung.Privileged(t)
	root, err := rung.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(root, "bin/podrt")) {
		t.Skip("bin/podrt is missing: make build")
	}
	dir := t.TempDir()
	if err := compile(root); err != nil {
		t.Fatal(err)
	}
	o := &options{rounds: 1, json: filepath.Join(dir, "results.json"), svg: filepath.Join(dir, "results.svg"), md: filepath.Join(dir, "results.md"), inside: true}
	// Without the cases that take long and are others in large, and podman,
	// which leaves things behind that are not ours to judge.
	only := regexp.MustCompile("^(start|run|run-pod|run-seccomp|lifecycle|delete-force|exec|state|list-1000|sandbox|pod-2)$")
	if err := measure(o, root, only); err != nil {
		t.Fatal(err)
	}
}

// TestSkips has a peer fail: it is left out, and said why. podrt is not.
func TestSkips(t *testing.T) {
	l := &lab{tools: []*tool{{Name: "podrt", podrt: true}, {Name: "runc"}}}
	broken := errors.New("broken")
	good := func() ([]lap, error) { return []lap{{}}, nil }
	bad := func() ([]lap, error) { return nil, broken }
	set := func(podrt, runc func() ([]lap, error)) testCase {
		return testCase{name: "x", setup: func(*lab) (stage, error) {
			return stage{subjects: []subject{{"podrt", podrt}, {"runc", runc}}}, nil
		}}
	}
	rows, skipped, err := l.runCase(set(good, bad), 2)
	if err != nil || len(rows) != 1 || len(rows[0].Samples) != 2 || len(skipped) != 1 || skipped[0] != "runc: broken" {
		t.Errorf("runCase = %v, %q, %v; want podrt's two samples, and runc skipped", rows, skipped, err)
	}
	if _, _, err := l.runCase(set(bad, good), 2); !errors.Is(err, broken) {
		t.Errorf("runCase with a podrt that fails: error %v; want %v", err, broken)
	}
}
