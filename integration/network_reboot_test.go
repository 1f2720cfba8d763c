package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const oldBoot = "00000000-0000-0000-0000-000000000000"

// reboot leaves of the pods what a reboot leaves: of the kernel's objects none,
// of the roots what is on disk. The run root is there only if it is kept, as
// where it lies on a disk; then its records, leases and claims say that they are
// of another boot: reboot returns how many of the latter. The run root must have
// no pods but these.
func (w *netWorld) reboot(t *testing.T, keepRun bool, pods ...string) int {
	t.Helper()
	boot := strings.TrimSpace(readFile(t, "/proc/sys/kernel/random/boot_id"))
	saved := t.TempDir()
	for _, root := range []string{w.run, w.lib} {
		copyTree(t, root, filepath.Join(saved, filepath.Base(root)))
	}
	for _, p := range pods {
		w.forget(p, "c")
	}
	w.ok(t, append([]string{"pod", "rm", "-f"}, pods...)...)
	w.unmountRun(t)
	for _, root := range []string{w.run, w.lib} {
		removeAll(t, root)
		if root == w.run && !keepRun {
			continue
		}
		if err := os.Rename(filepath.Join(saved, filepath.Base(root)), root); err != nil {
			t.Fatal(err)
		}
	}
	if !keepRun {
		removeAll(t, filepath.Join(w.lib, "pods")) // nobody knows these any more
		return 0
	}
	for _, p := range pods {
		changeRecord(t, w.arena, p, func(rec map[string]any) { rec["bootID"] = oldBoot })
	}
	changed := 0
	err := filepath.WalkDir(filepath.Join(w.run, "networks"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		target, err := os.Readlink(path)
		if err != nil || !strings.Contains(target, boot) {
			return err
		}
		changed++
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Symlink(strings.ReplaceAll(target, boot, oldBoot), path)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return changed
}

// TestNetworkReboot: what pods held before a reboot is free again, and removing
// what is left of them takes nothing away from those who have it now.
func TestNetworkReboot(t *testing.T) {
	natively(t)
	t.Run("run root on disk", func(t *testing.T) {
		w := newNetWorld(t)
		w.ok(t, "network", "create", "--subnet", "10.99.1.0/29", "--ipv6=false", "small")
		asked := []string{"--network", "small", "--ip", "10.99.1.2", "-p", "8080:80"}
		w.bare(t, "old", asked...)
		for _, name := range []string{"p3", "p4", "p5", "p6"} {
			w.bare(t, name, "--network", "small")
		}
		if n := w.reboot(t, true, "old", "p3", "p4", "p5", "p6"); n < 6 {
			t.Fatalf("%d leases and claims of the boot before; want five addresses and a port", n)
		}

		fresh := w.pod(t, "fresh", asked...)
		other := w.bare(t, "other", "--network", "small") // the subnet was full
		w.outside.reach(t, hostIP+":8080", "fresh for "+outsideIP)
		wantDead(t, w.arena, "old", "before the last boot")

		w.ok(t, "pod", "rm", "old", "p3", "p4", "p5", "p6")
		w.outside.reach(t, hostIP+":8080", "fresh for "+outsideIP)
		fresh.reach(t, hostIP+":8080", "fresh for")
		w.refuse(t, []refusal{
			{name: "address", args: []string{"pod", "create", "--network", "small", "--ip", "10.99.1.2", "q"}, code: 1, words: []string{`"fresh"`, "10.99.1.2"}},
			{name: "port", args: []string{"pod", "create", "--network", "small", "-p", "8080:80", "q"}, code: 1, words: []string{`"fresh"`, "8080"}},
			{name: "network", args: []string{"network", "rm", "small"}, code: 1, words: []string{`"small"`}},
		})
		if got := w.inspectNetwork(t, "small").pods(); len(got) != 2 {
			t.Errorf("pods %q of the network; want fresh and %s", got, other.name)
		}
	})
	t.Run("run root in memory", func(t *testing.T) {
		w := newNetWorld(t)
		before := w.bare(t, "old", "--network", "bridge", "-p", "8080:80")
		subnets := w.inspectNetwork(t, "bridge").Bridge.Subnets
		w.reboot(t, false, "old")
		after := w.pod(t, "old", "--network", "bridge", "-p", "8080:80")
		if after.uid == before.uid {
			t.Errorf("UID %s again", after.uid)
		}
		if got := w.inspectNetwork(t, "bridge").Bridge.Subnets; len(got) != len(subnets) || got[0] != subnets[0] {
			t.Errorf("subnets %v; want the network as it was defined: %v", got, subnets)
		}
		w.outside.reach(t, hostIP+":8080", "old for "+outsideIP)
	})
}
