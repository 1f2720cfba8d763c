package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// An engine has its runtime killed with itself (PR_SET_PDEATHSIG), which is a
// setting of the thread that was started: execve(2) by another one would lose
// it. So the main goroutine stays on that thread until executeSealed returns.
func init() { runtime.LockOSThread() }

// executeSealed has this process begin anew as a sealed copy of its program,
// where containers would not be started with the program itself. Nothing that
// outlives execve(2) was done yet.
func executeSealed() error {
	defer runtime.UnlockOSThread()
	exe, err := sandbox.SealedExecutable()
	if err != nil || exe == nil {
		return err
	}
	defer exe.Close()
	path := "/proc/self/fd/" + strconv.Itoa(int(exe.Fd()))
	return fmt.Errorf("execute sealed copy of %q: %w", os.Args[0], unix.Exec(path, os.Args, os.Environ()))
}
