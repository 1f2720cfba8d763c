package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRoots(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Setenv("XDG_RUNTIME_DIR", "/nowhere") // not for root
	} else {
		t.Setenv("XDG_RUNTIME_DIR", "")
	}
	for _, tt := range []struct {
		line               []string
		root, podRoot, lib string
		set                bool
	}{
		{nil, "/run/podrt/containers", "/run/podrt", "/var/lib/podrt", false},
		{[]string{"--root", "/x/y/"}, "/x/y", "/run/podrt", "/var/lib/podrt", true},
		{[]string{"--root", "rel"}, filepath.Join(wd, "rel"), "/run/podrt", "/var/lib/podrt", true},
		{[]string{"--pod-root", "/p"}, "/p/containers", "/p", "/var/lib/podrt", false},
		{[]string{"--pod-root", "p", "--lib-root", "l"}, filepath.Join(wd, "p/containers"), filepath.Join(wd, "p"), filepath.Join(wd, "l"), false},
		{[]string{"--pod-root", "/p", "--root", "/r"}, "/r", "/p", "/var/lib/podrt", true},
	} {
		e := newEnv([]string{"podrt"})
		f := newFlags()
		e.globalFlags(f)
		if _, err := f.parse(tt.line, true); err != nil {
			t.Fatal(err)
		}
		if err := e.setupRoots(); err != nil {
			t.Errorf("%q: %v", tt.line, err)
			continue
		}
		if e.root != tt.root || e.store.ContainerRoot != tt.root || e.store.RunRoot != tt.podRoot || e.store.LibRoot != tt.lib || e.rootSet != tt.set {
			t.Errorf("%q: root %q (set: %t), store %+v; want %q (%t), %q, %q", tt.line, e.root, e.rootSet, e.store, tt.root, tt.set, tt.podRoot, tt.lib)
		}
	}
}

func TestMakeSticky(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "podrt")
	if err := makeSticky(dir, filepath.Join(dir, "containers")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "containers")} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := info.Mode(), os.ModeDir|os.ModeSticky|0o700; got != want {
			t.Errorf("mode of %s = %v; want %v", d, got, want)
		}
	}
}

func TestParseBoolOrAuto(t *testing.T) {
	yes, no := true, false
	for s, want := range map[string]*bool{"": nil, "auto": nil, "AUTO": nil, "true": &yes, "1": &yes, "false": &no} {
		got, err := parseBoolOrAuto(s)
		if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("parseBoolOrAuto(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
}
