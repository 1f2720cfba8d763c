package rung

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	// wantEnv is the rung to climb to: "vm", which is also the default, or
	// "native".
	wantEnv = "PODRT_RUNG_WANT"
	// vmEnv holds flags for rung vm: PODRT_VM="-kernel stable -shards 2".
	vmEnv = "PODRT_VM"
)

// Main is the TestMain of a package whose tests climb by themselves. On the
// unit rung it builds what they run, and then becomes this same test binary on
// the rung that is wanted. There it runs the tests.
//
// Programs maps an environment variable to the program whose path the tests
// find in it; the values are files of the module and targets of its Makefile,
// as "bin/podrt".
func Main(m *testing.M, programs map[string]string) {
	flag.Parse()
	if Current() == Unit && flag.Lookup("test.list").Value.String() == "" {
		fmt.Fprintln(os.Stderr, "climb:", climb(programs))
		os.Exit(1)
	}
	// go test takes an old result for this one's unless it sees that the
	// programs have changed: it looks at the files that the test asks for.
	for env := range programs {
		_, _ = os.Stat(os.Getenv(env))
	}
	os.Exit(m.Run())
}

// climb runs this process's arguments on the wanted rung. It returns only an
// error.
func climb(programs map[string]string) error {
	want := os.Getenv(wantEnv)
	var flags []string
	switch want {
	case "", string(VM):
		want, flags = string(VM), strings.Fields(os.Getenv(vmEnv))
	case string(Native):
	default:
		return fmt.Errorf("%s=%q; want %q or %q", wantEnv, want, VM, Native)
	}
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	// The Makefile knows the flags; go build knows what is up to date.
	build := exec.Command("make", append([]string{"-s", "-C", root, "bin/rung"}, slices.Sorted(maps.Values(programs))...)...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("%q: %w", build.Args, err)
	}
	for env, name := range programs {
		if err := os.Setenv(env, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := append([]string{"rung", want}, flags...)
	argv = append(append(argv, self), os.Args[1:]...)
	// rung prints the command that repeats a failed run.
	return syscall.Exec(filepath.Join(root, "bin/rung"), argv, os.Environ())
}

// ModuleRoot is the directory of the module: the working directory, or one above
// it. go test runs test binaries in their package's.
func ModuleRoot() (string, error) {
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
