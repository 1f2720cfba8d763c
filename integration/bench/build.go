package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// compile compiles the floor and the shim of Debian's crun.
func compile(root string) error {
	dir := filepath.Join(root, "bin/bench")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lib := filepath.Join(dir, "memlock.so")
	for _, c := range []struct {
		out, code string // code: pattern of files beside this one
		args      []string
	}{
		{floorPath(root), "floor/*.c", []string{"-static"}},
		{lib, "memlock/*.c", []string{"-shared", "-fPIC"}},
		{filepath.Join(dir, "crun-memlock"), "memlock/*.c", []string{"-static", `-DEXEC="/usr/bin/crun"`, `-DPRELOAD="` + lib + `"`}},
	} {
		files, err := filepath.Glob(filepath.Join(root, "integration/bench", c.code))
		if err != nil {
			return err
		}
		cmd := exec.Command("gcc", append(append(c.args, "-O2", "-Wall", "-Wextra", "-Werror", "-o", c.out), files...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile %q: %w\n%s", c.out, err, out)
		}
	}
	return nil
}

func floorPath(root string) string { return filepath.Join(root, "bin/bench/floor") }

// climb runs this program with its arguments once more, on the native rung.
func climb(root string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(root, "bin/rung"), append([]string{"native", self, "-inside"}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) { // it has said why
			os.Exit(exit.ExitCode())
		}
		return fmt.Errorf("%w; build it with: make bin/rung", err)
	}
	return nil
}
