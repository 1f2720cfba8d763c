package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

func (p *Pod) libVolumesDir() string { return filepath.Join(p.libDir(), "volumes") }

// subpathsDir holds the pins of a container's subPaths.
func (p *Pod) subpathsDir(container string) string {
	return filepath.Join(p.dir, "subpaths", container)
}

// makeLibDir makes the pod's directory of lasting things. The host's users are
// kept out of it: an image may hold setuid programs (CVE-2021-41091).
func (p *Pod) makeLibDir() error {
	for _, dir := range []string{p.libDir(), filepath.Join(p.libDir(), "containers")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("make directory of pod: %w", err)
		}
		if err := p.admit(dir); err != nil {
			return err
		}
	}
	if err := writeJSON(filepath.Join(p.libDir(), ownerFile), &libOwner{p.rec.BootID, p.store.runRoot()}); err != nil {
		return err
	}
	if err := os.Mkdir(p.filesDir(), 0o700); err != nil {
		return fmt.Errorf("make directory of pod: %w", err)
	}
	return nil
}

// ownerFile in a pod's lasting directory says whose it is.
const ownerFile = "owner.json"

// libOwner is the boot in which a lasting directory was made, and the run root
// where its pod has its record.
type libOwner struct {
	BootID  string `json:"bootID"`
	RunRoot string `json:"runRoot"`
}

func readOwner(dir string) (o libOwner, err error) {
	err = readJSON(filepath.Join(dir, ownerFile), &o)
	return o, err
}

// dropEarlierLibDir removes the lasting directory of a pod with this UID from
// before the last boot, whose record went with it: a kubelet gives a static pod
// the same UID again. The names are locked, and the pod has no record yet.
func (p *Pod) dropEarlierLibDir() error {
	abandoned, err := p.store.abandoned(p.UID(), p.rec.BootID)
	if err != nil {
		return err
	}
	if abandoned {
		return rootfs.RemoveAll(p.libDir())
	}
	// Of one that was killed before it said whose it is; else it is not empty.
	_ = unix.Rmdir(filepath.Join(p.libDir(), "containers"))
	_ = unix.Rmdir(p.libDir())
	if _, err := os.Lstat(p.libDir()); err == nil {
		return fmt.Errorf("pod with UID %q: %q exists: another state root's pod, or a crash", p.UID(), p.libDir())
	}
	return nil
}

// admit lets the root group of the pod's user namespace, if it has one, walk
// through dir: its containers' inits have to reach their root file systems.
func (p *Pod) admit(dir string) error {
	ns := p.rec.Spec.UserNamespace
	if ns == nil {
		return nil
	}
	for _, m := range ns.GIDMappings {
		if m.ContainerID != 0 {
			continue
		}
		if err := os.Chown(dir, 0, int(m.HostID)); err != nil {
			return fmt.Errorf("open directory to the pod's user namespace: %w", err)
		}
		if err := os.Chmod(dir, 0o710); err != nil {
			return fmt.Errorf("open directory to the pod's user namespace: %w", err)
		}
	}
	return nil
}

// makeVolumes makes the pod's volumes; each lives exactly as long as the pod.
func (p *Pod) makeVolumes() error {
	for i := range p.rec.Spec.Volumes {
		v := &p.rec.Spec.Volumes[i]
		if v.BundlePath != nil {
			if err := rootfs.Subpath(p.rec.Bundle, v.BundlePath.Path, p.volumeSource(v)); err != nil {
				return fmt.Errorf("make volume %q: %w", v.Name, err)
			}
			continue
		}
		if _, err := rootfs.MakeVolume(v.volume(), p.volumesDir(), p.libVolumesDir()); err != nil {
			return err
		}
		if err := p.hideState(v); err != nil {
			return err
		}
	}
	return nil
}

// volumeSource is what of v is bound into containers.
func (p *Pod) volumeSource(v *PodVolume) string {
	return v.volume().Source(p.volumesDir(), p.libVolumesDir())
}

// checkVolumes verifies that what volumes have of the bundle is there. It may be
// nil: the pod has none.
func (b *PodBundle) checkVolumes(spec *PodSpec) error {
	var errs []error
	for i, v := range spec.Volumes {
		if v.BundlePath == nil {
			continue
		}
		at := indexPath("volumes", i) + ".bundlePath.path"
		if b == nil {
			errs = append(errs, fmt.Errorf("%s: %q: the pod has no bundle", at, v.BundlePath.Path))
			continue
		}
		if err := b.has(v.BundlePath.Path); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
		}
	}
	return errors.Join(errs...)
}

// has verifies that path is in the bundle.
func (b *PodBundle) has(path string) error {
	root, err := os.Open(b.Dir)
	if err != nil {
		return fmt.Errorf("open pod bundle: %w", err)
	}
	defer root.Close()
	f, err := openBeneath(root, path, unix.O_PATH)
	if err != nil {
		return err
	}
	return f.Close()
}

// volumeMounts are the OCI mounts of a container's volumeMounts, the pod's own
// first. own may be nil.
func (p *Pod) volumeMounts(container string, own []VolumeMount) ([]specs.Mount, error) {
	all := slices.Concat(p.rec.Spec.VolumeMounts, own)
	mounts := make([]specs.Mount, 0, len(all))
	for i, vm := range all {
		v := p.rec.Spec.volume(vm.Name)
		if v == nil {
			return nil, fmt.Errorf("volume mount %q: the pod %q has no such volume", vm.Name, p.Name())
		}
		src := p.volumeSource(v)
		if vm.SubPath != "" {
			target := filepath.Join(p.subpathsDir(container), strconv.Itoa(i))
			if err := rootfs.Subpath(src, vm.SubPath, target); err != nil {
				return nil, fmt.Errorf("volume mount %q: %w", vm.Name, err)
			}
			src = target
		}
		mounts = append(mounts, specs.Mount{
			Destination: vm.MountPath, Type: "bind", Source: src,
			Options: []string{"rbind", vm.propagation(), vm.mode(v)},
		})
	}
	return mounts, nil
}

// propagation is the mount's option: a pin is a slave of what it is a copy of, and
// so can its own copy in a container be.
func (m *VolumeMount) propagation() string {
	if m.MountPropagation == PropagationHostToContainer {
		return "rslave"
	}
	return "rprivate"
}

func (m *VolumeMount) mode(v *PodVolume) string {
	switch {
	case m.RecursiveReadOnly:
		return "rro"
	case m.ReadOnly || v.BundlePath != nil:
		return "ro"
	}
	return "rw"
}
