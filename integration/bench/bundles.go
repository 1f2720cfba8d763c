package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
)

// ociVersion is what Debian's crun 1.8.1 still accepts.
const ociVersion = "1.0.2"

// forever is a command that ends when it is killed.
var forever = []string{"/bin/sleep", "86400"}

// spec is the default specification ("podrt spec") for a command, with the
// lab's root and a cgroup of its own.
func (l *lab) spec(cgroup string, args ...string) *specs.Spec {
	s := bundle.Spec(args...)
	s.Version = ociVersion
	s.Root.Path = l.rootfs()
	s.Linux.CgroupsPath = filepath.Join(l.cgroup, cgroup)
	return s
}

// rootfs is the root file system of all containers that are alone.
func (l *lab) rootfs() string { return filepath.Join(l.dir, "rootfs") }

// join has the specification use a sandbox's pinned namespaces.
func join(s *specs.Spec, nsDir string) {
	for i, ns := range s.Linux.Namespaces {
		switch ns.Type {
		case specs.NetworkNamespace:
			s.Linux.Namespaces[i].Path = filepath.Join(nsDir, "net")
		case specs.IPCNamespace:
			s.Linux.Namespaces[i].Path = filepath.Join(nsDir, "ipc")
		case specs.UTSNamespace:
			s.Linux.Namespaces[i].Path = filepath.Join(nsDir, "uts")
		}
	}
	s.Hostname = "" // the sandbox's
}

// writeBundle makes an OCI bundle that is nothing but its config.json.
func (l *lab) writeBundle(name string, s *specs.Spec) (string, error) {
	dir := filepath.Join(l.dir, "bundles", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), b, 0o644)
}

// podBundle makes a pod bundle of n containers that sleep, and an OCI bundle
// with the same root for each of them, in the namespaces pinned in nsDir.
func (l *lab) podBundle(name string, n int, nsDir string) (dir string, alone []string, err error) {
	dir = filepath.Join(l.dir, "pods", name)
	containers := make([]bundle.Container, n)
	for i := range containers {
		s := bundle.Spec(forever...)
		s.Version = ociVersion
		containers[i] = bundle.Container{Name: "c" + strconv.Itoa(i), Spec: s}
	}
	if err := bundle.WritePod(dir, bundle.NewPod(name, nil), containers...); err != nil {
		return "", nil, err
	}
	for _, c := range containers {
		s := l.spec(filepath.Join(name, c.Name), forever...)
		s.Root.Path = filepath.Join(dir, "containers", c.Name, "rootfs")
		join(s, nsDir)
		b, err := l.writeBundle(name+"-"+c.Name, s)
		if err != nil {
			return "", nil, err
		}
		alone = append(alone, b)
	}
	return dir, alone, nil
}

// sandbox is a pod's namespaces and cgroup, made by the floor: where peers put
// the containers of a pod.
type sandbox struct {
	nsDir  string
	cgroup string // directory
}

func (l *lab) sandbox(name string) sandbox {
	return sandbox{filepath.Join(l.dir, "ns-"+name), filepath.Join(cgroupRoot, l.cgroup, name)}
}

// up makes the sandbox; it is not measured.
func (l *lab) up(s sandbox) error {
	_, _, err := l.floor("up", s.nsDir, s.cgroup)
	return err
}

// down removes the sandbox; nothing runs in it.
func (l *lab) down(s sandbox) error {
	_, _, err := l.floor("down", s.nsDir, s.cgroup)
	return err
}
