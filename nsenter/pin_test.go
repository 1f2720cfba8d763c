package nsenter

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestPinVerify(t *testing.T) {
	rung.Privileged(t)
	cfg := Config{Kinds: []Kind{UTS, Net}, PinDir: pinDir(t)}
	res := mustCreate(t, cfg)
	pin := pinOf(t, res, UTS)
	if err := pin.Verify(); err != nil {
		t.Errorf("Verify = %v; want nil", err)
	}
	other := pin
	other.Ino++
	if err := other.Verify(); !errors.Is(err, ErrPinReplaced) {
		t.Errorf("Verify of another inode = %v; want %v", err, ErrPinReplaced)
	}
	other = pin
	other.Dev++
	if err := other.Verify(); !errors.Is(err, ErrPinReplaced) {
		t.Errorf("Verify of another device = %v; want %v", err, ErrPinReplaced)
	}
	other = pin
	other.Kind = IPC
	if err := other.Verify(); !errors.Is(err, ErrPinReplaced) {
		t.Errorf("Verify as another kind = %v; want %v", err, ErrPinReplaced)
	}
	other = pin
	other.Path += "x"
	if err := other.Verify(); !errors.Is(err, ErrPinLost) {
		t.Errorf("Verify of no file = %v; want %v", err, ErrPinLost)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(pin.Path, link); err != nil {
		t.Fatal(err)
	}
	other = pin
	other.Path = link
	if err := other.Verify(); err == nil {
		t.Error("Verify through a link succeeds")
	}

	// Another namespace of the same kind, mounted over it.
	if err := unix.Mount("/proc/self/ns/uts", pin.Path, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	err := pin.Verify()
	if !errors.Is(err, ErrPinReplaced) || !strings.Contains(err.Error(), pin.Path) {
		t.Errorf("Verify of a covered pin = %v; want %v, and the path", err, ErrPinReplaced)
	}
	if err := unix.Unmount(pin.Path, 0); err != nil {
		t.Fatal(err)
	}
	if err := pin.Verify(); err != nil {
		t.Errorf("Verify = %v; want nil", err)
	}
	// Unmounted: the empty file is left.
	if err := unix.Unmount(pin.Path, 0); err != nil {
		t.Fatal(err)
	}
	if err := pin.Verify(); !errors.Is(err, ErrPinLost) {
		t.Errorf("Verify of an unmounted pin = %v; want %v", err, ErrPinLost)
	}
}

func TestPinPath(t *testing.T) {
	rung.Privileged(t)
	res := mustCreate(t, Config{Kinds: []Kind{UTS, Net, PID}, PinDir: pinDir(t)})
	net := pinOf(t, res, Net)
	dir := pinDir(t)
	dst := filepath.Join(dir, "net")

	link := filepath.Join(t.TempDir(), "link") // an engine may give one
	if err := os.Symlink(net.Path, link); err != nil {
		t.Fatal(err)
	}
	pin, err := PinPath(link, dst, Net)
	if want := (Pin{Net, dst, net.Dev, net.Ino}); err != nil || pin != want {
		t.Fatalf("PinPath = %+v, %v; want %+v", pin, err, want)
	}
	// It holds the namespace on its own.
	if err := unpinFile(net.Path); err != nil {
		t.Fatal(err)
	}
	if err := pin.Verify(); err != nil {
		t.Errorf("Verify = %v; want nil", err)
	}
	if _, err := PinPath(link, dst, Net); err == nil {
		t.Error("PinPath onto an existing pin succeeds")
	}
	if err := pin.Verify(); err != nil {
		t.Errorf("after a refused PinPath: %v", err)
	}

	fifo := filepath.Join(t.TempDir(), "fifo") // must not block
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src, want string
		kind      Kind
	}{
		{"/proc/self/ns/uts", "another kind", IPC},
		{"/proc/self/ns/mnt", "unknown kind", "mnt"},
		{"/dev/null", "not a namespace", Net},
		{fifo, "not a namespace", Net},
		{"/nowhere", "no such file", Net},
	} {
		if _, err := PinPath(c.src, filepath.Join(dir, "new"), c.kind); !matches(err, c.want) {
			t.Errorf("PinPath(%s) = %v; want %q", c.src, err, c.want)
		}
	}
	if _, err := PinPath("/proc/self/ns/uts", filepath.Join(dir, "none", "uts"), UTS); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("PinPath into no directory = %v; want %v", err, os.ErrNotExist)
	}
	if err := Unpin(dir); err != nil {
		t.Error(err)
	}
	wantEmpty(t, dir)
}

func TestUnpin(t *testing.T) {
	rung.Privileged(t)
	dir := pinDir(t)
	res, err := Create(Config{Kinds: []Kind{Cgroup, IPC, UTS, Net, Time}, PinDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	// Something that is in use, doubly mounted, already unmounted, already gone.
	open, err := pinOf(t, res, Net).Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/proc/self/ns/ipc", filepath.Join(dir, "ipc"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Unmount(filepath.Join(dir, "uts"), 0); err != nil {
		t.Fatal(err)
	}
	if err := unpinFile(filepath.Join(dir, "time")); err != nil {
		t.Fatal(err)
	}
	// And what is not ours.
	other := filepath.Join(dir, "hosts")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Unpin(dir); err != nil {
			t.Errorf("Unpin = %v; want nil", err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != "hosts" {
			t.Errorf("the directory holds %v, %v; want hosts alone", entries, err)
		}
	}
	if err := open.Close(); err != nil {
		t.Error(err)
	}
	if err := Unpin(filepath.Join(dir, "none")); err != nil {
		t.Errorf("Unpin of no directory = %v; want nil", err)
	}

	// A link is removed, and where it leads to stays; a directory is an error,
	// and the rest is still removed.
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/proc/self/ns/net", target, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "net")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "ipc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Unpin(dir); !matches(err, `remove pin "`+filepath.Join(dir, "ipc")+`"`) {
		t.Errorf("Unpin of a directory = %v; want an error that names it", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "net")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is still there: %v", err)
	}
	if err := unix.Unmount(target, 0); err != nil {
		t.Errorf("where the link led to is no longer mounted: %v", err)
	}
}
