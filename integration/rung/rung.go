package rung

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Env names the environment variable that says on which rung a test runs.
const Env = "PODRT_RUNG"

// Kind is a rung of the test ladder.
type Kind string

// The rungs: the values of [Env].
const (
	Unit   Kind = ""
	Native Kind = "native"
	VM     Kind = "vm"
)

func init() {
	// Code under test ends goroutines whose thread it has moved into other
	// namespaces, and Go then ends the thread; but the first thread cannot
	// end, and would keep them. So it belongs to the main goroutine alone.
	runtime.LockOSThread()
}

// Current returns the rung this process runs on.
func Current() Kind { return Kind(os.Getenv(Env)) }

// pidInitIno is the inode of the initial PID namespace, fixed by the kernel
// (PROC_PID_INIT_INO in include/uapi/linux/nsfs.h, as old as namespaces).
const pidInitIno = 0xEFFFFFFC

// Privileged skips the test on the unit rung. On the others the test fails at
// once if the rung is not what it says (root, own PID namespace, pure cgroup2),
// and fails at its end if it leaves anything behind: see [Snapshot].
//
// Call it first: whatever the test cleans up in later t.Cleanup functions is
// then gone before the check. A test that calls it cannot be parallel with
// others, since their objects would be taken for its own; it may run parallel
// subtests that do not call it themselves.
func Privileged(t testing.TB) {
	t.Helper()
	k := Current()
	if k == Unit {
		t.Skipf("needs root and private namespaces: go test -exec \"$PWD/bin/rung native\" (or vm); %s is empty", Env)
	}
	if err := check(k); err != nil {
		t.Fatalf("rung %q: %v", k, err)
	}
	// Setenv is what makes testing refuse t.Parallel; the value is of no use.
	t.Setenv("PODRT_LEAKCHECK", t.Name())
	before, err := Take()
	if err != nil {
		t.Fatalf("leak check: %v", err)
	}
	t.Cleanup(func() {
		if left := before.Settle(settleTime); left != "" {
			t.Errorf("the test left the kernel different from how it found it (- gone, + left):\n%s", left)
		}
	})
}

// check says what is missing for this process to be on rung k.
func check(k Kind) error {
	switch k {
	case Native, VM:
	default:
		return fmt.Errorf("%s=%q; want %q or %q", Env, string(k), Native, VM)
	}
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("effective uid %d; want root", uid)
	}
	if k == Native {
		var st unix.Stat_t
		if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
			return &os.PathError{Op: "stat", Path: "/proc/self/ns/pid", Err: err}
		}
		if st.Ino == pidInitIno {
			return errors.New("in the host's own PID namespace; run it through bin/rung native")
		}
	}
	_, err := cgroupRoot()
	return err
}

// NeedController ends the test unless every named cgroup v2 controller can be
// used: natively with a skip (the host may give it to cgroup v1), in the VM
// with a failure, where all of them belong.
func NeedController(t testing.TB, names ...string) {
	t.Helper()
	root, err := cgroupRoot()
	if err != nil {
		t.Fatalf("need controllers %q: %v", names, err)
	}
	missing, err := missingControllers(root, names)
	switch {
	case err != nil:
		t.Fatalf("need controllers %q: %v", names, err)
	case len(missing) == 0:
	case Current() == VM:
		t.Fatalf("the VM lacks the cgroup v2 controllers %q", missing)
	default:
		t.Skipf("no cgroup v2 controllers %q here: bin/rung vm has them", missing)
	}
}

// missingControllers returns those of names that root/cgroup.controllers lacks.
func missingControllers(root string, names []string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	have := strings.Fields(string(b))
	var missing []string
	for _, n := range names {
		if !slices.Contains(have, n) {
			missing = append(missing, n)
		}
	}
	return missing, nil
}

// NeedSystemd skips the test unless systemd is PID 1, as in a VM of rung vm
// -systemd.
func NeedSystemd(t testing.TB) {
	t.Helper()
	// sd_booted(3)
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		t.Skip("systemd is not PID 1 here: bin/rung vm -systemd has it")
	}
}

// NeedKernel skips the test on a kernel older than version ("5.14"); what names
// the feature that came with it, as in NeedKernel(t, "5.14", "cgroup.kill").
func NeedKernel(t testing.TB, version, what string) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatalf("uname: %v", err)
	}
	release := string(u.Release[:max(0, bytes.IndexByte(u.Release[:], 0))])
	older, err := olderKernel(release, version)
	if err != nil {
		t.Fatalf("need %s: %v", what, err)
	}
	if older {
		t.Skipf("%s needs Linux %s; this is %s", what, version, release)
	}
}

// olderKernel reports whether release, as uname(2) gives it ("6.12.95+deb12"),
// is older than version ("6.12" or "6.12.3").
func olderKernel(release, version string) (bool, error) {
	have, err := kernelVersion(release)
	if err != nil {
		return false, err
	}
	want, err := kernelVersion(version)
	if err != nil {
		return false, err
	}
	return slices.Compare(have[:], want[:]) < 0, nil
}

// kernelVersion parses the leading numbers of a kernel release; missing ones
// are 0.
func kernelVersion(s string) (v [3]int, err error) {
	rest := s
	for i := range v {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		if digits == "" {
			if i < 2 {
				return v, fmt.Errorf("kernel version %q: want MAJOR.MINOR[.PATCH]", s)
			}
			return v, nil
		}
		if v[i], err = strconv.Atoi(digits); err != nil {
			return v, fmt.Errorf("kernel version %q: %w", s, err)
		}
		var dot bool
		if rest, dot = strings.CutPrefix(rest[len(digits):], "."); !dot && i > 0 {
			return v, nil
		}
	}
	return v, nil
}
