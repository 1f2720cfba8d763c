package rung

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestKernelVersion(t *testing.T) {
	for _, c := range []struct {
		in   string
		want [3]int
		ok   bool
	}{
		{"5.14", [3]int{5, 14, 0}, true},
		{"6.12.95+deb12-amd64", [3]int{6, 12, 95}, true},
		{"6.1.0-32-amd64", [3]int{6, 1, 0}, true},
		{"6.18-rc3", [3]int{6, 18, 0}, true},
		{"6.18.44-fc-v669", [3]int{6, 18, 44}, true},
		{"6.", [3]int{}, false},
		{"6", [3]int{}, false},
		{"", [3]int{}, false},
		{"v6.1", [3]int{}, false},
	} {
		got, err := kernelVersion(c.in)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("kernelVersion(%q) = %v, %v; want %v, ok %t", c.in, got, err, c.want, c.ok)
		}
	}
}

func TestOlderKernel(t *testing.T) {
	for _, c := range []struct {
		release, version string
		want             bool
	}{
		{"6.1.0-32-amd64", "6.12", true},
		{"6.12.95+deb12-amd64", "6.12", false},
		{"6.12.95+deb12-amd64", "6.12.96", true},
		{"5.9.1", "5.14", true},
		{"6.0.0", "5.14", false},
	} {
		if got, err := olderKernel(c.release, c.version); err != nil || got != c.want {
			t.Errorf("olderKernel(%q, %q) = %t, %v; want %t", c.release, c.version, got, err, c.want)
		}
	}
}

func TestMissingControllers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte("cpuset cpu io memory\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := missingControllers(dir, []string{"memory", "pids", "mem"})
	if want := []string{"pids", "mem"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("missingControllers = %q, %v; want %q", got, err, want)
	}
	if _, err := missingControllers(t.TempDir(), []string{"memory"}); err == nil {
		t.Error("missingControllers of a directory without cgroup.controllers: no error")
	}
}

func TestCheckRefusesUnknownRung(t *testing.T) {
	if err := check("nativ"); err == nil {
		t.Error(`check("nativ"): no error`)
	}
}

// TestVMHasAll fails in a VM that could not run the other tests.
func TestVMHasAll(t *testing.T) {
	Privileged(t)
	if Current() != VM {
		t.Skip("only the VM promises them")
	}
	NeedController(t, "cpuset", "cpu", "io", "memory", "hugetlb", "pids")
}
