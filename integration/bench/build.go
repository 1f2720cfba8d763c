package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// moduleRoot finds the directory of go.mod at or above the working directory.
func moduleRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == "/" {
			return "", fmt.Errorf("no go.mod at %q or above", wd)
		}
	}
}

// runcModule is the module that peer runc and podrt's libcontainer come from.
const runcModule = "github.com/opencontainers/runc"

// build makes what a run needs: what is compiled, and runc, once per version.
func build(root string) error {
	return errors.Join(compile(root), buildRunc(root))
}

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

// buildRunc builds the release of runc, with what its own go.mod requires, as
// podrt is built: static, stripped, with seccomp.
func buildRunc(root string) error {
	version, err := runcVersion(root)
	if err != nil {
		return err
	}
	path := runcPath(root, version)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "bench: building runc %s\n", version)
	cmd := exec.Command("go", "install", "-trimpath", "-tags", "seccomp netgo osusergo",
		"-ldflags", `-s -w -extldflags "-static" -X main.version=`+strings.TrimPrefix(version, "v"), runcModule+"@"+version)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOBIN="+filepath.Dir(path))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build runc %s: %w\n%s", version, err, out)
	}
	return nil
}

func runcPath(root, version string) string {
	return filepath.Join(root, "bin/bench", "runc-"+version, "runc")
}

// runcVersion is the version that go.mod requires.
func runcVersion(root string) (string, error) {
	cmd := exec.Command("go", "list", "-m", "-json", runcModule)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%q: %w", cmd.Args, err)
	}
	var m struct{ Version string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", fmt.Errorf("%q: %w", cmd.Args, err)
	}
	if m.Version == "" {
		return "", errors.New("go.mod has no version of " + runcModule)
	}
	return m.Version, nil
}

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
