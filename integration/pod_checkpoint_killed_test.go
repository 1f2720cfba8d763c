package integration

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodCheckpointKilled kills podrt between CRIU's work and its own: the images
// are known for those of a pod's container, and can be restored there. What CRIU
// has not made is not known for anything.
func TestPodCheckpointKilled(t *testing.T) {
	w := newWorld(t)
	if rung.Current() == rung.Native {
		t.Skip("CRIU needs capabilities and /proc files that the native rung lacks; bin/rung vm has them")
	}
	uid := w.create(t, "p", "--share", "net,ipc,uts")
	neighbour := w.add(t, "p", "n")
	neighbour.ask(t, "sem-set", "7", "1") // CRIU saves it with the container
	images := filepath.Join(w.dir, "images")
	mark := filepath.Join(images, "podrt.json")

	// Its output is a file of the host's.
	w.ok(t, "run", "--detach", "--pod", "p", "--bundle", w.bundle(t, bundle.Spec("sleep", "1000")), "d")
	w.fails(t, 1, []string{"criu failed: type DUMP"}, "checkpoint", "--image-path", images, "d")
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a checkpoint that failed: %s: %v; want none", mark, err)
	}
	w.ok(t, "delete", "--force", "d")

	s := bundle.Spec("sh", "-c", `exec </dev/null >/dev/null 2>&1; `+strings.ReplaceAll(counting, "busybox mv", "mv"))
	s.Root.Readonly = false
	dir := w.bundle(t, s)
	count := func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "rootfs/tmp/n"))
		n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return n
	}
	w.ok(t, "run", "--detach", "--pod", "p", "--bundle", dir, "c")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	argv := w.argv("checkpoint", "--image-path", images, "c")
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The last file that CRIU writes: the container's processes are killed.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Microsecond) {
		if _, err := os.Stat(filepath.Join(images, "stats-dump")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			t.Fatal("CRIU has not saved the container within a minute")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if text := readFile(t, mark); !strings.Contains(text, uid) {
		t.Errorf("%s: %s; want the pod's UID", mark, text)
	}
	at := count()
	eventually(t, "the container's end", func() bool { return w.inspect(t, "p").container(t, "c").Status == "stopped" })
	w.ok(t, "delete", "c")

	restore := []string{"restore", "--detach", "--bundle", dir, "--image-path", images}
	w.fails(t, 1, []string{`of container "c" in pod "p"`, "--pod"}, append(restore, "c")...)
	w.ok(t, append(restore, "--pod", "p", "c")...)
	eventually(t, "the count goes on", func() bool { return count() > at+1 })
	out, err := exec.Command("nsenter", "--net="+filepath.Join(w.run, "pods", uid, "ns/net"), "nft", "list", "ruleset").CombinedOutput()
	if err != nil || strings.Contains(string(out), "CRIU") {
		t.Errorf("rules in the pod's network after the restore: %v:\n%s\nwant none of CRIU's", err, out)
	}
	w.ok(t, "delete", "--force", "c")
}
