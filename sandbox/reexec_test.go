package sandbox

import (
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/exeseal"
	"golang.org/x/sys/unix"

	_ "github.com/opencontainers/runc/libcontainer/nsenter"

	"github.com/podrt/podrt/integration/rung"
)

// libcontainer runs this test binary as the init of the containers made here.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		libcontainer.Init()
	}
	if rung.Current() != rung.Unit {
		if err := leaveMount(); err != nil {
			fmt.Fprintln(os.Stderr, "seal the test binary:", err)
			os.Exit(1)
		}
	}
}

// leaveMount goes on as a sealed copy of this binary if the binary is a mount
// of its own, as on the VM rung. libcontainer seals what it runs with an
// overlay on the binary's directory, where such a mount is not seen.
func leaveMount() error {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil || exeseal.IsSelfExeCloned() {
		return err
	}
	if is, err := isMountRoot(path); err != nil || !is {
		return err
	}
	exe, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := exe.Stat()
	if err != nil {
		return err
	}
	sealed, err := exeseal.CloneBinary(exe, info.Size(), path, os.TempDir())
	if err != nil {
		return err
	}
	return unix.Exec("/proc/self/fd/"+strconv.Itoa(int(sealed.Fd())), os.Args, os.Environ())
}
