package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestUnpackKeeps: what an entry says of itself is what is on disk.
func TestUnpackKeeps(t *testing.T) {
	rung.Privileged(t)
	caps := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service=ep
	pax := tar.FormatPAX
	long := strings.Repeat("long/", 40) + strings.Repeat("n", 150)
	root := mustUnpack(t,
		e{name: "./", h: tar.Header{Typeflag: tar.TypeDir, Mode: 0o751, Uid: 3, Gid: 4, ModTime: someTime, Format: pax}},
		dir("etc", 0o755),
		e{"etc/passwd", "root:x:0:0::/:/bin/sh\n", tar.Header{Mode: 0o640, Uid: 1, Gid: 2, ModTime: someTime, Format: pax}},
		e{"bin/su", "#!", tar.Header{Mode: 0o6755, Uid: 5, Gid: 6}},
		e{"bin/ping", "#!", tar.Header{Mode: 0o755, Uid: 7, Format: pax, PAXRecords: map[string]string{
			"SCHILY.xattr.security.capability": caps, "SCHILY.xattr.user.note": "kept",
			"SCHILY.xattr.user.binary": "a\xffb=c",
		}}},
		dir("tmp", 0o1777),
		e{name: "owned", h: tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, Uid: 70000, Gid: 4_000_000_000, ModTime: someTime, Format: pax, PAXRecords: map[string]string{"SCHILY.xattr.user.note": "dir"}}},
		e{"owned/late", "", tar.Header{ModTime: time.Now()}}, // does not change the directory's time
		symlink("link", "/etc/passwd"),
		e{name: "linked", h: tar.Header{Typeflag: tar.TypeSymlink, Linkname: "nowhere", Uid: 8, ModTime: someTime, Format: pax}},
		hardlink("etc/shadow", "etc/passwd"),
		hardlink("hardsym", "link"),
		e{name: "fifo", h: tar.Header{Typeflag: tar.TypeFifo, Mode: 0o622}},
		e{name: "null", h: tar.Header{Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}},
		e{name: "disk", h: tar.Header{Typeflag: tar.TypeBlock, Mode: 0o660, Devmajor: 259, Devminor: 70000}},
		e{long, "x", tar.Header{Format: pax}},
		e{"gnu/" + long, "x", tar.Header{Format: tar.FormatGNU}},
		e{"old", "first", tar.Header{ModTime: time.Unix(-5, 0), Format: pax}},
		e{"old", "second", tar.Header{ModTime: time.Unix(-5, 0), Format: pax}},
		e{"/absolute/name", "below the root", tar.Header{}},
	)
	for _, tt := range []struct {
		path     string
		mode     uint32
		uid, gid uint32
	}{
		{"", unix.S_IFDIR | 0o751, 3, 4},
		{"etc", unix.S_IFDIR | 0o755, 0, 0},
		{"etc/passwd", unix.S_IFREG | 0o640, 1, 2},
		{"bin", unix.S_IFDIR | 0o755, 0, 0}, // of no entry
		{"bin/su", unix.S_IFREG | 0o6755, 5, 6},
		{"bin/ping", unix.S_IFREG | 0o755, 7, 0},
		{"tmp", unix.S_IFDIR | 0o1777, 0, 0},
		{"owned", unix.S_IFDIR | 0o700, 70000, 4_000_000_000},
		{"linked", unix.S_IFLNK | 0o777, 8, 0},
		{"fifo", unix.S_IFIFO | 0o622, 0, 0},
		{"null", unix.S_IFCHR | 0o666, 0, 0},
		{"disk", unix.S_IFBLK | 0o660, 0, 0},
		{long, unix.S_IFREG | 0o644, 0, 0},
		{"gnu/" + long, unix.S_IFREG | 0o644, 0, 0},
	} {
		if st := lstat(t, root+"/"+tt.path); st.Mode != tt.mode || st.Uid != tt.uid || st.Gid != tt.gid {
			t.Errorf("%q has mode %#o, owner %d:%d; want %#o, %d:%d", tt.path, st.Mode, st.Uid, st.Gid, tt.mode, tt.uid, tt.gid)
		}
	}
	for _, path := range []string{"", "etc/passwd", "owned", "linked"} {
		if st := lstat(t, root+"/"+path); st.Mtim.Sec != someTime.Unix() || st.Mtim.Nsec != int64(someTime.Nanosecond()) {
			t.Errorf("%q was changed at %d.%d; want %d.%d", path, st.Mtim.Sec, st.Mtim.Nsec, someTime.Unix(), someTime.Nanosecond())
		}
	}
	if st := lstat(t, root+"/old"); st.Mtim.Sec != 0 {
		t.Errorf("a time before 1970 became %d; want 0", st.Mtim.Sec)
	}
	wantFile(t, root+"/old", "second")
	wantFile(t, root+"/absolute/name", "below the root")
	for _, tt := range []struct{ path, name, want string }{
		{"bin/ping", "security.capability", caps},
		{"bin/ping", "user.note", "kept"},
		{"bin/ping", "user.binary", "a\xffb=c"},
		{"owned", "user.note", "dir"},
	} {
		if got := xattr(t, root+"/"+tt.path, tt.name); got != tt.want {
			t.Errorf("%q of %q is %q; want %q", tt.name, tt.path, got, tt.want)
		}
	}
	if a, b := lstat(t, root+"/etc/passwd"), lstat(t, root+"/etc/shadow"); a.Ino != b.Ino || a.Nlink != 2 {
		t.Errorf("hard links are inodes %d and %d, with %d names; want one with 2", a.Ino, b.Ino, a.Nlink)
	}
	if got, err := os.Readlink(root + "/hardsym"); err != nil || got != "/etc/passwd" {
		t.Errorf("hard link to a symbolic link leads to %q, %v; want /etc/passwd", got, err)
	}
	for path, want := range map[string]uint64{"null": unix.Mkdev(1, 3), "disk": unix.Mkdev(259, 70000)} {
		if st := lstat(t, root+"/"+path); st.Rdev != want {
			t.Errorf("%q is device %#x; want %#x", path, st.Rdev, want)
		}
	}
}

// TestUnpackReplaces: the last entry of a name counts, and only directories merge.
func TestUnpackReplaces(t *testing.T) {
	rung.Privileged(t)
	root := mustUnpack(t,
		dir("a", 0o700), e{"a/kept", "1", tar.Header{}}, dir("a", 0o711), // a directory again
		dir("b", 0o755), e{"b/c/d", "1", tar.Header{}}, e{"b", "file", tar.Header{}}, // a tree becomes a file
		e{"c", "file", tar.Header{}}, dir("c", 0o755), e{"c/in", "1", tar.Header{}}, // and the other way round
		symlink("d", "a"), e{"d", "file", tar.Header{}}, // not written through
		hardlink("e", "c/in"), e{"e", "other", tar.Header{}}, // nor here
		e{"f", "1", tar.Header{}}, hardlink("f", "f"),
		e{"g", "file", tar.Header{}}, e{"g/in", "1", tar.Header{}}, // leads to an entry
	)
	wantFile(t, root+"/a/kept", "1")
	if st := lstat(t, root+"/a"); st.Mode&0o7777 != 0o711 {
		t.Errorf("mode of a is %#o; want 0711", st.Mode&0o7777)
	}
	wantFile(t, root+"/b", "file")
	wantFile(t, root+"/c/in", "1")
	wantFile(t, root+"/d", "file")
	wantFile(t, root+"/e", "other")
	wantFile(t, root+"/f", "1")
	wantFile(t, root+"/g/in", "1")
}

// TestUnpackLinks: symbolic links on the way to an entry lead where they would in
// the container.
func TestUnpackLinks(t *testing.T) {
	rung.Privileged(t)
	root := mustUnpack(t,
		dir("usr/bin", 0o755), symlink("bin", "/usr/bin"), e{"bin/sh", "usr", tar.Header{}},
		dir("deep/er", 0o755), symlink("deep/er/up", "../../../../usr"), e{"deep/er/up/x", "clamped", tar.Header{}},
		hardlink("bin/ash", "bin/sh"),
		symlink("dangling", "/not/there"), e{"dangling/x", "replaced", tar.Header{}},
	)
	wantFile(t, root+"/usr/bin/sh", "usr")
	wantFile(t, root+"/usr/bin/ash", "usr")
	wantFile(t, root+"/usr/x", "clamped")
	wantFile(t, root+"/dangling/x", "replaced")
	wantGone(t, root+"/not")
}

// TestUnpackSparse: holes stay holes, whether the tar knows of them or not.
func TestUnpackSparse(t *testing.T) {
	rung.Privileged(t)
	const size = 64 << 20
	data := makeTar(t, e{name: "zeros", content: string(make([]byte, 1<<20)) + "end"})
	// A sparse file in GNU's old format, which archive/tar reads only: a map of one
	// piece at the end.
	root, err := unpackTo(t, append(data[:len(data)-1024], gnuSparse("sparse", size, "tail")...))
	if err != nil {
		t.Fatal(err)
	}
	st := lstat(t, root+"/zeros")
	if st.Size != 1<<20+3 || st.Blocks*512 > 128<<10 {
		t.Errorf("zeros: %d bytes in %d on disk; want %d in little", st.Size, st.Blocks*512, 1<<20+3)
	}
	st = lstat(t, root+"/sparse")
	if st.Size != size || st.Blocks*512 > 128<<10 {
		t.Errorf("sparse: %d bytes in %d on disk; want %d in little", st.Size, st.Blocks*512, size)
	}
	f, err := os.Open(root + "/sparse")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end := make([]byte, 4)
	if _, err := f.ReadAt(end, size-4); err != nil || string(end) != "tail" {
		t.Errorf("its end is %q, %v; want tail", end, err)
	}
}

// gnuSparse is a tar of one file of that size, all holes but for its end.
func gnuSparse(name string, size int64, tail string) []byte {
	h := make([]byte, 512)
	copy(h, name)
	octal := func(at, n int, v int64) { copy(h[at:], fmt.Sprintf("%0*o\x00", n-1, v)) }
	octal(100, 8, 0o644)
	octal(108, 8, 0)
	octal(116, 8, 0)
	octal(124, 12, int64(len(tail)))
	octal(136, 12, 0)
	h[156] = tar.TypeGNUSparse
	copy(h[257:], "ustar  \x00")
	octal(386, 12, size-int64(len(tail))) // the piece: where, and how long
	octal(398, 12, int64(len(tail)))
	octal(483, 12, size)
	copy(h[148:], "        ")
	sum := int64(0)
	for _, b := range h {
		sum += int64(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	content := make([]byte, 512)
	copy(content, tail)
	return append(append(h, content...), make([]byte, 1024)...)
}

// TestUnpackHostile: whatever a tar says, nothing outside of the layer is read,
// changed or made.
func TestUnpackHostile(t *testing.T) {
	rung.Privileged(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		name    string
		entries []e
		want    string // error; empty: it is unpacked, below the root
	}{
		{"up", []e{{name: "../escape", content: "x"}}, "leads out of the layer"},
		{"up inside", []e{{name: "a/../../escape", content: "x"}}, "leads out of the layer"},
		{"only up", []e{{name: "..", h: tar.Header{Typeflag: tar.TypeDir}}}, "leads out of the layer"},
		{"absolute up", []e{{name: "/../escape", content: "x"}}, "leads out of the layer"},
		{"absolute", []e{{name: secret, content: "x"}}, ""},
		{"through a link", []e{symlink("out", outside), {name: "out/secret", content: "x"}}, ""},
		{"through a link up", []e{symlink("out", strings.Repeat("../", 30)+outside), {name: "out/secret", content: "x"}}, ""},
		{"through two links", []e{symlink("a", outside), symlink("b", "a"), {name: "b/secret", content: "x"}}, ""},
		{"over a link", []e{symlink("s", secret), {name: "s", content: "x"}}, ""},
		{"a directory over a link", []e{symlink("s", outside), dir("s", 0o777), {name: "s/secret", content: "x"}}, ""},
		{"the mode of a link", []e{{name: "s", h: tar.Header{Typeflag: tar.TypeSymlink, Linkname: secret, Mode: 0o777, Uid: 5}}}, ""},
		{"xattr of a link", []e{{name: "s", h: tar.Header{Typeflag: tar.TypeSymlink, Linkname: secret, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "y"}}}}, ""},
		{"link over the root", []e{symlink("./", "/etc")}, "is the root, and no directory"},
		{"file over the root", []e{{name: ".", h: tar.Header{Typeflag: tar.TypeFifo}}}, "is the root, and no directory"},
		{"magic link", []e{symlink("m", "/proc/self/root/"+outside), {name: "m/secret", content: "x"}}, ""},
		{"link loop", []e{symlink("l", "l"), {name: "l/x", content: "x"}}, "too many levels of symbolic links"},
		{"hard link out", []e{hardlink("h", "../../../"+secret)}, "leads out of the layer"},
		{"hard link to the host's", []e{hardlink("h", secret)}, "no such file or directory"},
		{"hard link through a link", []e{symlink("out", outside), hardlink("h", "out/secret")}, "no such file or directory"},
		{"hard link to a link to the host's", []e{symlink("s", secret), hardlink("h", "s"), {name: "h", content: "x"}}, ""},
		{"hard link to the root", []e{hardlink("h", "/")}, "hard link to the root"},
		{"hard link to a directory", []e{dir("d", 0o755), hardlink("h", "d")}, "operation not permitted"},
		{"hard link to nothing", []e{hardlink("h", "n")}, "no such file or directory"},
		{"hard link to a whiteout", []e{{name: ".wh.w"}, hardlink("h", "w")}, "no such file or directory"},
		{"whiteout up", []e{{name: ".wh..."}}, `whiteout of ".."`},
		{"whiteout of itself", []e{{name: ".wh.."}}, `whiteout of "."`},
		{"whiteout of nothing", []e{{name: ".wh."}}, `whiteout of ""`},
		{"whiteout outside", []e{symlink("out", outside), {name: "out/.wh.secret"}}, ""},
		{"opaque outside", []e{symlink("out", outside), {name: "out/.wh..wh..opq"}}, ""},
		{"whiteout by a device", []e{{name: "w", h: tar.Header{Typeflag: tar.TypeChar}}}, "would be a whiteout"},
		{"device numbers", []e{{name: "w", h: tar.Header{Typeflag: tar.TypeChar, Devmajor: 5000}}}, "device 5000:0"},
		{"negative device", []e{{name: "w", h: tar.Header{Typeflag: tar.TypeBlock, Devminor: -1, Format: tar.FormatGNU}}}, "device 0:-1"},
		{"negative owner", []e{{name: "f", h: tar.Header{Uid: -1, Format: tar.FormatGNU}}}, "owner -1:0"},
		{"owner that is none", []e{{name: "f", h: tar.Header{Gid: 1<<32 - 1, Format: tar.FormatGNU}}}, "owner 0:4294967295"},
		{"owner of 64 bits", []e{{name: "f", h: tar.Header{Uid: 1 << 40, Format: tar.FormatGNU}}}, "owner 1099511627776:0"},
		{"unknown type", []e{{name: "f", h: tar.Header{Typeflag: 'Z'}}}, "entries of type 'Z' are not known"},
		{"name too long", []e{{name: long, content: "x", h: tar.Header{Format: tar.FormatPAX}}}, "file name too long"},
		{"path too long", []e{{name: strings.Repeat("d/", 3000) + "x", content: "x", h: tar.Header{Format: tar.FormatPAX}}}, "file name too long"},
		{"a link that leads nowhere", []e{symlink("s", "")}, "leads nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, err := unpackTo(t, makeTar(t, tt.entries...))
			if tt.want == "" && err != nil {
				t.Errorf("unpack: %v", err)
			}
			if tt.want != "" {
				wantError(t, "unpack", err, tt.want, "entry ")
			}
			wantFile(t, secret, "secret")
			if st := lstat(t, secret); st.Mode != unix.S_IFREG|0o600 || st.Uid != 0 || st.Nlink != 1 {
				t.Errorf("the host's file has mode %#o, owner %d and %d names now", st.Mode, st.Uid, st.Nlink)
			}
			if got := xattr(t, secret, "user.x") + xattr(t, outside, opaqueXattr); got != "" {
				t.Errorf("the host's have the attribute %q now", got)
			}
			if names, err := os.ReadDir(outside); err != nil || len(names) != 1 {
				t.Errorf("the host's directory has %v, %v; want the file alone", names, err)
			}
			if names, err := os.ReadDir(filepath.Dir(root)); err != nil || len(names) != 1 {
				t.Errorf("beside the layer there is %v, %v", names, err)
			}
		})
	}
}

// TestUnpackXattrs: what overlayfs and security modules read is left out.
func TestUnpackXattrs(t *testing.T) {
	rung.Privileged(t)
	records := map[string]string{}
	names := []string{
		"trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy", "trusted.overlay.origin", "trusted.x",
		"security.selinux", "security.ima", "security.evm", "system.posix_acl_access", "security.capability",
	}
	for _, n := range names {
		records["SCHILY.xattr."+n] = "y"
	}
	records["SCHILY.xattr.user.kept"] = "y"
	root := mustUnpack(t, e{name: "d", h: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: records}})
	for _, n := range names {
		if got := xattr(t, root+"/d", n); got != "" {
			t.Errorf("xattr %q is %q; want it to be left out", n, got)
		}
	}
	if got := xattr(t, root+"/d", "user.kept"); got != "y" {
		t.Errorf("xattr user.kept is %q; want y", got)
	}
	// A value that the kernel refuses, where it counts.
	_, err := unpackTo(t, makeTar(t, e{name: "f", h: tar.Header{PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "nonsense"}}}))
	wantError(t, "nonsense capability", err, `"security.capability"`, "invalid argument")
}

// TestUnpackCutOff: a tar that ends within an entry is an error.
func TestUnpackCutOff(t *testing.T) {
	rung.Privileged(t)
	data := makeTar(t, e{name: "a", content: strings.Repeat("a", 700)}, e{name: "b", content: "b"})
	for n := 1; n < 512+700; n += 100 { // archive/tar does without what fills a block up
		if _, err := unpackTo(t, data[:n]); err == nil {
			t.Errorf("the first %d bytes are unpacked without an error", n)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := unpack(ctx, bytes.NewReader(data), filepath.Join(t.TempDir(), "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("unpack of a cancelled pull: %v; want %v", err, context.Canceled)
	}
}

// cancels is a reader that cancels once it has been read from.
type cancels struct {
	io.Reader
	cancel func()
}

func (c *cancels) Read(p []byte) (int, error) {
	defer c.cancel()
	return c.Reader.Read(p)
}

// TestUnpackInterrupted: a file of holes, of which there is nothing to read.
func TestUnpackInterrupted(t *testing.T) {
	rung.Privileged(t)
	ctx, cancel := context.WithCancel(context.Background())
	r := &cancels{bytes.NewReader(gnuSparse("sparse", 1<<30, "tail")), cancel}
	root := filepath.Join(t.TempDir(), "x")
	if err := unpack(ctx, r, root); !errors.Is(err, context.Canceled) {
		t.Errorf("unpack: %v; want %v", err, context.Canceled)
	}
	if st := lstat(t, root+"/sparse"); st.Size != 0 {
		t.Errorf("the file has %d bytes; want it to have been given up", st.Size)
	}
}

// TestUnpackTooLarge: sizes are refused before anything is read.
func TestUnpackTooLarge(t *testing.T) {
	rung.Privileged(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "huge", Typeflag: tar.TypeReg, Size: 1 << 50, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	_, err := unpackTo(t, b.Bytes())
	wantError(t, "a file of a pebibyte", err, `entry "huge"`, "at most")
}

// TestUnpackDirNames: what is kept of directories is bounded, also of those that are
// not there any more.
func TestUnpackDirNames(t *testing.T) {
	rung.Privileged(t)
	root, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	u := &unpacker{root: root, times: map[string]time.Time{}, room: len("aaa") + len("bbb")}
	for _, name := range []string{"aaa", "aaa", "bbb", "aaa"} {
		if err := u.entry(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, nil); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := u.entry(&tar.Header{Name: "aaa", Typeflag: tar.TypeReg}, nil); err != nil {
		t.Error(err)
	}
	wantError(t, "one more", u.entry(&tar.Header{Name: "c", Typeflag: tar.TypeDir}, nil), "whose paths take more than")
}

func TestBounded(t *testing.T) {
	got, err := io.ReadAll(&bounded{r: strings.NewReader("12345"), most: 5})
	if err != nil || string(got) != "12345" {
		t.Errorf("5 of 5 bytes: %q, %v", got, err)
	}
	if _, err := io.ReadAll(&bounded{r: strings.NewReader("123456"), most: 5}); err == nil || !strings.Contains(err.Error(), "is larger than 5 bytes") {
		t.Errorf("6 of 5 bytes: %v; want an error", err)
	}
}
