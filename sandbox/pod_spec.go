package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/nsenter"
)

// annotationPrefix begins the keys of all annotations that are podrt's.
const annotationPrefix = "dev.podrt."

// Annotations that podrt adds to the containers of a pod.
const (
	AnnotationPod       = "dev.podrt.pod"            // UID of the pod; in a bundle, which pod to join
	AnnotationPodName   = "dev.podrt.pod.name"       // its name
	AnnotationContainer = "dev.podrt.container.name" // name of the container in its pod
)

// specNamespace maps a kind to its name in runtime-spec.
func specNamespace(kind nsenter.Kind) specs.LinuxNamespaceType {
	switch kind {
	case nsenter.Net:
		return specs.NetworkNamespace
	default: // the others have one name
		return specs.LinuxNamespaceType(kind)
	}
}

// join rewrites an OCI spec so that its container runs in the pod: namespaces
// by pin, cgroup leaf below the pod's parent, the pod's files and /dev/shm, the
// volumes of the pod and the given ones. The pod's pins have been verified.
func (p *Pod) join(spec *specs.Spec, name string, volumes []VolumeMount) error {
	if spec.Linux == nil {
		spec.Linux = &specs.Linux{}
	}
	l := spec.Linux
	for _, kind := range []nsenter.Kind{nsenter.User, nsenter.Cgroup, nsenter.IPC, nsenter.UTS, nsenter.Net, nsenter.Time, nsenter.PID} {
		pin, pinned := p.pin(kind)
		switch {
		case pinned:
			if err := setNamespace(l, specNamespace(kind), pin.Path); err != nil {
				return err
			}
		case p.usesHost(kind):
			l.Namespaces = slices.DeleteFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specNamespace(kind) })
		case kind == nsenter.User || kind == nsenter.Time:
			// Only when the container asks for one.
		default:
			// Isolated from the pod's other containers, and never the host's. A
			// private cgroup namespace also spares the mount of cgroup2 from the
			// initial one, which costs 10-16 ms.
			addNamespace(l, specNamespace(kind))
		}
	}
	addNamespace(l, specs.MountNamespace)

	if _, ok := p.pin(nsenter.User); ok {
		if len(l.UIDMappings)+len(l.GIDMappings) > 0 {
			return errors.New("linux.uidMappings: the pod has a user namespace; its mappings are the containers'")
		}
		if keepsGroups(spec.Annotations) {
			// The root of the user namespace cannot walk to the pod's files.
			return errors.New("annotation " + AnnotationKeepGroups + ": not possible in a pod with a user namespace")
		}
	}
	if _, ok := p.pin(nsenter.UTS); ok || p.usesHost(nsenter.UTS) {
		// The pod's was set when the namespace was made.
		spec.Hostname, spec.Domainname = "", ""
	}
	if _, ok := p.pin(nsenter.Time); ok && len(l.TimeOffsets) > 0 {
		return errors.New("linux.timeOffsets: the pod has a time namespace; its offsets are the containers'")
	}
	if _, ok := p.pin(nsenter.Net); len(l.NetDevices) > 0 && (ok || p.usesHost(nsenter.Net)) {
		return errors.New("linux.netDevices: the network namespace is not the container's own; the devices would be all containers'")
	}
	if len(l.Sysctl) > 0 {
		for key := range l.Sysctl {
			return fmt.Errorf("linux.sysctl: %q: sysctls belong to the pod (pod.json: sysctls)", key)
		}
	}
	if l.Resources == nil {
		l.Resources = &specs.LinuxResources{}
	}
	cgroupRoot, err := cgroups.Root()
	if err != nil {
		return err
	}
	// libcontainer takes it as below the unified mountpoint.
	l.CgroupsPath = strings.TrimPrefix(string(p.cgroup().Leaf(name)), string(cgroupRoot))

	p.mountFiles(spec)
	mounts, err := p.volumeMounts(name, volumes)
	if err != nil {
		return err
	}
	spec.Mounts = append(spec.Mounts, mounts...)
	if spec.Annotations == nil {
		spec.Annotations = make(map[string]string, 3)
	}
	spec.Annotations[AnnotationPod] = p.UID()
	spec.Annotations[AnnotationPodName] = p.Name()
	spec.Annotations[AnnotationContainer] = name
	return nil
}

func addNamespace(l *specs.Linux, typ specs.LinuxNamespaceType) {
	if !slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == typ }) {
		l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: typ})
	}
}

func setNamespace(l *specs.Linux, typ specs.LinuxNamespaceType, path string) error {
	for i := range l.Namespaces {
		if n := &l.Namespaces[i]; n.Type == typ {
			if n.Path != "" && n.Path != path {
				return fmt.Errorf("linux.namespaces: %s: path %q contradicts the pod's namespace", typ, n.Path)
			}
			n.Path = path
			return nil
		}
	}
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: typ, Path: path})
	return nil
}

// mountFiles gives the container the pod's hostname, hosts and resolv.conf,
// where its spec mounts none itself, read-only as its root is, and the pod's /dev/shm in place of its own.
func (p *Pod) mountFiles(spec *specs.Spec) {
	shm := ""
	if _, ok := p.pin(nsenter.IPC); ok {
		shm = p.shmDir()
	} else if p.usesHost(nsenter.IPC) {
		shm = "/dev/shm" // POSIX shared memory is where it is mounted, not in the namespace
	}
	if shm != "" {
		spec.Mounts = slices.DeleteFunc(spec.Mounts, func(m specs.Mount) bool { return filepath.Clean(m.Destination) == "/dev/shm" })
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: "/dev/shm", Type: "bind", Source: shm,
			Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec", "rw"},
		})
	}
	mode := "rw"
	if spec.Root != nil && spec.Root.Readonly {
		mode = "ro" // they are the other containers' as well
	}
	for _, name := range []string{"hostname", "hosts", "resolv.conf"} {
		dst := "/etc/" + name
		if slices.ContainsFunc(spec.Mounts, func(m specs.Mount) bool { return filepath.Clean(m.Destination) == dst }) {
			continue
		}
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: dst, Type: "bind", Source: filepath.Join(p.filesDir(), name),
			Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec", mode},
		})
	}
}
