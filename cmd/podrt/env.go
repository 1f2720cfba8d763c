package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

// runc is the name under which podrt says that it is runc.
const runc = "runc"

// env is what the global flags say, and where output goes.
type env struct {
	prog   string // "podrt", or "runc" when called so
	stdout io.Writer
	log    *logger

	root    string // libcontainer's state root, absolute
	rootSet bool   // root was chosen by the caller
	store   sandbox.Store
	opts    globalOptions
}

// globalOptions are the values of the global flags as given.
type globalOptions struct {
	debug                     bool
	log, logFormat, logLevel  string
	root                      string
	podRoot, libRoot, logRoot string
	systemdCgroup             bool
	cgroupManager             string
	rootless                  string
	enginePods                bool
	rootDef                   *flagDef
}

func newEnv(argv []string) *env {
	e := &env{prog: "podrt", stdout: os.Stdout, log: newLogger()}
	if filepath.Base(argv[0]) == runc {
		e.prog = runc
	}
	e.opts = globalOptions{
		logFormat: "text",
		root:      filepath.Join(sandbox.DefaultRunRoot, "containers"),
		podRoot:   sandbox.DefaultRunRoot,
		libRoot:   sandbox.DefaultLibRoot,
		logRoot:   sandbox.DefaultLogRoot,
		rootless:  "auto",

		enginePods: true,
	}
	if dir := userRunDir(); dir != "" {
		e.opts.root = filepath.Join(dir, "containers")
	}
	return e
}

func (e *env) globalFlags(f *flags) {
	o := &e.opts
	f.Bool(&o.debug, "debug", "enable debug logging")
	f.String(&o.log, "log", "set the log file to write "+e.prog+" logs to (default is '/dev/stderr')")
	f.String(&o.logFormat, "log-format", "set the log format ('text' (default), or 'json')")
	f.String(&o.logLevel, "log-level", "set what is logged ('error', 'warning', 'info' (default), or 'debug', which is --debug)")
	o.rootDef = f.String(&o.root, "root", "root directory for storage of container state (this should be located in tmpfs)")
	f.Bool(&o.systemdCgroup, "systemd-cgroup", `enable systemd cgroup support, expects cgroupsPath to be of form "slice:prefix:name" for e.g. "system.slice:runc:434234"`)
	f.String(&o.cgroupManager, "cgroup-manager", "how cgroups are made: 'cgroupfs' (default), 'systemd', or 'disabled' for containers without a cgroup of their own")
	f.String(&o.rootless, "rootless", "ignore cgroup permission errors ('true', 'false', or 'auto')")
	f.Bool(&o.enginePods, "engine-pods", "keep a pod for the containers of an engine's sandbox, by their annotations; --engine-pods=false makes plain containers of them (default true)")
	f.String(&o.podRoot, "pod-root", "root directory for storage of pod state (this should be located in tmpfs)")
	f.String(&o.libRoot, "lib-root", "directory for images and the volumes of pods")
	f.String(&o.logRoot, "log-root", "directory for the logs of detached pods")
}

const versionUsage = "print the version"

// setup acts on the global flags.
func (e *env) setup() error {
	o := &e.opts
	if err := e.setupRoots(); err != nil {
		return err
	}
	if err := e.log.configure(o.debug || o.logLevel == "debug", o.log, o.logFormat); err != nil {
		return err
	}
	if err := e.log.limit(o.logLevel); err != nil {
		return err
	}
	var err error
	e.store.Cgroups, err = parseCgroupManager(o.cgroupManager, o.systemdCgroup)
	return err
}

// setupRoots settles where state is kept.
func (e *env) setupRoots() error {
	o := &e.opts
	e.rootSet = o.rootDef.isSet()
	switch {
	case e.rootSet:
		root, err := filepath.Abs(o.root)
		if err != nil {
			return err
		}
		if root == "/" {
			return errors.New("Option --root argument should not be set to /")
		}
		e.root = root
	case o.podRoot != sandbox.DefaultRunRoot:
		e.root = filepath.Join(o.podRoot, "containers")
	default:
		e.root = o.root
		if dir := userRunDir(); dir != "" {
			// The sticky bit keeps what is in XDG_RUNTIME_DIR from being pruned
			// (XDG Base Directory Specification).
			if err := makeSticky(dir, e.root); err != nil {
				return err
			}
		}
	}
	e.store = sandbox.Store{ContainerRoot: e.root, NoEnginePods: !o.enginePods}
	for _, p := range []struct {
		to   *string
		from string
	}{{&e.store.RunRoot, o.podRoot}, {&e.store.LibRoot, o.libRoot}, {&e.store.LogRoot, o.logRoot}, {&e.store.ContainerRoot, e.root}} {
		abs, err := filepath.Abs(p.from)
		if err != nil {
			return err
		}
		*p.to = abs
	}
	e.root = e.store.ContainerRoot
	return nil
}

// userRunDir is where the state of an ordinary user's containers is, or empty:
// for root, and for root of a user namespace that USER says is root's own.
func userRunDir() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return ""
	}
	if os.Geteuid() == 0 {
		if u, ok := os.LookupEnv("USER"); !sandbox.RunningInUserNS() || ok && u == "root" {
			return ""
		}
	}
	return filepath.Join(dir, "podrt")
}

func makeSticky(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("the path in $XDG_RUNTIME_DIR must be writable by the user: %w", err)
		}
		if err := os.Chmod(dir, 0o700|os.ModeSticky); err != nil {
			return fmt.Errorf("you should check permission of the path in $XDG_RUNTIME_DIR: %w", err)
		}
	}
	return nil
}

// parseBoolOrAuto returns nil for "auto" and nothing.
func parseBoolOrAuto(s string) (*bool, error) {
	if s == "" || strings.EqualFold(s, "auto") {
		return nil, nil
	}
	b, err := strconv.ParseBool(s)
	return &b, err
}

// printVersion prints lines that callers parse: the first begins with the
// program's name, "commit:" is the second, and no other line has the word
// version.
func (e *env) printVersion() {
	v := version
	if e.prog == runc {
		v = sandbox.RuncVersion + "+podrt." + version
	}
	fmt.Fprintf(e.stdout, "%s version %s\n", e.prog, v)
	fmt.Fprintln(e.stdout, "commit:", commit())
	fmt.Fprintln(e.stdout, "spec:", specs.Version)
	fmt.Fprintln(e.stdout, "go:", runtime.Version())
	if v := sandbox.LibseccompVersion(); v != "" {
		fmt.Fprintln(e.stdout, "libseccomp:", v)
	}
}

func commit() string {
	if gitCommit == "" {
		return "unknown"
	}
	return gitCommit
}

// container loads the container that a verb names.
func (e *env) container(id string) (*sandbox.Container, error) {
	if id == "" {
		return nil, errEmptyID
	}
	return sandbox.LoadContainer(e.root, id)
}

var errEmptyID = errors.New("container id cannot be empty")
