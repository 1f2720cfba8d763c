package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	protobuf "github.com/aperturerobotics/protobuf-go-lite"
	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"
)

// checkImageMounts tells whether the images in dir have the configuration's
// restrictions on what is bound into the container. CRIU saves no source of such
// a mount, only its place and options, and restores at the place what the
// configuration has for it, with the options from the image. The container can
// have exchanged places: a mount point cannot be renamed, the directory above it
// can. The source of a read-only mount would be restored writable.
func (c *Container) checkImageMounts(dir string) error {
	config := c.lc.Config()
	want := map[string]uint32{} // by place; of mounts above each other it is not known which is saved
	for _, m := range config.Mounts {
		if m.Device == "bind" {
			want[criuMountKey(config.Rootfs, m)] |= bindRestrictions(m)
		}
	}
	images, err := fs.Glob(os.DirFS(dir), "mountpoints-*.img") // dir is no pattern
	if err != nil || len(images) == 0 {
		return err
	}
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, image := range images {
		b, err := readBeneath(root, image, imageMountsMax)
		if err != nil {
			return err
		}
		saved, err := parseImageMounts(b)
		if err != nil {
			return fmt.Errorf("read %q: %w", filepath.Join(dir, image), err)
		}
		for _, s := range saved {
			if missing := want[s.external] &^ s.flags; missing != 0 {
				return fmt.Errorf("restore container %q: checkpoint %q has the mount at %q without the options %q of the configuration", c.ID(), dir, s.external, restrictionNames(missing))
			}
		}
	}
	return nil
}

// criuMountKey is the name by which libcontainer tells CRIU what belongs at the
// mount's place.
func criuMountKey(rootfs string, m *configs.Mount) string {
	dest := strings.TrimPrefix(m.Destination, rootfs)
	if path, err := securejoin.SecureJoin(rootfs, dest); err == nil {
		dest = path[len(rootfs):]
	}
	return dest
}

// restrictions are the options that CRIU (3.17) restores and that take something
// away. MS_RDONLY and the others have the values of MOUNT_ATTR_RDONLY and the
// others (mount_setattr(2)).
var restrictions = [...]struct {
	flag uint32
	name string
}{
	{unix.MS_RDONLY, "ro"},
	{unix.MS_NOSUID, "nosuid"},
	{unix.MS_NODEV, "nodev"},
	{unix.MS_NOEXEC, "noexec"},
}

func restrictionNames(flags uint32) string {
	var names []string
	for _, r := range restrictions {
		if flags&r.flag != 0 {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, ",")
}

func bindRestrictions(m *configs.Mount) uint32 {
	flags := uint64(m.Flags)
	if m.RecAttr != nil {
		flags = flags&^m.RecAttr.Attr_clr | m.RecAttr.Attr_set
	}
	var all uint32
	for _, r := range restrictions {
		all |= uint32(flags) & r.flag
	}
	return all
}

// imageMount is what is read of a mount that CRIU has saved: the fields flags and
// ext_key of mnt_entry in CRIU's images/mnt.proto.
type imageMount struct {
	flags    uint32 // of mount(2)
	external string // the name that the mount was saved under; empty if it is the container's own
}

const (
	imageMountFlags    = 5
	imageMountExternal = 18
)

// imageMountsMax is more bytes than an image of mounts has: some hundred each, for
// as many as fs.mount-max lets there be by default, 100,000.
const imageMountsMax = 64 << 20

// imageMagic are the two numbers that an image of mounts begins with: of all
// images of state, and of mounts (criu/include/magic.h).
var imageMagic = [...]uint32{0x54564319, 0x55563928}

var errNoMountImage = errors.New("no image of mounts by CRIU")

// parseImageMounts reads an image: the two numbers and then the entries, each
// behind its length in bytes; little-endian uint32s.
func parseImageMounts(b []byte) ([]imageMount, error) {
	if len(b) > imageMountsMax {
		return nil, fmt.Errorf("more than %d bytes", imageMountsMax)
	}
	word := func() (uint32, bool) {
		if len(b) < 4 {
			return 0, false
		}
		w := binary.LittleEndian.Uint32(b)
		b = b[4:]
		return w, true
	}
	for _, magic := range imageMagic {
		if w, ok := word(); !ok || w != magic {
			return nil, errNoMountImage
		}
	}
	var mounts []imageMount
	for len(b) > 0 {
		size, ok := word()
		if !ok || uint64(size) > uint64(len(b)) {
			return nil, io.ErrUnexpectedEOF
		}
		m, err := parseImageMount(b[:size])
		if err != nil {
			return nil, err
		}
		mounts, b = append(mounts, m), b[size:]
	}
	return mounts, nil
}

// parseImageMount reads an entry: protobuf, each field behind its number and kind
// (protobuf.dev/programming-guides/encoding).
func parseImageMount(b []byte) (m imageMount, err error) {
	const varint, bytes = 0, 2
	for at := 0; at < len(b); {
		tag, value, err := protobuf.DecodeVarint(b, at)
		if err != nil {
			return m, err
		}
		switch tag {
		case imageMountFlags<<3 | varint:
			var flags uint64
			flags, at, err = protobuf.DecodeVarint(b, value)
			m.flags = uint32(flags)
		case imageMountExternal<<3 | bytes:
			m.external, at, err = protobuf.DecodeString(b, value)
		default:
			var n int
			n, err = protobuf.Skip(b[at:])
			at += n
		}
		if err == nil && at > len(b) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}
