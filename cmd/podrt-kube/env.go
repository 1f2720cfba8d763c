package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/podrt/podrt/rootfs/image"
	"github.com/podrt/podrt/sandbox"
)

// env is what the global flags say, and where input is and output goes.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	// global are the flags as they were given, for a podrt that this executes.
	global []string
	root   string // libcontainer's state root; empty for the default
	store  sandbox.Store
}

// globalFlags are those of podrt that say where things are. All others that it
// passes on are for a podrt that is executed.
func (e *env) globalFlags(f *flag.FlagSet) {
	f.StringVar(&e.store.RunRoot, "pod-root", sandbox.DefaultRunRoot, "root directory for storage of pod state")
	f.StringVar(&e.store.LibRoot, "lib-root", sandbox.DefaultLibRoot, "directory for images and the volumes of pods")
	f.StringVar(&e.store.LogRoot, "log-root", sandbox.DefaultLogRoot, "directory for the logs of detached pods")
	f.StringVar(&e.root, "root", "", "root directory for storage of container state")
	for _, name := range []string{"log", "log-format", "log-level", "cgroup-manager", "rootless"} {
		f.String(name, "", "passed on to podrt")
	}
	for _, name := range []string{"debug", "systemd-cgroup", "engine-pods"} {
		f.Bool(name, name == "engine-pods", "passed on to podrt")
	}
}

// setup acts on the global flags.
func (e *env) setup(f *flag.FlagSet) error {
	for _, dir := range []*string{&e.store.RunRoot, &e.store.LibRoot, &e.store.LogRoot} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		*dir = abs
	}
	f.Visit(func(given *flag.Flag) {
		e.global = append(e.global, "--"+given.Name+"="+given.Value.String())
	})
	manager := f.Lookup("cgroup-manager").Value.String()
	if manager == "" && f.Lookup("systemd-cgroup").Value.String() == "true" {
		manager = string(sandbox.SystemdManager)
	}
	var err error
	if e.store.Cgroups, err = sandbox.ParseCgroupManager(manager); err != nil {
		return fmt.Errorf("--cgroup-manager %w", err)
	}
	return nil
}

// images opens the image store.
func (e *env) images() (*image.Store, error) { return image.Open(e.store.LibRoot) }
