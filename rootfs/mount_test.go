package rootfs

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestMountErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  MountError
		want string
	}{
		{
			MountError{Op: "mount", Source: "shm", Target: "/t", FSType: "tmpfs", Flags: 6, Data: "size=1", Err: unix.EPERM},
			`mount "shm" on "/t" (type tmpfs, flags 0x6, options "size=1"): operation not permitted`,
		},
		{
			MountError{Op: "umount2", Target: "/t", Flags: unix.MNT_DETACH, Err: unix.EBUSY},
			`umount2 "/t" (flags 0x2): device or resource busy`,
		},
		{
			MountError{Op: "open_tree", Source: "/s", Err: unix.ENOENT},
			`open_tree "/s": no such file or directory`,
		},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error() = %s; want %s", got, tt.want)
		}
		if !errors.Is(&tt.err, tt.err.Err) {
			t.Errorf("%v does not unwrap to %v", &tt.err, tt.err.Err)
		}
	}
}

func TestUnmount(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	mkdirs(t, dir, "plain", "stacked")
	write(t, dir+"/file", "")
	symlink(t, dir+"/stacked", dir+"/link")
	for _, path := range []string{"/plain", "/missing", "/missing/too", "/file"} {
		if err := unmount(dir + path); err != nil {
			t.Errorf("unmount(%s): %v", path, err)
		}
	}
	for range 3 {
		if err := mount("t", dir+"/stacked", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := unmount(dir + "/link"); err != nil {
		t.Errorf("unmount(symlink): %v", err)
	}
	if got := mountsBelow(t, dir); len(got) != 3 {
		t.Errorf("mounts after unmounting a symlink: %q; want the 3 that were there", got)
	}
	if err := unmount(dir + "/stacked"); err != nil {
		t.Errorf("unmount(stacked): %v", err)
	}
	if got := mountsBelow(t, dir); len(got) != 0 {
		t.Errorf("mounts after unmount: %q; want none", got)
	}
}

// A pin shows what is mounted in the original later. Neither what is mounted
// in the pin nor its removal reaches back: also when a SIGKILL left it before it was made a slave.
func TestPinPropagation(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	if err := mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	mkdirs(t, dir, "run", "host/early", "host/late")
	if err := mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := mount("host", dir+"/host", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := mount("", dir+"/host", "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	mkdirs(t, dir, "host/early", "host/late")
	if err := mount("early", dir+"/host/early", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/host/early/file", "early")

	src, err := MakeVolume(Volume{Name: "v", HostPath: &HostPath{Path: dir + "/host"}}, dir+"/run/volumes", dir+"/lib")
	if err != nil {
		t.Fatal(err)
	}
	if err := mount("late", dir+"/host/late", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/host/late/file", "late")
	wantFile(t, src+"/early/file", "early")
	wantFile(t, src+"/late/file", "late")
	if err := mount("container", src+"/early", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir+"/host/early/file", "early")

	// As bind leaves it in the middle: a peer of the original.
	mkdirs(t, dir, "run/volumes/cut")
	if err := mount(dir+"/host", dir+"/run/volumes/cut", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	if err := RemoveVolumes(dir+"/run/volumes", dir+"/lib"); err != nil {
		t.Error(err)
	}
	wantGone(t, dir+"/run/volumes")
	wantFile(t, dir+"/host/early/file", "early")
	wantFile(t, dir+"/host/late/file", "late")
	want := []string{dir + "/host", dir + "/host/early", dir + "/host/late"}
	got := mountsBelow(t, dir)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("mounts after removal: %q; want %q", got, want)
	}
}

// killedEnv makes the test binary the process that TestRemoveAfterSIGKILL kills.
const killedEnv = "PODRT_ROOTFS_KILLED"

// makeAndRemoveForever writes a byte to stdout at each step.
func makeAndRemoveForever(dir string) {
	step := func(err error) {
		if err == nil {
			_, err = os.Stdout.Write([]byte{'.'})
		}
		if err != nil {
			println(err.Error())
			os.Exit(1)
		}
	}
	for {
		for _, v := range []Volume{
			{Name: "memory", EmptyDir: &EmptyDir{Medium: MediumMemory, SizeLimit: 1 << 16}},
			{Name: "disk", EmptyDir: &EmptyDir{}},
			{Name: "host", HostPath: &HostPath{Path: dir + "/host"}},
		} {
			_, err := MakeVolume(v, dir+"/run", dir+"/lib")
			step(err)
		}
		step(Subpath(dir+"/lib/disk", "a/b", dir+"/subpaths/0"))
		step(MountShm(dir+"/shm", 1<<16))
		merged, err := Overlay(dir+"/host", dir+"/overlay")
		step(err)
		step(os.WriteFile(merged+"/file", []byte("of the container"), 0o600))
		step(RemoveOverlay(dir + "/overlay"))
		step(UnmountShm(dir + "/shm"))
		step(RemoveSubpaths(dir + "/subpaths"))
		step(RemoveVolumes(dir+"/run", dir+"/lib"))
	}
}

func TestRemoveAfterSIGKILL(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	mkdirs(t, dir, "host/sub")
	write(t, dir+"/host/file", "precious")
	for steps := 1; steps <= 24; steps++ {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), killedEnv+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range steps {
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatalf("the process to be killed ended by itself: %v", err)
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()

		for range 2 {
			for _, err := range []error{
				RemoveOverlay(dir + "/overlay"),
				UnmountShm(dir + "/shm"),
				RemoveSubpaths(dir + "/subpaths"),
				RemoveVolumes(dir+"/run", dir+"/lib"),
			} {
				if err != nil {
					t.Errorf("killed after step %d: %v", steps, err)
				}
			}
		}
		if left := mountsBelow(t, dir); len(left) > 0 {
			t.Fatalf("killed after step %d: %q are left mounted", steps, left)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Fatalf("killed after step %d: %v, %v are left; want only host", steps, left, err)
		}
		wantFile(t, dir+"/host/file", "precious")
	}
}
