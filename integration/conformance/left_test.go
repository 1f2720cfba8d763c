package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCutLeft(t *testing.T) {
	rest, left, looked := cutLeft("1..1\r\nok 1 a in 9ms\r\nleft: mount /run/tmp/bats-run-XHNUB7/runc.HknAY6/rootfs\nleft: cgroup /sys/fs/cgroup/test-123\nleft: cgroup /sys/fs/cgroup/test-4\nleft: no more\n")
	if !looked {
		t.Error("cutLeft: not looked; want looked")
	}
	if _, _, looked := cutLeft("1..1\r\nok 1 a in 9ms\r\n"); looked {
		t.Error("cutLeft of a run that broke off: looked; want not")
	}
	if want := []string{"cgroup /sys/fs/cgroup/test-*", "mount /run/tmp/bats-run*runc*rootfs"}; !slices.Equal(left, want) {
		t.Errorf("cutLeft = %q; want %q", left, want)
	}
	if results, planned := parseTAP(rest); len(results) != 1 || planned != 1 {
		t.Errorf("cutLeft leaves %q; want all but the last lines", rest)
	}
	if r := tidyResult(left); r.Outcome != fail || !strings.Contains(r.Output, "runc*rootfs") {
		t.Errorf("tidyResult = %+v; want a failure that names what is left", r)
	}
	if r := tidyResult(nil); r.Outcome != pass {
		t.Errorf("tidyResult of nothing = %+v; want a pass", r)
	}
}

// TestTellLeft asks the shell, with a file in the place of the cgroup tree.
func TestTellLeft(t *testing.T) {
	dir := t.TempDir()
	script := strings.NewReplacer("/sys/fs/cgroup", dir, "/run/before", filepath.Join(dir, "before")).
		Replace(noteBefore + " && mkdir " + dir + "/a && " + tellLeft)
	if err := os.Mkdir(filepath.Join(dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if want := "left: cgroup " + dir + "/a\nleft: no more\n"; err != nil || string(out) != want {
		t.Errorf("the shell says %q, %v; want %q", out, err, want)
	}
}
