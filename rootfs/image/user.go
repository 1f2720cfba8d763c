package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// maxUserFile is how much of /etc/passwd and /etc/group is read, in bytes.
const maxUserFile = 16 << 20

// Lookup finds a user of an image, in the form of the image's configuration and of
// docker run: empty for root, USER, UID, and each with :GROUP or :GID. Who is in
// /etc/passwd has the groups of /etc/group, unless one is given; a UID that is not
// there has group 0. The files are the image's, and read without following links out
// of it.
func (s *Store) Lookup(img Image, spec string) (uid, gid uint32, additional []uint32, home string, err error) {
	lock, err := s.lock(unix.LOCK_SH)
	if err != nil {
		return 0, 0, nil, "", err
	}
	defer lock.Close()
	found, err := s.lookup(img.Digest.Hex, spec)
	if err != nil {
		return 0, 0, nil, "", fmt.Errorf("user %q of image %q: %w", spec, img.Name(), err)
	}
	for _, id := range append([]int{found.Uid, found.Gid}, found.Sgids...) {
		if id < 0 || id > math.MaxInt32 { // as files can have it that an image brings
			return 0, 0, nil, "", fmt.Errorf("user %q of image %q: id %d: must be 0 to %d", spec, img.Name(), id, math.MaxInt32)
		}
	}
	for _, g := range found.Sgids {
		additional = append(additional, uint32(g))
	}
	return uint32(found.Uid), uint32(found.Gid), additional, found.Home, nil
}

func (s *Store) lookup(hex, spec string) (*user.ExecUser, error) {
	dirs, err := rootfs.ImageLayers(s.dir, "sha256:"+hex)
	if err != nil {
		return nil, err
	}
	v, err := openView(dirs)
	if err != nil {
		return nil, err
	}
	defer v.close()
	var files [2]io.Reader
	for i, path := range []string{"/etc/passwd", "/etc/group"} {
		f, err := v.open(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue // as an image of one static program has it
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		files[i] = io.LimitReader(f, maxUserFile)
	}
	return user.GetExecUser(spec, &user.ExecUser{Home: "/"}, files[0], files[1])
}
