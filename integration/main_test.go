package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

const (
	// wantEnv is the rung to run on: "vm", which is also the default, or
	// "native".
	wantEnv = "PODRT_RUNG_WANT"
	// vmEnv holds flags for rung vm: PODRT_VM="-kernel stable -shards 2".
	vmEnv = "PODRT_VM"
	// binEnv and probeEnv are the paths of the programs that tests run.
	binEnv   = "PODRT_BIN"
	probeEnv = "PODRT_PROBE"
)

// TestMain on the unit rung builds what the tests run, and then becomes this
// same test binary on the rung that is wanted. There it runs the tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if rung.Current() == rung.Unit && flag.Lookup("test.list").Value.String() == "" {
		fmt.Fprintln(os.Stderr, "integration:", climb())
		os.Exit(1)
	}
	// go test takes an old result for this one's unless it sees that the
	// programs have changed: it looks at the files that the test asks for.
	for _, env := range []string{binEnv, probeEnv} {
		_, _ = os.Stat(os.Getenv(env))
	}
	os.Exit(m.Run())
}

// climb runs this process's arguments on the wanted rung. It returns only an
// error.
func climb() error {
	want := os.Getenv(wantEnv)
	var flags []string
	switch want {
	case "", string(rung.VM):
		want, flags = string(rung.VM), strings.Fields(os.Getenv(vmEnv))
	case string(rung.Native):
	default:
		return fmt.Errorf("%s=%q; want %q or %q", wantEnv, want, rung.VM, rung.Native)
	}
	// go test runs test binaries in their package's directory.
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	bin := filepath.Join(root, "bin")
	// The Makefile knows the flags; go build knows what is up to date.
	for _, args := range [][]string{
		{"make", "-s", "-C", root, "bin/podrt", "bin/rung"},
		{"env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", filepath.Join(bin, "probe"), "./probe"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%q: %w", args, err)
		}
	}
	for env, name := range map[string]string{binEnv: "podrt", probeEnv: "probe"} {
		if err := os.Setenv(env, filepath.Join(bin, name)); err != nil {
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
	return syscall.Exec(filepath.Join(bin, "rung"), argv, os.Environ())
}

// TestOnTheRung is the least privileged test: it says which kernel the others
// run on.
func TestOnTheRung(t *testing.T) {
	rung.Privileged(t)
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("rung %q, Linux %s", rung.Current(), strings.TrimSpace(string(release)))
	for _, env := range []string{binEnv, probeEnv} {
		path := os.Getenv(env)
		if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s=%q: %v; want a program", env, path, err)
		}
	}
	out, err := exec.Command(os.Getenv(binEnv), "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "podrt") {
		t.Errorf("podrt --version: %v: %s", err, out)
	}
}
