package rootfs

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestCheckSubpath(t *testing.T) {
	for sub, want := range map[string]string{
		"a":       "",
		"a/b..c/": "",
		"./a":     "",
		"":        "subPath is empty",
		"/a":      `subPath "/a" is absolute`,
		"..":      `subPath ".." contains ".."`,
		"a/../b":  `subPath "a/../b" contains ".."`,
		"a\x00":   `subPath "a\x00" contains a zero byte`,
	} {
		got := ""
		if err := CheckSubpath(sub); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckSubpath(%q) = %s; want %s", sub, got, want)
		}
	}
}

func TestSubpath(t *testing.T) {
	rung.Privileged(t)
	top := scratch(t, "")
	volume, secret, pins := top+"/volume", top+"/secret", top+"/pod/subpaths"
	mkdirs(t, top, "volume/a/b", "volume/c", "secret")
	write(t, secret+"/file", "secret")
	write(t, volume+"/a/b/file", "inside")
	write(t, volume+"/c/file", "inside")
	if err := os.Chmod(volume, 0o777); err != nil {
		t.Fatal(err)
	}
	defer unix.Umask(unix.Umask(0o077))
	for link, to := range map[string]string{
		"inside":   "a/b",
		"a/side":   "../c",
		"absolute": secret,
		"self":     volume + "/c",
		"relative": "../secret",
		"a/deep":   "../../secret/file",
		"magic":    "/proc/self/cwd",
		"dangling": "nowhere",
		"out-new":  "../secret/new",
		"loop":     "loop",
	} {
		symlink(t, to, volume+"/"+link)
	}
	for i, tt := range []struct {
		sub  string
		file string   // what has the content "inside", relative to the pin
		err  []string // parts of the error
	}{
		{"a/b", "/file", nil},
		{"./a//b/", "/file", nil},
		{".", "/c/file", nil},
		{"a/b/file", "", nil},
		{"inside", "/file", nil},
		{"inside/file", "", nil},
		{"a/side", "/file", nil},
		{"absolute", "", []string{`subPath "absolute" of volume directory "` + volume + `"`, "a symlink leads out of the volume"}},
		{"absolute/new", "", []string{"a symlink leads out of the volume"}},
		{"self", "", []string{"a symlink leads out of the volume"}},
		{"relative", "", []string{"a symlink leads out of the volume"}},
		{"relative/new/dir", "", []string{"a symlink leads out of the volume"}},
		{"a/deep", "", []string{"a symlink leads out of the volume"}},
		{"magic", "", []string{"a symlink leads out of the volume"}},
		{"out-new", "", []string{"a symlink leads out of the volume"}},
		{"dangling", "", []string{`"dangling" is a symlink that leads nowhere`}},
		{"dangling/x", "", []string{`"dangling" is a symlink that leads nowhere`}},
		{"loop", "", []string{"too many levels of symbolic links"}},
		{"a/b/file/x", "", []string{"not a directory"}},
		{"../secret", "", []string{`subPath "../secret" contains ".."`}},
		{secret, "", []string{"is absolute"}},
	} {
		pin := fmt.Sprintf("%s/%d", pins, i)
		err := Subpath(volume, tt.sub, pin)
		if tt.err != nil {
			wantError(t, "Subpath("+tt.sub+")", err, tt.err...)
			wantGone(t, pin)
			continue
		}
		if err != nil {
			t.Errorf("Subpath(%s): %v", tt.sub, err)
			continue
		}
		wantFile(t, pin+tt.file, "inside")
	}
	wantGone(t, secret+"/new")

	// What is missing is made with the volume's mode, also behind a symlink.
	if err := unix.Chmod(volume, 0o2775); err != nil {
		t.Fatal(err)
	}
	for i, sub := range []string{"new/dir", "inside/new", "a/side/new"} {
		pin := fmt.Sprintf("%s/new%d", pins, i)
		if err := Subpath(volume, sub, pin); err != nil {
			t.Errorf("Subpath(%s): %v", sub, err)
			continue
		}
		write(t, pin+"/written", sub)
		wantFile(t, volume+"/"+sub+"/written", sub)
		var st unix.Stat_t
		if err := unix.Stat(volume+"/"+sub, &st); err != nil || st.Mode != unix.S_IFDIR|0o2775 {
			t.Errorf("mode of made %s = %#o, %v; want the volume's 02775", sub, st.Mode, err)
		}
	}
	wantError(t, "Subpath on a pin that exists", Subpath(volume, "a", pins+"/0"), "file exists")
	wantError(t, "Subpath of a missing volume", Subpath(top+"/no", "a", pins+"/x"), `subPath "a" of volume directory "`+top+`/no"`, "no such file or directory")
	wantError(t, "Subpath of a file", Subpath(volume+"/c/file", "a", pins+"/x"), "not a directory")

	for range 2 {
		if err := RemoveSubpaths(pins); err != nil {
			t.Error(err)
		}
		wantGone(t, pins)
	}
	wantFile(t, volume+"/a/b/file", "inside")
	wantFile(t, volume+"/new/dir/written", "new/dir")
}

// A container swaps a directory for a symlink as fast as it can, while the
// subPath of another is made: the pin is always inside the volume.
func TestSubpathRace(t *testing.T) {
	rung.Privileged(t)
	top := scratch(t, "")
	volume, pins := top+"/volume", top+"/subpaths"
	mkdirs(t, top, "volume/a/b", "secret/b")
	write(t, volume+"/a/b/file", "inside")
	write(t, top+"/secret/b/file", "secret")
	symlink(t, "../secret", volume+"/evil")

	var swapper sync.WaitGroup
	stop, swapped := make(chan struct{}), make(chan error, 1)
	swapper.Go(func() {
		for first := true; ; first = false {
			err := unix.Renameat2(unix.AT_FDCWD, volume+"/a", unix.AT_FDCWD, volume+"/evil", unix.RENAME_EXCHANGE)
			if first || err != nil {
				swapped <- err
			}
			if err != nil {
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	if err := <-swapped; err != nil {
		t.Fatal(err)
	}

	// Both outcomes must be seen, or nothing was raced.
	inside, refused := 0, 0
	for i := 0; i < 200 || i < 20000 && (inside == 0 || refused == 0); i++ {
		pin := fmt.Sprintf("%s/%d", pins, i)
		for _, sub := range []string{"a/b", "a/b/new"} {
			err := Subpath(volume, sub, pin)
			switch {
			case err == nil && sub == "a/b":
				inside++
				wantFile(t, pin+"/file", "inside")
			case err == nil:
			case errors.Is(err, unix.EXDEV):
				refused++
			case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ELOOP):
			default:
				t.Errorf("Subpath(%s): %v", sub, err)
			}
			if err := unpin(pin); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	swapper.Wait()
	if inside == 0 || refused == 0 {
		t.Errorf("%d pins inside, %d refused; want some of both", inside, refused)
	}
	entries, err := os.ReadDir(top + "/secret/b")
	if err != nil || len(entries) != 1 {
		t.Errorf("in the secret directory: %v, %v; want only its file", entries, err)
	}
	if err := RemoveSubpaths(pins); err != nil {
		t.Error(err)
	}
}

// A container swaps a directory that a subPath has just made for another user's,
// which stays closed as it is.
func TestSubpathRaceMode(t *testing.T) {
	rung.Privileged(t)
	top := scratch(t, "")
	volume, pin := top+"/volume", top+"/subpath"
	mkdirs(t, top, "volume/closed")
	write(t, volume+"/closed/key", "key")
	for dir, mode := range map[string]uint32{volume: 0o777, volume + "/closed": 0o700} {
		if err := unix.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	var swapper sync.WaitGroup
	stop := make(chan struct{})
	swapper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, volume+"/closed", unix.AT_FDCWD, volume+"/new", unix.RENAME_EXCHANGE)
			}
		}
	})
	defer swapper.Wait()
	defer close(stop)
	swapped := 0
	for i := 0; i < 200 || i < 20000 && swapped == 0; i++ {
		if err := Subpath(volume, "new", pin); err == nil {
			var st unix.Stat_t
			if _, err := os.Stat(pin + "/key"); err == nil {
				swapped++
				if err := unix.Stat(pin, &st); err != nil || st.Mode&0o7777 != 0o700 {
					t.Fatalf("mode of the directory that was there before = %#o, %v; want 0700", st.Mode, err)
				}
			}
		}
		if err := unpin(pin); err != nil {
			t.Fatal(err)
		}
		// Whichever is empty goes, and with it the swapper has nothing to do.
		_ = unix.Rmdir(volume + "/new")
		_ = unix.Rmdir(volume + "/closed")
		_ = unix.Rename(volume+"/new", volume+"/closed")
	}
	if swapped == 0 {
		t.Error("nothing was raced")
	}
}

func TestSubpathOnFullDisk(t *testing.T) {
	rung.Privileged(t)
	volume := t.TempDir()
	mkdirs(t, volume, "sub")
	untilItFits(t,
		func(dir string) error { return Subpath(volume, "sub", dir+"/subpaths/app/0") },
		func(dir string) error { return RemoveSubpaths(dir + "/subpaths/app") })
	// And a full volume.
	full := scratch(t, "nr_inodes=1")
	pins := t.TempDir() + "/pins"
	err := Subpath(full, "new", pins+"/0")
	wantError(t, "Subpath in a full volume", err, `subPath "new" of volume directory "`+full+`"`, "no space left on device")
	if err := RemoveSubpaths(pins); err != nil {
		t.Error(err)
	}
}
