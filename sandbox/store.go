package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Default places of a Store.
const (
	DefaultRunRoot = "/run/podrt"
	DefaultLibRoot = "/var/lib/podrt"
	DefaultLogRoot = "/var/log/podrt"
)

// Store is the set of pods and containers below a few directories.
// The zero value uses the default places. A Store holds no state of its own
// and may be used by several processes and goroutines at once.
type Store struct {
	RunRoot string // volatile state; default DefaultRunRoot
	LibRoot string // disk volumes and overlay uppers; default DefaultLibRoot
	LogRoot string // logs of detached pods; default DefaultLogRoot
	// ContainerRoot is libcontainer's state root for the containers that this
	// process makes; default RunRoot/containers. An engine's --root goes here.
	ContainerRoot string
	// NoEnginePods has containers with an engine's annotations be plain ones.
	NoEnginePods bool
	// Cgroups makes the cgroups of new pods. systemd makes a transient service
	// in the slice that the pod's CgroupParent names, by default system.slice;
	// those of containers are below it, made without systemd.
	Cgroups CgroupManager
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func (s *Store) runRoot() string { return orDefault(s.RunRoot, DefaultRunRoot) }
func (s *Store) libRoot() string { return orDefault(s.LibRoot, DefaultLibRoot) }
func (s *Store) logRoot() string { return orDefault(s.LogRoot, DefaultLogRoot) }

func (s *Store) containerRoot() string {
	return orDefault(s.ContainerRoot, filepath.Join(s.runRoot(), "containers"))
}

func (s *Store) podsDir() string             { return filepath.Join(s.runRoot(), "pods") }
func (s *Store) namesDir() string            { return filepath.Join(s.runRoot(), "names") }
func (s *Store) podDir(uid string) string    { return filepath.Join(s.podsDir(), uid) }
func (s *Store) nameLink(n string) string    { return filepath.Join(s.namesDir(), n) }
func (s *Store) podLibDirs() string          { return filepath.Join(s.libRoot(), "pods") }
func (s *Store) podLibDir(u string) string   { return filepath.Join(s.podLibDirs(), u) }
func (s *Store) podLogDir(uid string) string { return filepath.Join(s.logRoot(), uid) }

// prepare makes the store's directories and gives the run root a mount of its
// own, so that a container which mounts the host's /run with propagation does
// not carry every pin away, and pins made there never propagate.
func (s *Store) prepare() error {
	for _, root := range []string{s.runRoot(), s.libRoot(), s.logRoot()} {
		if !filepath.IsAbs(root) {
			return fmt.Errorf("state root %q: must be an absolute path", root)
		}
	}
	// 0711: the root of a user namespace must be able to walk through to its
	// root file system (see Pod.makeLibDir).
	for _, dir := range []string{s.runRoot(), s.libRoot(), s.podLibDirs()} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("make state root: %w", err)
		}
	}
	if err := s.ownMount(); err != nil {
		return err
	}
	for _, dir := range []string{s.podsDir(), s.namesDir()} {
		// Closed to the host's users: below are world-writable volumes.
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make state root: %w", err)
		}
	}
	return nil
}

// ownMount bind-mounts the run root onto itself, once, however many processes
// ask for it at the same time, and makes the mount private.
func (s *Store) ownMount() error {
	root := s.runRoot()
	if err := bindOnce(root); err != nil {
		return err
	}
	// Each time: below a shared mount a new one is shared until it is told
	// otherwise, and a SIGKILL can come between the two.
	if err := unix.Mount("", root, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make state root %q private: %w", root, err)
	}
	return nil
}

// bindOnce bind-mounts root onto itself if it is not the root of a mount.
func bindOnce(root string) error {
	if is, err := isMountRoot(root); err != nil || is {
		return err
	}
	dir, err := os.Open(root)
	if err != nil {
		return fmt.Errorf("open state root: %w", err)
	}
	defer dir.Close()
	// The directory below the mount and the mount's root are one inode, hence
	// one lock.
	if err := flock(dir, unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock state root %q: %w", root, err)
	}
	if is, err := isMountRoot(root); err != nil || is {
		return err
	}
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind state root %q onto itself: %w", root, err)
	}
	return nil
}

// isMountRoot reports whether path is the root of a mount
// (STATX_ATTR_MOUNT_ROOT, Linux 5.8; statx(2)).
func isMountRoot(path string) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st); err != nil {
		return false, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, fmt.Errorf("statx %q: mount roots are not reported; Linux 5.8 or newer is needed: %w", path, errors.ErrUnsupported)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// flock locks f, retrying when a signal interrupts the wait (flock(2)).
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// lockNames takes the lock of the name index; the caller closes the file.
func (s *Store) lockNames() (*os.File, error) {
	f, err := openFile(filepath.Join(s.namesDir(), ".lock"), unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock pod names: %w", err)
	}
	if err := flock(f, unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock pod names: %w", err)
	}
	return f, nil
}

// Pods loads every pod of the store, ordered by UID. Directories that cannot
// be read as a pod come back as errors beside the pods that can.
func (s *Store) Pods() ([]*Pod, error) {
	entries, err := os.ReadDir(s.podsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	var pods []*Pod
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // being made or removed
			continue
		}
		p, err := s.load(e.Name())
		switch {
		case err == nil:
			pods = append(pods, p)
		case !errors.Is(err, fs.ErrNotExist): // removed meanwhile
			errs = append(errs, err)
		}
	}
	return pods, errors.Join(errs...)
}

// Pod finds a pod by name, UID, the name or UID that its engine gave it
// (NAMESPACE/NAME, NAME or Kubernetes' UID), or unique prefix of name or UID, in
// this order. It returns an error that wraps ErrPodNotExist when there is none.
func (s *Store) Pod(ref string) (*Pod, error) {
	return s.find(ref, (*Pod).engineFits, func(p *Pod) bool {
		return strings.HasPrefix(p.Name(), ref) || strings.HasPrefix(p.UID(), ref)
	})
}

// removalPrefix is how much of a UID says which pod is to be removed.
const removalPrefix = 8

// PodToRemove is Pod for what cannot be undone: a name must be whole, so that
// removing "web" never removes "web-prod" once "web" is gone, and a UID given
// by its first eight characters at least. Of an engine's pod NAME alone is not
// enough: each namespace can have one.
func (s *Store) PodToRemove(ref string) (*Pod, error) {
	return s.find(ref, (*Pod).engineFitsRemoval, func(p *Pod) bool {
		return len(ref) >= removalPrefix && strings.HasPrefix(p.UID(), ref)
	})
}

// PodByUID finds a pod by its whole UID.
func (s *Store) PodByUID(uid string) (*Pod, error) {
	if uid == "" || strings.Contains(uid, "/") || strings.HasPrefix(uid, ".") {
		return nil, fmt.Errorf("pod UID %q: %w", uid, ErrPodNotExist)
	}
	p, err := s.load(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pod UID %q: %w", uid, ErrPodNotExist)
	}
	return p, err
}

func (s *Store) find(ref string, called func(*Pod, string) bool, fits func(*Pod) bool) (*Pod, error) {
	if ref == "" {
		return nil, errors.New("pod name or UID must not be empty")
	}
	if !strings.Contains(ref, "/") && !strings.HasPrefix(ref, ".") {
		if uid, err := os.Readlink(s.nameLink(ref)); err == nil {
			if p, err := s.load(uid); err == nil {
				return p, nil
			}
		}
		p, err := s.load(ref)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	pods, err := s.Pods()
	var found, exact []*Pod
	for _, p := range pods {
		switch {
		case called(p, ref):
			exact = append(exact, p)
		case p.Name() == ref && p.rec.Engine == nil:
			return p, nil // its link was lost to a crash
		case fits(p):
			found = append(found, p)
		}
	}
	what := "prefix fits"
	if len(exact) > 0 {
		found, what = latest(exact), "is the name of"
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("pod %q: %w", ref, ErrPodNotExist)
	}
	names := make([]string, len(found))
	for i, p := range found {
		names[i] = fmt.Sprintf("%s (%s)", p.Name(), p.UID())
	}
	return nil, fmt.Errorf("pod %q: %s %d pods: %s", ref, what, len(found), strings.Join(names, ", "))
}
