package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// executeSealed has this process begin anew as a sealed copy of its program,
// where containers would not be started with the program itself. Nothing that
// outlives execve(2) was done yet.
func executeSealed() error {
	exe, err := sandbox.SealedExecutable()
	if err != nil || exe == nil {
		return err
	}
	defer exe.Close()
	path := "/proc/self/fd/" + strconv.Itoa(int(exe.Fd()))
	return fmt.Errorf("execute sealed copy of %q: %w", os.Args[0], unix.Exec(path, os.Args, os.Environ()))
}
