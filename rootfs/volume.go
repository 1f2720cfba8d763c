package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// MediumMemory is the medium of an emptyDir in memory.
const MediumMemory = "Memory"

// A Volume is a directory or file that containers of a pod share. It has
// exactly one source.
type Volume struct {
	Name     string // one path component
	EmptyDir *EmptyDir
	HostPath *HostPath
}

// An EmptyDir is empty at first, and dies with its pod.
type EmptyDir struct {
	Medium    string // "" for disk, or MediumMemory
	SizeLimit int64  // bytes; 0 for none. Memory only
	GID       uint32 // group of the directory, and of what is made in it unless 0
}

// Check reports what is wrong with v, by field. It touches nothing.
func (v Volume) Check() error {
	if v.Name == "" || v.Name == "." || v.Name == ".." || len(v.Name) > unix.NAME_MAX || strings.ContainsAny(v.Name, "/\x00") {
		return fmt.Errorf("volume name %q is not one path component", v.Name)
	}
	switch {
	case v.EmptyDir != nil && v.HostPath != nil:
		return fmt.Errorf("volume %q has two sources, emptyDir and hostPath: give one", v.Name)
	case v.EmptyDir != nil:
		if err := v.EmptyDir.check(); err != nil {
			return fmt.Errorf("volume %q: %w", v.Name, err)
		}
	case v.HostPath != nil:
		if err := v.HostPath.check(); err != nil {
			return fmt.Errorf("volume %q: %w", v.Name, err)
		}
	default:
		return fmt.Errorf("volume %q has no source: give emptyDir or hostPath", v.Name)
	}
	return nil
}

func (e EmptyDir) check() error {
	switch {
	case e.Medium != "" && e.Medium != MediumMemory:
		return fmt.Errorf(`emptyDir.medium %q is neither "" nor %q`, e.Medium, MediumMemory)
	case e.SizeLimit < 0:
		return fmt.Errorf("emptyDir.sizeLimit %d is negative", e.SizeLimit)
	case e.SizeLimit > 0 && e.Medium == "":
		return fmt.Errorf("emptyDir.sizeLimit %d cannot be enforced on disk: set emptyDir.medium to %q, or leave sizeLimit out", e.SizeLimit, MediumMemory)
	}
	return nil
}

// Source returns the path to bind into containers: runDir/NAME, where a tmpfs
// or the pin of a hostPath is mounted, or libDir/NAME, a directory on disk.
func (v Volume) Source(runDir, libDir string) string {
	if v.EmptyDir != nil && v.EmptyDir.Medium != MediumMemory {
		return filepath.Join(libDir, v.Name)
	}
	return filepath.Join(runDir, v.Name)
}

// MakeVolume makes v and returns its [Volume.Source]. The directory of the two
// that it lies in is made as needed, mode 0700; NAME must not exist there. An
// emptyDir has mode 0777, and S_ISGID with a GID; one in memory is mounted nosuid
// and nodev, and is not swapped out (Linux 6.4). On error nothing of v is left.
func MakeVolume(v Volume, runDir, libDir string) (source string, retErr error) {
	if err := v.Check(); err != nil {
		return "", err
	}
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("make volume %q: %w", v.Name, retErr)
		}
	}()
	source = v.Source(runDir, libDir)
	if err := os.MkdirAll(filepath.Dir(source), 0o700); err != nil {
		return "", err
	}
	if v.HostPath != nil {
		if err := v.HostPath.pin(source); err != nil {
			return "", err
		}
		return source, nil
	}
	if err := os.Mkdir(source, 0o700); err != nil {
		return "", err
	}
	if v.EmptyDir.Medium == MediumMemory {
		const flags = unix.MS_NOSUID | unix.MS_NODEV
		if err := mountTmpfs("podrt-volume", source, flags, "mode=0777", v.EmptyDir.SizeLimit, true); err != nil {
			return "", errors.Join(err, unpin(source))
		}
		if err := v.EmptyDir.open(source); err != nil {
			return "", errors.Join(err, unpin(source))
		}
		return source, nil
	}
	if err := v.EmptyDir.open(source); err != nil {
		return "", errors.Join(err, RemoveAll(source))
	}
	return source, nil
}

// open gives the directory dir, which no container has yet, its group and its
// mode, whatever the umask.
func (e EmptyDir) open(dir string) error {
	mode := uint32(0o777)
	if e.GID != 0 {
		if err := unix.Chown(dir, 0, int(e.GID)); err != nil {
			return &os.PathError{Op: "chown", Path: dir, Err: err}
		}
		mode |= unix.S_ISGID
	}
	if err := unix.Chmod(dir, mode); err != nil {
		return &os.PathError{Op: "chmod", Path: dir, Err: err}
	}
	return nil
}

// RemoveVolume removes the volume called name, with the content of an
// emptyDir. The content of a hostPath is never touched.
func RemoveVolume(name, runDir, libDir string) error {
	if err := (Volume{Name: name, EmptyDir: &EmptyDir{}}).Check(); err != nil {
		return err
	}
	if err := errors.Join(unpin(runDir+"/"+name), RemoveAll(libDir+"/"+name)); err != nil {
		return fmt.Errorf("remove volume %q: %w", name, err)
	}
	return nil
}

// RemoveVolumes removes all volumes in both directories, and the directories.
func RemoveVolumes(runDir, libDir string) error {
	if err := errors.Join(unpinAll(runDir), RemoveAll(libDir)); err != nil {
		return fmt.Errorf("remove volumes: %w", err)
	}
	return nil
}
