package rootfs

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestOverlayOptions(t *testing.T) {
	for _, tt := range []struct{ lower, upper, work, want string }{
		{"/l", "/u", "/w", "lowerdir=/l,upperdir=/u,workdir=/w"},
		{"/a:b", `/a,b`, `/a\b`, `lowerdir=/a\:b,upperdir=/a\,b,workdir=/a\\b`},
		{"/a=b", "/ü ", `/\:,`, `lowerdir=/a=b,upperdir=/ü ,workdir=/\\\:\,`},
		{"/2 /1,0 /0", "/u", "/w", `lowerdir=/2:/1\,0:/0,upperdir=/u,workdir=/w`},
	} {
		if got := overlayOptions(strings.Fields(tt.lower), tt.upper, tt.work); got != tt.want {
			t.Errorf("overlayOptions(%q, %q, %q) = %s; want %s", tt.lower, tt.upper, tt.work, got, tt.want)
		}
	}
}

func TestOverlay(t *testing.T) {
	rung.Privileged(t)
	long := strings.Repeat(strings.Repeat("l", 250)+"/", 9) // two of them fill a page
	for _, tt := range []struct{ name, lower, dir string }{
		{"plain", "/lower", "/dir"},
		{"escapes", `/a:b,c\d:\,lowerdir=x`, `/e:f,g\h upperdir=,`},
		{"long", "/" + long + "lower", "/" + long + "dir"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top := scratch(t, "")
			lower, dir := top+tt.lower, top+tt.dir
			mkdirs(t, lower, "etc")
			write(t, lower+"/etc/changed", "old")
			write(t, lower+"/etc/removed", "old")
			if err := os.Chown(lower, 7, 8); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(lower, 0o750|os.ModeSticky); err != nil {
				t.Fatal(err)
			}

			merged, err := Overlay(lower, dir)
			if err != nil {
				t.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Stat(merged, &st); err != nil || st.Uid != 7 || st.Gid != 8 || st.Mode != unix.S_IFDIR|0o1750 {
				t.Errorf("merged has owner %d:%d, mode %#o, %v; want lower's 7:8, %#o", st.Uid, st.Gid, st.Mode, err, unix.S_IFDIR|0o1750)
			}
			if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("mode of %s = %v, %v; want 0700", tt.dir, st.Mode(), err)
			}
			wantFile(t, merged+"/etc/changed", "old")
			write(t, merged+"/etc/changed", "new")
			write(t, merged+"/added", "new")
			if err := os.Remove(merged + "/etc/removed"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(merged+"/etc", merged+"/renamed"); err != nil && !strings.Contains(err.Error(), "cross-device") {
				t.Fatal(err)
			}
			wantFile(t, lower+"/etc/changed", "old")
			wantFile(t, lower+"/etc/removed", "old")
			wantGone(t, lower+"/added")

			_, err = Overlay(lower, dir)
			wantError(t, "Overlay on one that exists", err, "overlay root directory", lower[:20], "file exists")
			busy, err := os.Open(merged + "/added")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = busy.Close() }()
			for range 2 {
				if err := RemoveOverlay(dir); err != nil {
					t.Error(err)
				}
				wantGone(t, dir)
			}
			wantFile(t, lower+"/etc/removed", "old")
		})
	}
}

func TestOverlayErrors(t *testing.T) {
	rung.Privileged(t)
	top := scratch(t, "")
	mkdirs(t, top, "lower")
	write(t, top+"/file", "")
	_, err := Overlay(top+"/missing", top+"/dir")
	wantError(t, "Overlay(missing)", err, `overlay root directory "`+top+`/missing"`, "no such file or directory")
	_, err = Overlay(top+"/file", top+"/dir")
	wantError(t, "Overlay(file)", err, `overlay root directory "`+top+`/file"`, "not a directory")
	wantGone(t, top+"/dir")

	merged, err := Overlay(top+"/lower", top+"/dir")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Overlay(top+"/lower", merged+"/nested")
	wantError(t, "Overlay on an overlay", err, `overlay root directory "`+top+`/lower"`, merged+"/nested/upper", "is itself on an overlay, which is not supported")
	wantGone(t, merged+"/nested")
	if err := RemoveOverlay(top + "/dir"); err != nil {
		t.Error(err)
	}
}

func TestOverlayOnFullDisk(t *testing.T) {
	rung.Privileged(t)
	top := scratch(t, "")
	mkdirs(t, top, "lower")
	untilItFits(t,
		func(dir string) error {
			_, err := Overlay(top+"/lower", dir+"/containers/app")
			return err
		},
		func(dir string) error { return RemoveOverlay(dir + "/containers/app") })
}
