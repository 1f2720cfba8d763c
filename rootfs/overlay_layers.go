package rootfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// MaxLayers is how many lower directories OverlayLayers takes: as many as there is
// room for in the page of options that mount(2) takes, as /proc/self/fd/NNNN.
// overlayfs itself takes 500; Docker makes images of 127 at most.
const MaxLayers = 200

// OverlayLayers is [Overlay] of the layers of an image, topmost first, which are
// only read. With users, a user namespace that has its maps, the ids of the layers'
// files are those that users maps them to (idmapped mounts below an overlay, Linux
// 5.19; on tmpfs, 6.3); users may be nil.
func OverlayLayers(layers []string, users *os.File, dir string) (merged string, retErr error) {
	if n := len(layers); n == 0 || n > MaxLayers {
		return "", fmt.Errorf("overlay of %d layers: must be 1 to %d", n, MaxLayers)
	}
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("overlay of %d layers: %w", len(layers), retErr)
		}
	}()
	return newOverlay(dir, func(o overlay) error {
		if users != nil {
			return o.mountMapped(layers, users)
		}
		var st unix.Stat_t
		if err := unix.Lstat(layers[0], &st); err != nil {
			return &os.PathError{Op: "lstat", Path: layers[0], Err: err}
		}
		if err := o.own(&st); err != nil {
			return err
		}
		return o.mount(layers)
	})
}

// mountMapped mounts the overlay of layers whose ids are mapped. overlayfs wants
// these to be mounted somewhere when it looks for them, though it keeps mounts of its
// own then: so that is in a mount namespace that ends with its thread, of which
// nothing can be left, and the overlay comes out of there.
func (o overlay) mountMapped(layers []string, users *os.File) error {
	var tree int
	err := onThread(func() (err error) {
		tree, err = o.mapped(layers, users)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(tree) }()
	const move = unix.MOVE_MOUNT_F_EMPTY_PATH
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, o.merged(), move); err != nil {
		return &MountError{Op: "move_mount", Source: "overlay", Target: o.merged(), Flags: move, Err: err}
	}
	return nil
}

// mapped returns the overlay, mounted nowhere. The calling thread is in a mount
// namespace of its own from then on, and in another directory.
func (o overlay) mapped(layers []string, users *os.File) (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return -1, os.NewSyscallError("unshare", err)
	}
	// A slave: nothing that is mounted here is seen outside.
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return -1, err
	}
	stage := o.merged()
	if err := mount("podrt", stage, "tmpfs", 0, "mode=700"); err != nil {
		return -1, err
	}
	// From here names are short, and fit into one page of options.
	if err := unix.Chdir(stage); err != nil {
		return -1, &os.PathError{Op: "chdir", Path: stage, Err: err}
	}
	names := make([]string, len(layers))
	for i, layer := range layers {
		names[i] = strconv.Itoa(i)
		if err := mapLayer(layer, users, names[i]); err != nil {
			return -1, err
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat(names[0], &st); err != nil {
		return -1, &os.PathError{Op: "lstat", Path: layers[0], Err: err}
	}
	if err := o.own(&st); err != nil {
		return -1, err
	}
	const target = "overlay"
	if err := unix.Mkdir(target, 0o700); err != nil {
		return -1, &os.PathError{Op: "mkdir", Path: target, Err: err}
	}
	data := overlayOptions(names, o.upper(), o.work())
	if len(data) > maxOptions() {
		return -1, fmt.Errorf("options take %d bytes; mount(2) takes %d", len(data), maxOptions())
	}
	if err := mountOverlay(target, data, o.upper()); err != nil {
		return -1, err
	}
	const clone = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	tree, err := unix.OpenTree(unix.AT_FDCWD, target, clone)
	if err != nil {
		return -1, &MountError{Op: "open_tree", Source: target, Flags: clone, Err: err}
	}
	return tree, nil
}

// mapLayer mounts a layer on a new directory, with its ids mapped (mount_setattr(2)).
func mapLayer(layer string, users *os.File, target string) error {
	const clone = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_SYMLINK_NOFOLLOW
	tree, err := unix.OpenTree(unix.AT_FDCWD, layer, clone)
	if err != nil {
		return &MountError{Op: "open_tree", Source: layer, Flags: clone, Err: err}
	}
	defer func() { _ = unix.Close(tree) }()
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		if errors.Is(err, unix.EINVAL) {
			err = fmt.Errorf("%w: its file system cannot be mounted with other ids, or the kernel cannot; a pod with a user namespace needs that for an image", err)
		}
		return &MountError{Op: "mount_setattr", Source: layer, Err: err}
	}
	if err := unix.Mkdir(target, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: target, Err: err}
	}
	const move = unix.MOVE_MOUNT_F_EMPTY_PATH
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, move); err != nil {
		return &MountError{Op: "move_mount", Source: layer, Target: target, Flags: move, Err: err}
	}
	return nil
}

// onThread calls f on a thread that ends with it. The main thread is not one: it
// never ends, and is what /proc/self shows.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f) // another one, as this goroutine has the main thread
			runtime.UnlockOSThread()
			return
		}
		done <- f() // and the thread ends, as it is locked
	}()
	return <-done
}
