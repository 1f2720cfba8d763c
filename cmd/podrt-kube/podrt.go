package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// podrtProgram returns the path of podrt: $PODRT, or else the one beside this
// program, that of the prefix that "make install" puts both below, or that in PATH.
func podrtProgram() (string, error) {
	if path := os.Getenv("PODRT"); path != "" {
		if err := unix.Access(path, unix.X_OK); err != nil {
			return "", fmt.Errorf("$PODRT: %w", &os.PathError{Op: "access", Path: path, Err: err})
		}
		return filepath.Abs(path)
	}
	var tried []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		tried = []string{filepath.Join(dir, "podrt"), filepath.Join(dir, "../../sbin/podrt")}
	}
	for _, path := range tried {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath("podrt"); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("the program podrt is not at %q, nor in PATH; $PODRT can say where it is: %w", tried, os.ErrNotExist)
}
