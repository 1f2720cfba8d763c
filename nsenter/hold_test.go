package nsenter

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// The lock is the sandbox process's as well as its parent's, and not the pod
// init's.
func TestCreateHold(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			path := filepath.Join(t.TempDir(), "lock")
			lock := func() *os.File {
				f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				return f
			}
			held, other := lock(), lock()
			if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			cfg.Hold = held
			seen := ""
			end := atExec(func(pid int) {
				seen, _ = os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(holdFD))
				held.Close() // as podrt's death would
				if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
					t.Errorf("flock while there is a sandbox process: %v; want EWOULDBLOCK", err)
				}
				if err := unix.PtraceDetach(pid); err != nil {
					t.Error(err)
				}
			})
			defer end()
			mustCreate(t, cfg)
			if seen != path {
				t.Errorf("descriptor %d of the sandbox process is %q; want %q", holdFD, seen, path)
			}
			if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
				t.Errorf("flock after the sandbox process: %v", err)
			}
		})
	}
}
