package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// PodSpecFile is the name of a pod's specification in its bundle.
const PodSpecFile = "pod.json"

// maxConfigJSON is the largest config.json, in bytes: sixteen times a generous
// one with a seccomp profile.
const maxConfigJSON = 4 << 20

// PodBundle is a pod bundle as loaded: pod.json and one OCI bundle per
// container, in containers/NAME.
type PodBundle struct {
	Dir        string            // absolute path
	Spec       *PodSpec          // pod.json, defaults filled in, UID as given
	Containers []BundleContainer // in the order of Spec.Own
}

// BundleContainer is the OCI bundle of one container of a pod.
type BundleContainer struct {
	Name   string
	Dir    string      // absolute path: PodBundle.Dir/containers/NAME
	Config *specs.Spec // config.json as it is: not yet joined to the pod
}

// LoadPodBundle reads and checks the pod bundle in dir: pod.json
// ([ParsePodSpec]) and, once that is good, each container's config.json as far
// as a pod's container needs it. Root file systems are not looked at
// ([PodBundle.CheckRoots]). No path in the bundle is followed out of it: a
// symbolic link may only lead to another place within (openat2(2), Linux 5.6).
// All that is wrong is reported, joined by errors.Join; a file's content as
// *FieldError, with the file's path.
func LoadPodBundle(dir string) (*PodBundle, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open pod bundle %q: %w", dir, err)
	}
	fd, err := ignoreEINTR(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("open pod bundle %q: %w", dir, err)
	}
	root := os.NewFile(uintptr(fd), dir)
	defer root.Close()

	data, err := readBeneath(root, PodSpecFile, maxPodJSON)
	if err != nil {
		return nil, fmt.Errorf("open pod bundle %q: %w", dir, err)
	}
	spec, err := ParsePodSpec(filepath.Join(dir, PodSpecFile), data)
	if err != nil {
		return nil, err
	}
	own := spec.Own()
	b := &PodBundle{Dir: abs, Spec: spec, Containers: make([]BundleContainer, len(own))}
	errs := make([]error, len(own))
	var wg sync.WaitGroup
	for i, c := range own {
		rel := filepath.Join("containers", c.Name)
		b.Containers[i] = BundleContainer{Name: c.Name, Dir: filepath.Join(abs, rel)}
		wg.Go(func() { b.Containers[i].Config, errs[i] = loadMemberConfig(root, rel, spec, c) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b, nil
}

// CheckRoots verifies that the root file system of every container that is not of
// an image is there, a directory inside the container's bundle. All that is wrong is
// reported.
func (b *PodBundle) CheckRoots() error {
	errs := make([]error, len(b.Containers))
	for i, c := range b.Containers {
		if pc := b.Spec.container(c.Name); pc != nil && pc.Image != "" {
			continue
		}
		_, errs[i] = rootfs.Root(c.Dir, c.Config.Root.Path)
	}
	return errors.Join(errs...)
}

// loadMemberConfig reads the config.json of the container whose bundle is rel
// below root.
func loadMemberConfig(root *os.File, rel string, pod *PodSpec, c PodContainer) (*specs.Spec, error) {
	// Apart, so that a missing directory is not reported as a missing file.
	dir, err := openBeneath(root, rel, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("open container bundle: %w", err)
	}
	dir.Close()
	file := filepath.Join(rel, SpecFile)
	data, err := readBeneath(root, file, maxConfigJSON)
	if err != nil {
		return nil, fmt.Errorf("open container bundle: %w", err)
	}
	return parseMemberConfig(filepath.Join(root.Name(), file), data, pod, c)
}

// errLeavesBundle is a path that a symbolic link leads out of its bundle.
var errLeavesBundle = errors.New("symbolic link leaves the pod bundle")

// openBeneath opens path below root, and nothing outside of it (openat2(2),
// Linux 5.6).
func openBeneath(root *os.File, path string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	name := filepath.Join(root.Name(), path)
	fd, err := ignoreEINTR(func() (int, error) { return unix.Openat2(int(root.Fd()), path, &how) })
	switch {
	case errors.Is(err, unix.EXDEV):
		err = errLeavesBundle
	case errors.Is(err, unix.ENOSYS):
		err = fmt.Errorf("openat2: Linux 5.6 or newer is needed: %w", err)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// readBeneath reads the regular file path below root, up to one byte more than
// limit: the parser refuses what is larger.
func readBeneath(root *os.File, path string, limit int64) ([]byte, error) {
	// Without O_NONBLOCK a FIFO would block until somebody writes to it.
	f, err := openBeneath(root, path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// ignoreEINTR repeats a system call that a signal interrupts, or that openat2
// gives up (EAGAIN) because a rename was under way.
func ignoreEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return n, err
		}
	}
}
