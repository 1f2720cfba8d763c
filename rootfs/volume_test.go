package rootfs

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestVolumeCheck(t *testing.T) {
	memory := func(limit int64) *EmptyDir { return &EmptyDir{Medium: MediumMemory, SizeLimit: limit} }
	path := func(p, kind string) *HostPath { return &HostPath{Path: p, Type: kind} }
	for _, tt := range []struct {
		v    Volume
		want string // the error, "" for none
	}{
		{Volume{Name: "v", EmptyDir: &EmptyDir{}}, ""},
		{Volume{Name: "v", EmptyDir: memory(0)}, ""},
		{Volume{Name: "v", EmptyDir: memory(1)}, ""},
		{Volume{Name: "v", HostPath: path("/srv/a..b", "")}, ""},
		{Volume{Name: "v", HostPath: path("/", "BlockDevice")}, ""},
		{Volume{Name: "", EmptyDir: memory(0)}, `volume name "" is not one path component`},
		{Volume{Name: "..", EmptyDir: memory(0)}, `volume name ".." is not one path component`},
		{Volume{Name: "a/b", EmptyDir: memory(0)}, `volume name "a/b" is not one path component`},
		{Volume{Name: "a\x00", EmptyDir: memory(0)}, `volume name "a\x00" is not one path component`},
		{Volume{Name: "v"}, `volume "v" has no source: give emptyDir or hostPath`},
		{Volume{Name: "v", EmptyDir: memory(0), HostPath: path("/", "")}, `volume "v" has two sources, emptyDir and hostPath: give one`},
		{Volume{Name: "v", EmptyDir: &EmptyDir{Medium: "memory"}}, `volume "v": emptyDir.medium "memory" is neither "" nor "Memory"`},
		{Volume{Name: "v", EmptyDir: memory(-1)}, `volume "v": emptyDir.sizeLimit -1 is negative`},
		{Volume{Name: "v", EmptyDir: &EmptyDir{SizeLimit: 5}}, `volume "v": emptyDir.sizeLimit 5 cannot be enforced on disk: set emptyDir.medium to "Memory", or leave sizeLimit out`},
		{Volume{Name: "v", HostPath: path("", "")}, `volume "v": hostPath.path is empty`},
		{Volume{Name: "v", HostPath: path("etc", "")}, `volume "v": hostPath.path "etc" is not absolute`},
		{Volume{Name: "v", HostPath: path("/srv/../etc", "")}, `volume "v": hostPath.path "/srv/../etc" contains ".."`},
		{Volume{Name: "v", HostPath: path("/a\x00", "")}, `volume "v": hostPath.path "/a\x00" contains a zero byte`},
		{Volume{Name: "v", HostPath: path("/", "directory")}, `volume "v": hostPath.type "directory" is none of "", Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice`},
	} {
		got := ""
		if err := tt.v.Check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("Check(%+v) = %s; want %s", tt.v, got, tt.want)
		}
	}
}

// A name from a state file cannot make removal leave the two directories.
func TestRemoveVolumeChecksName(t *testing.T) {
	dir := t.TempDir()
	mkdirs(t, dir, "run", "lib", "precious")
	wantError(t, "RemoveVolume(../precious)", RemoveVolume("../precious", dir+"/run", dir+"/lib"), `"../precious" is not one path component`)
	if _, err := os.Stat(dir + "/precious"); err != nil {
		t.Error(err)
	}
}

func TestEmptyDirDisk(t *testing.T) {
	dir := t.TempDir()
	run, lib := dir+"/run", dir+"/lib/volumes"
	defer unix.Umask(unix.Umask(0o077))
	v := Volume{Name: "data", EmptyDir: &EmptyDir{}}
	src, err := MakeVolume(v, run, lib)
	if err != nil || src != lib+"/data" || src != v.Source(run, lib) {
		t.Fatalf("MakeVolume = %q, %v; want %q", src, err, lib+"/data")
	}
	if st, err := os.Stat(src); err != nil || st.Mode() != os.ModeDir|0o777 {
		t.Errorf("mode of the volume = %v, %v; want drwxrwxrwx", st.Mode(), err)
	}
	if st, err := os.Stat(lib); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of its parent = %v, %v; want 0700", st.Mode(), err)
	}
	write(t, src+"/file", "of the old pod")
	_, err = MakeVolume(v, run, lib)
	wantError(t, "MakeVolume of one that exists", err, `make volume "data"`, "file exists")
	wantFile(t, src+"/file", "of the old pod")
	for range 2 {
		if err := RemoveVolume("data", run, lib); err != nil {
			t.Error(err)
		}
		wantGone(t, src)
	}
	for range 2 {
		if err := RemoveVolumes(run, lib); err != nil {
			t.Error(err)
		}
		wantGone(t, lib)
	}
}

func TestEmptyDirMemory(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	page := int64(os.Getpagesize())
	v := Volume{Name: "data", EmptyDir: &EmptyDir{Medium: MediumMemory, SizeLimit: 3*page - 1}}
	shared := Volume{Name: "shared", EmptyDir: &EmptyDir{Medium: MediumMemory, GID: 1234}}
	wantGroup(t, shared, dir)
	shared.EmptyDir.Medium = ""
	wantGroup(t, shared, dir)
	src, err := MakeVolume(v, dir+"/run", dir+"/lib")
	if err != nil || src != dir+"/run/data" || src != v.Source(dir+"/run", dir+"/lib") {
		t.Fatalf("MakeVolume = %q, %v; want %q", src, err, dir+"/run/data")
	}
	wantGone(t, dir+"/lib")
	if st, err := os.Stat(src); err != nil || st.Mode() != os.ModeDir|0o777 {
		t.Errorf("mode of the volume = %v, %v; want drwxrwxrwx", st.Mode(), err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(src, &fs); err != nil {
		t.Fatal(err)
	}
	const want = unix.ST_NOSUID | unix.ST_NODEV
	if got := fs.Flags & (want | unix.ST_NOEXEC | unix.ST_RDONLY); got != want {
		t.Errorf("mount flags of the volume = %#x; want nosuid and nodev, %#x", got, want)
	}
	f, err := os.OpenFile(src+"/file", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // still open when the volume is removed
	n, err := f.Write(make([]byte, 3*page+1))
	if int64(n) != 3*page || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("write above the limit = %d, %v; want %d bytes, then ENOSPC", n, err, 3*page)
	}
	for range 2 {
		if err := RemoveVolume("data", dir+"/run", dir+"/lib"); err != nil {
			t.Error(err)
		}
		wantGone(t, src)
	}
}

// wantGroup makes a volume with a group, and looks whether what is in it has it.
func wantGroup(t *testing.T, v Volume, dir string) {
	t.Helper()
	src, err := MakeVolume(v, dir+"/run", dir+"/lib")
	if err != nil {
		t.Fatal(err)
	}
	write(t, src+"/file", "")
	for path, mode := range map[string]os.FileMode{src: os.ModeDir | os.ModeSetgid | 0o777, src + "/file": 0o644} {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if gid := st.Sys().(*syscall.Stat_t).Gid; gid != v.EmptyDir.GID || st.Mode() != mode {
			t.Errorf("%s: group %d, mode %v; want %d, %v", path, gid, st.Mode(), v.EmptyDir.GID, mode)
		}
	}
	if err := RemoveVolumes(dir+"/run", dir+"/lib"); err != nil {
		t.Error(err)
	}
}

func TestEmptyDirMemoryNoswap(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.4", "tmpfs noswap")
	dir := scratch(t, "")
	if _, err := MakeVolume(Volume{Name: "data", EmptyDir: &EmptyDir{Medium: MediumMemory}}, dir+"/run", dir+"/lib"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); fields[1] == dir+"/run/data" && !strings.Contains(fields[3], "noswap") {
			t.Errorf("options of the volume = %s; want noswap among them", fields[3])
		}
	}
	if err := RemoveVolumes(dir+"/run", dir+"/lib"); err != nil {
		t.Error(err)
	}
}

func TestHostPath(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	host := dir + "/host"
	mkdirs(t, host, "dir")
	write(t, host+"/file", "content")
	write(t, host+"/dir/file", "content")
	if err := unix.Mkfifo(host+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(host+"/char", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(host+"/block", unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", host+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	symlink(t, "dir", host+"/link")
	symlink(t, "link/file", host+"/link-to-file")
	symlink(t, "nowhere", host+"/dangling")

	for _, tt := range []struct {
		path, kind string
		want       uint32   // file type of the pin
		err        []string // parts of the error
	}{
		{"/dir", "", unix.S_IFDIR, nil},
		{"/file", "", unix.S_IFREG, nil},
		{"/fifo", "", unix.S_IFIFO, nil},
		{"/dir", "Directory", unix.S_IFDIR, nil},
		{"/dir", "DirectoryOrCreate", unix.S_IFDIR, nil},
		{"/new/dir", "DirectoryOrCreate", unix.S_IFDIR, nil},
		{"/file", "File", unix.S_IFREG, nil},
		{"/file", "FileOrCreate", unix.S_IFREG, nil},
		{"/new/file", "FileOrCreate", unix.S_IFREG, nil},
		{"/socket", "Socket", unix.S_IFSOCK, nil},
		{"/char", "CharDevice", unix.S_IFCHR, nil},
		{"/block", "BlockDevice", unix.S_IFBLK, nil},
		{"/link", "Directory", unix.S_IFDIR, nil},
		{"/link-to-file", "File", unix.S_IFREG, nil},
		{"/missing", "", 0, []string{"no such file or directory"}},
		{"/missing", "Directory", 0, []string{"no such file or directory"}},
		{"/dangling", "DirectoryOrCreate", 0, []string{"file exists"}},
		{"/dangling", "FileOrCreate", 0, []string{"no such file or directory"}},
		{"/missing/file", "FileOrCreate", 0, []string{"no such file or directory"}},
		{"/file/x", "DirectoryOrCreate", 0, []string{"not a directory"}},
		{"/file", "Directory", 0, []string{"is a regular file: type Directory wants a directory"}},
		{"/link-to-file", "DirectoryOrCreate", 0, []string{`(resolved to "` + host + `/dir/file") is a regular file: type DirectoryOrCreate wants a directory`}},
		{"/dir", "File", 0, []string{"is a directory: type File wants a regular file"}},
		{"/char", "FileOrCreate", 0, []string{"is a character device: type FileOrCreate wants a regular file"}},
		{"/fifo", "Socket", 0, []string{"is a FIFO: type Socket wants a socket"}},
		{"/block", "CharDevice", 0, []string{"is a block device: type CharDevice wants a character device"}},
		{"/socket", "BlockDevice", 0, []string{"is a socket: type BlockDevice wants a block device"}},
	} {
		v := Volume{Name: "v", HostPath: &HostPath{Path: host + tt.path, Type: tt.kind}}
		what := "MakeVolume(" + tt.path + ", " + tt.kind + ")"
		src, err := MakeVolume(v, dir+"/run", dir+"/lib")
		if tt.want == 0 {
			wantError(t, what, err, append(tt.err, `make volume "v": hostPath "`+host+tt.path+`"`)...)
			wantGone(t, dir+"/run/v")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var pinned, original unix.Stat_t
		if err := errors.Join(unix.Lstat(src, &pinned), unix.Stat(host+tt.path, &original)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if pinned.Ino != original.Ino || pinned.Dev != original.Dev || pinned.Mode&unix.S_IFMT != tt.want {
			t.Errorf("%s pins inode %d, mode %#o; want inode %d, type %#o", what, pinned.Ino, pinned.Mode, original.Ino, tt.want)
		}
		for range 2 {
			if err := RemoveVolume("v", dir+"/run", dir+"/lib"); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			wantGone(t, src)
		}
	}
	// Nothing of the host's is gone, and what was made has the mode it should.
	wantFile(t, host+"/dir/file", "content")
	wantFile(t, host+"/file", "content")
	for path, want := range map[string]os.FileMode{"/new/dir": os.ModeDir | 0o755, "/new/file": 0o644} {
		if st, err := os.Stat(host + path); err != nil || st.Mode() != want {
			t.Errorf("mode of %s = %v, %v; want %v", path, st, err, want)
		}
	}
}

// The pin is what was checked, whatever the path leads to later.
func TestHostPathIsPinned(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	mkdirs(t, dir, "host")
	write(t, dir+"/host/file", "checked")
	src, err := MakeVolume(Volume{Name: "v", HostPath: &HostPath{Path: dir + "/host"}}, dir+"/run", dir+"/lib")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/host", dir+"/moved"); err != nil {
		t.Fatal(err)
	}
	symlink(t, "/etc", dir+"/host")
	wantFile(t, src+"/file", "checked")
	if err := RemoveVolumes(dir+"/run", dir+"/lib"); err != nil {
		t.Error(err)
	}
	wantFile(t, dir+"/moved/file", "checked")
}

func TestRemoveVolumesTriesAll(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	for _, v := range []Volume{
		{Name: "a", EmptyDir: &EmptyDir{Medium: MediumMemory}},
		{Name: "z", EmptyDir: &EmptyDir{Medium: MediumMemory}},
		{Name: "disk", EmptyDir: &EmptyDir{}},
	} {
		if _, err := MakeVolume(v, dir+"/run", dir+"/lib"); err != nil {
			t.Fatal(err)
		}
	}
	// Not ours, and not known to be deletable: it must stay, all else go.
	mkdirs(t, dir, "run/k")
	write(t, dir+"/run/k/file", "whose?")
	wantError(t, "RemoveVolumes", RemoveVolumes(dir+"/run", dir+"/lib"), dir+"/run/k", "directory not empty")
	if left := mountsBelow(t, dir); len(left) > 0 {
		t.Errorf("%q are left mounted", left)
	}
	wantGone(t, dir+"/lib")
	wantFile(t, dir+"/run/k/file", "whose?")
	if err := RemoveAll(dir + "/run"); err != nil {
		t.Error(err)
	}
}

func TestVolumesOnFullDisk(t *testing.T) {
	rung.Privileged(t)
	host := t.TempDir()
	for _, v := range []Volume{
		{Name: "memory", EmptyDir: &EmptyDir{Medium: MediumMemory}},
		{Name: "disk", EmptyDir: &EmptyDir{}},
		{Name: "host", HostPath: &HostPath{Path: host}},
		{Name: "file", HostPath: &HostPath{Path: host + "/file", Type: "FileOrCreate"}},
	} {
		t.Run(v.Name, func(t *testing.T) {
			untilItFits(t,
				func(dir string) error {
					_, err := MakeVolume(v, dir+"/run", dir+"/lib")
					return err
				},
				func(dir string) error { return RemoveVolumes(dir+"/run", dir+"/lib") })
		})
	}
}
