package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
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
// with the same root and the same mounts for each of them, in the namespaces
// pinned in nsDir.
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
	files := filepath.Join(l.dir, "files-"+name)
	if err := writePodFiles(files, name); err != nil {
		return "", nil, err
	}
	for _, c := range containers {
		s := l.spec(filepath.Join(name, c.Name), forever...)
		s.Root.Path = filepath.Join(dir, "containers", c.Name, "rootfs")
		join(s, nsDir)
		mountPodFiles(s, files)
		b, err := l.writeBundle(name+"-"+c.Name, s)
		if err != nil {
			return "", nil, err
		}
		alone = append(alone, b)
	}
	return dir, alone, nil
}

// podFiles are what a pod's containers share of files, by path; what podrt gives
// them, and any engine in the specs that it writes for runc or crun.
var podFiles = []string{"/dev/shm", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

func writePodFiles(dir, name string) error {
	if err := os.MkdirAll(filepath.Join(dir, "shm"), 0o711); err != nil {
		return err
	}
	var errs []error
	for file, text := range map[string]string{
		"hostname": name + "\n", "hosts": "127.0.0.1\tlocalhost\n", "resolv.conf": "nameserver 127.0.0.1\n",
	} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// mountPodFiles has a container mount the files in dir as podrt would.
func mountPodFiles(s *specs.Spec, dir string) {
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == podFiles[0] })
	for _, path := range podFiles {
		s.Mounts = append(s.Mounts, specs.Mount{
			Destination: path, Type: "bind", Source: filepath.Join(dir, filepath.Base(path)),
			Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec", "rw"},
		})
	}
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
