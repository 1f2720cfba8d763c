package nsenter

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// A container's root without CAP_SYS_PTRACE can do nothing with it; with that,
// it still cannot change the executable.
func TestInitAttacked(t *testing.T) {
	for name, cfg := range initVariants() {
		for _, sealed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/sealed=%v", name, sealed), func(t *testing.T) {
				rung.Privileged(t)
				cfg.PinDir = pinDir(t)
				if sealed {
					cfg.Exe = sealedExe(t)
				}
				res := mustCreate(t, cfg)
				for line := range strings.SplitSeq(runInside(t, res, "attack"), "\n") {
					if line != "" {
						t.Errorf("inside: %s", line)
					}
				}
				if sealed {
					for line := range strings.SplitSeq(runInside(t, res, "attack-exe"), "\n") {
						if line != "" {
							t.Errorf("inside, with CAP_SYS_PTRACE: %s", line)
						}
					}
				}
				if !alive(t, res.InitPidFD) {
					t.Error("the pod init has ended")
				}
			})
		}
	}
}

// sealedExe is this program in a sealed memfd.
func sealedExe(t testing.TB) *os.File {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.MemfdCreate("exe", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "memfd:exe")
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	// Readable only, as it must be to be executed.
	ro, err := os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Cleanup(func() { ro.Close() })
	return ro
}
