package rootfs

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestShm(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	shm := dir + "/pod/shm"
	const size = 1 << 16
	if err := MountShm(shm, size); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(shm); err != nil || st.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("mode of shm = %v, %v; want 1777", st, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(shm, &fs); err != nil {
		t.Fatal(err)
	}
	const want = unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC
	if fs.Flags&want != want || fs.Type != unix.TMPFS_MAGIC {
		t.Errorf("shm has type %#x, flags %#x; want tmpfs, nosuid, nodev, noexec", fs.Type, fs.Flags)
	}
	if got := int64(fs.Blocks) * fs.Bsize; got != size {
		t.Errorf("size of shm = %d; want %d", got, size)
	}
	err := os.WriteFile(shm+"/file", make([]byte, size+1), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write of more than shm holds: %v; want ENOSPC", err)
	}
	wantError(t, "MountShm again", MountShm(shm, size), "make shm", "file exists")
	for range 2 {
		if err := UnmountShm(shm); err != nil {
			t.Error(err)
		}
		wantGone(t, shm)
	}
}

func TestShmErrors(t *testing.T) {
	dir := t.TempDir()
	wantError(t, "MountShm(0)", MountShm(dir+"/shm", 0), dir+"/shm", "size 0 is not positive")
	wantError(t, "MountShm(-1)", MountShm(dir+"/shm", -1), "size -1 is not positive")
	wantGone(t, dir+"/shm")
}

func TestShmOnFullDisk(t *testing.T) {
	rung.Privileged(t)
	untilItFits(t,
		func(dir string) error { return MountShm(dir+"/pod/shm", 1<<16) },
		func(dir string) error { return UnmountShm(dir + "/pod/shm") })
}
