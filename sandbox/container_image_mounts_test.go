package sandbox

import (
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	protobuf "github.com/aperturerobotics/protobuf-go-lite"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"
)

// imageOf is an image of mounts with these entries.
func imageOf(entries ...[]byte) []byte {
	var b []byte
	for _, w := range imageMagic {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	for _, e := range entries {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(e))), e...)
	}
	return b
}

// entry is one of a mount, as CRIU writes it.
func entry(flags uint64, place, external string) []byte {
	var b []byte
	number := func(field, value uint64) { b = protobuf.AppendVarint(protobuf.AppendVarint(b, field<<3), value) }
	text := func(field uint64, s string) {
		b = append(protobuf.AppendVarint(protobuf.AppendVarint(b, field<<3|2), uint64(len(s))), s...)
	}
	number(1, 7)   // fstype
	number(2, 300) // mnt_id
	number(5, flags)
	text(6, "/") // root
	text(7, place)
	if external != "" {
		text(18, external)
	}
	return b
}

func TestParseImageMounts(t *testing.T) {
	long := string(slices.Repeat([]byte("x"), 300))
	b := imageOf(entry(0, "/", ""), entry(unix.MS_RDONLY|unix.MS_NODEV, "/m", "/m"), entry(1<<21, "/y", long))
	got, err := parseImageMounts(b)
	want := []imageMount{{}, {unix.MS_RDONLY | unix.MS_NODEV, "/m"}, {1 << 21, long}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseImageMounts = %+v, %v; want %+v", got, err, want)
	}
	if got, err := parseImageMounts(imageOf()); err != nil || got != nil {
		t.Errorf("parseImageMounts of no mounts = %+v, %v", got, err)
	}
	for n := range len(imageOf()) {
		if _, err := parseImageMounts(b[:n]); !errors.Is(err, errNoMountImage) {
			t.Errorf("parseImageMounts of the first %d bytes: %v; want %v", n, err, errNoMountImage)
		}
	}
	whole := []int{len(imageOf()), len(imageOf(entry(0, "/", ""))), len(b) - 4 - len(entry(1<<21, "/y", long))}
	for n := len(imageOf()); n < len(b); n++ {
		if _, err := parseImageMounts(b[:n]); !errors.Is(err, io.ErrUnexpectedEOF) && !slices.Contains(whole, n) {
			t.Errorf("parseImageMounts of the first %d bytes: %v; want %v", n, err, io.ErrUnexpectedEOF)
		}
	}
	cut := entry(1, "/m", "/m")
	for n := 1; n < len(cut); n++ {
		_, _ = parseImageMounts(imageOf(cut[:n])) // whatever it says, it does not panic
	}
	for name, e := range map[string][]byte{
		"text past the end":   {18<<3&0x7f | 2 | 0x80, 1, 9, 'x'},
		"length of 64 bits":   {18<<3&0x7f | 2 | 0x80, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"number without end":  {5 << 3, 0xff},
		"unknown past end":    {7<<3 | 2, 200, 1},
		"a group's end alone": {7<<3 | 4},
	} {
		if got, err := parseImageMounts(imageOf(e)); err == nil {
			t.Errorf("%s: parseImageMounts = %+v; want an error", name, got)
		}
	}
}

// Who has made the directory of a checkpoint need not be who restores it.
func TestImageMountsMax(t *testing.T) {
	defer runtime.GC() // or the next one is far, and with it the end of files that libcontainer drops open
	if _, err := parseImageMounts(make([]byte, imageMountsMax+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("parseImageMounts of too much: %v; want it refused", err)
	}
}

func TestBindRestrictions(t *testing.T) {
	for _, tt := range []struct {
		m    configs.Mount
		want string
	}{
		{configs.Mount{Flags: unix.MS_BIND | unix.MS_REC | unix.MS_NOATIME}, ""},
		{configs.Mount{Flags: unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOEXEC}, "ro,noexec"},
		{configs.Mount{RecAttr: &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}}, "ro,nosuid,nodev,noexec"},
		{configs.Mount{Flags: unix.MS_RDONLY | unix.MS_NOSUID, RecAttr: &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}}, "nosuid"},
	} {
		if got := restrictionNames(bindRestrictions(&tt.m)); got != tt.want {
			t.Errorf("restrictions of %+v = %q; want %q", tt.m, got, tt.want)
		}
	}
}
