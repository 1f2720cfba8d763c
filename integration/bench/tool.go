package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// tool is an OCI runtime that is measured. All of them take runc's command
// line; podrt has its pod verbs besides.
type tool struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"`
	Note    string `json:"note,omitempty"` // what is not as it comes

	podrt  bool
	global []string // flags before the verb
	env    []string // besides this process's
	root   string   // its containers' state directories
}

// builds are further builds of podrt, by name.
type builds []struct{ name, path string }

func (b *builds) String() string { return fmt.Sprint(*b) }

func (b *builds) Set(s string) error {
	name, path, ok := strings.Cut(s, "=")
	if !ok || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%q: want NAME=PATH", s)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); err != nil {
		return err
	}
	*b = append(*b, struct{ name, path string }{name, abs})
	return nil
}

// command is a program to run.
type command struct {
	path string
	args []string // without the program's name
	env  []string // besides this process's
}

// do returns the command that has the tool do something.
func (t *tool) do(args ...string) command {
	return command{t.Path, append(t.global[:len(t.global):len(t.global)], args...), t.env}
}

// findTools finds the runtimes, podrt first, and says which are missing. State
// is kept below dir, on a tmpfs as /run is, and podrt's lasting directories below
// disk.
func findTools(root, dir, disk string, with builds) (tools []*tool, missing []string, err error) {
	podrts := append(builds{{"podrt", filepath.Join(root, "bin/podrt")}}, with...)
	for _, b := range podrts {
		state, lasting := filepath.Join(dir, "state", b.name), filepath.Join(disk, b.name)
		t := &tool{Name: b.name, Path: b.path, podrt: true, root: filepath.Join(state, "run/containers")}
		t.global = []string{"--pod-root", filepath.Join(state, "run"), "--lib-root", filepath.Join(lasting, "lib"), "--log-root", filepath.Join(lasting, "log")}
		if t.Path, err = install(root, b.name, b.path, filepath.Join(filepath.Dir(b.path), "podrt-cni")); err != nil {
			return nil, nil, fmt.Errorf("%w; build it with: make build", err)
		}
		tools = append(tools, t)
	}
	if path := filepath.Join(root, "bin/tools/runc"); exists(path) {
		if path, err = install(root, "runc", path); err != nil {
			return nil, nil, err
		}
		tools = append(tools, &tool{Name: "runc", Path: path})
	} else {
		missing = append(missing, "runc: make bin/tools/runc")
	}
	if path, err := exec.LookPath("crun"); err == nil {
		t := &tool{Name: "crun", Path: path}
		if !mayRaiseMemlock() {
			t.env = []string{"LD_PRELOAD=" + filepath.Join(root, "bin/bench/memlock.so")}
			t.Note = "with memlock.so preloaded, as CAP_SYS_RESOURCE is denied here"
		}
		tools = append(tools, t)
	} else {
		missing = append(missing, "crun: apt-get install crun")
	}
	for _, t := range tools {
		if t.root == "" {
			t.root = filepath.Join(dir, "state", t.Name)
			t.global = []string{"--root", t.root}
		}
		out, err := exec.Command(t.Path, "--version").Output()
		if err != nil {
			return nil, nil, fmt.Errorf("%q --version: %w", t.Path, err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		t.Version = line[strings.LastIndex(line, " ")+1:]
	}
	return tools, missing, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// install copies programs that were built here to a directory of their own, as
// "make install" and packages do, and returns the path of the first. Of a file
// that the linker has mapped and written the page cache holds single pages; of one
// that was written as a whole, or read from the disk, larger folios: its start
// takes a sixth less time.
func install(root, name string, programs ...string) (string, error) {
	dir := filepath.Join(root, "bin/bench/installed", name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for i, path := range programs {
		b, err := os.ReadFile(path)
		if i > 0 && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o755); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, filepath.Base(programs[0])), nil
}

// mayRaiseMemlock reports whether RLIMIT_MEMLOCK may be lifted (setrlimit(2)),
// by trying on a process of its own.
func mayRaiseMemlock() bool {
	cmd := exec.Command("/bin/sh", "-c", "ulimit -l unlimited")
	return cmd.Run() == nil
}

// tool returns the runtime of that name, nil if it is missing.
func (l *lab) tool(name string) *tool {
	for _, t := range l.tools {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// podrts returns the builds of podrt.
func (l *lab) podrts() (list []*tool) {
	for _, t := range l.tools {
		if t.podrt {
			list = append(list, t)
		}
	}
	return list
}

// peers returns the OCI runtimes that are not podrt.
func (l *lab) peers() (list []*tool) {
	for _, t := range l.tools {
		if !t.podrt {
			list = append(list, t)
		}
	}
	return list
}

// pidfd opens the process that a runtime's --pid-file names.
func pidfd(pidFile string) (int, error) {
	b, err := os.ReadFile(pidFile)
	if err != nil {
		return -1, err
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		return -1, fmt.Errorf("read %q: %w", pidFile, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	return fd, nil
}

// awaitEnd waits until the process has ended, and closes fd.
func awaitEnd(fd int) error {
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("poll pidfd: %w", err)
		case n == 0:
			return errors.New("a killed container is alive after 10 s")
		default:
			return nil
		}
	}
}
