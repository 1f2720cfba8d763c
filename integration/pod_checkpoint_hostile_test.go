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

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodCheckpointMovedMounts is TestOCICheckpointMovedMount and
// TestOCICheckpointSwappedMounts for a container of a pod, which has volumes that
// others write to: what is refused leaves the pod as it was.
func TestPodCheckpointMovedMounts(t *testing.T) {
	w := newWorld(t)
	if rung.Current() == rung.Native {
		t.Skip("CRIU needs capabilities and /proc files that the native rung lacks; bin/rung vm has them")
	}
	uid := w.create(t, "p", "--share", "net,ipc,uts,pid")
	s := bundle.Spec("sh", "-c", `exec </dev/null >/dev/null 2>&1; `+strings.ReplaceAll(counting, "busybox mv", "mv"))
	s.Root.Readonly = false
	for name, options := range map[string][]string{"ro": {"rbind", "ro"}, "rw": {"rbind"}} {
		if err := os.Mkdir(filepath.Join(w.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/" + name + "/m", Source: filepath.Join(w.dir, name), Type: "bind", Options: options})
	}
	dir := w.bundle(t, s)
	count := func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "rootfs/tmp/n"))
		n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return n
	}
	open := func() {
		t.Helper()
		out, err := exec.Command("nsenter", "--net="+filepath.Join(w.run, "pods", uid, "ns/net"), "nft", "list", "ruleset").CombinedOutput()
		if err != nil || strings.Contains(string(out), "CRIU") {
			t.Errorf("rules in the pod's network: %v:\n%s\nwant none of CRIU's", err, out)
		}
	}
	w.ok(t, "run", "--detach", "--pod", "p", "--bundle", dir, "c")
	eventually(t, "the count begins", func() bool { return count() > 2 })

	images := filepath.Join(w.dir, "images")
	for _, target := range []string{"/x/m]:/etc", "/"} {
		w.ok(t, "exec", "c", "sh", "-c", "set -e; mv /rw /x; mkdir /rw; ln -s '"+target+"' /rw/m")
		w.fails(t, 1, []string{"criu: invalid external mount destination"}, "checkpoint", "--image-path", images, "c")
		if _, err := os.Stat(filepath.Join(images, "podrt.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the images are marked as a container's: %v", err)
		}
		open()
		at := count()
		eventually(t, "the count goes on", func() bool { return count() > at+1 })
		w.ok(t, "exec", "c", "sh", "-c", "set -e; rm -r /rw; mv /x /rw")
	}

	w.ok(t, "exec", "c", "sh", "-c", "set -e; mv /ro /x; mv /rw /ro; mv /x /rw")
	w.ok(t, "checkpoint", "--image-path", images, "c")
	restore := []string{"restore", "--detach", "--pod", "p", "--bundle", dir, "--image-path", images, "c"}
	w.fails(t, 1, []string{`restore container "c"`, `the mount at "/ro/m" without the options "ro"`}, restore...)
	open()
	if all := w.inspect(t, "p").Containers; len(all) != 0 {
		t.Errorf("containers of the pod after a restore that was refused = %+v; want none", all)
	}
	w.fails(t, 1, []string{"container does not exist"}, "state", "c")
}
