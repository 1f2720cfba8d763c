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

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// A checkpoint of a container in a pod is refused where it could not be
// restored, before anything is made.
func TestPodCheckpointRefused(t *testing.T) {
	w := newWorld(t)
	nativeOnly(t)
	images := filepath.Join(w.dir, "images")
	refuse := func(container string, words ...string) {
		t.Helper()
		w.fails(t, 1, append(words, "checkpoint container "+strconv.Quote(container)), "checkpoint", "--image-path", images, container)
		if _, err := os.Stat(images); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a refused checkpoint has made %q", images)
		}
	}
	w.create(t, "cgroup", "--share", "net,ipc,uts,cgroup")
	w.add(t, "cgroup", "a")
	refuse("cgroup-a", `pod "cgroup" shares its cgroup namespace, which CRIU cannot join`)

	w.create(t, "user", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
	dir := w.bundle(t, w.serve("user", "a"))
	if err := bundle.Chown(filepath.Join(dir, "rootfs"), 100000, 100000); err != nil {
		t.Fatal(err)
	}
	w.ok(t, "run", "--detach", "--pod", "user", "--bundle", dir, "user-a")
	w.agent(t, "user", "a")
	refuse("user-a", `pod "user" shares its user namespace, which CRIU cannot join`)

	w.create(t, "shm")
	w.add(t, "shm", "a").stay(t, "sysv-shm-hold", "77")
	refuse("shm-a", "has attached System V shared memory, which is the pod's")
	w.create(t, "net")
	w.add(t, "net", "a")
	w.fails(t, 1, []string{`connections of pod "net" are kept only while its network is shut`}, "checkpoint", "--tcp-established", "--image-path", images, "net-a")
	w.ok(t, "pod", "pause", "shm")
	refuse("shm-a", `pod "shm" is paused; resume it first`)
	w.ok(t, "pod", "resume", "shm")

	w.start(t, w.podOf(t, nil, bundle.Container{Name: "own"}))
	w.agent(t, "p", "own")
	var own string
	for _, c := range w.inspect(t, "p").Containers {
		own = c.ID
	}
	refuse(own, `it belongs to the bundle of pod "p", which podrt runs`)
}

// TestPodCheckpointRestore takes a container out of its pod and back into it.
func TestPodCheckpointRestore(t *testing.T) {
	w := newWorld(t)
	if rung.Current() == rung.Native {
		t.Skip("CRIU needs capabilities and /proc files that the native rung lacks; bin/rung vm has them")
	}
	uid := w.create(t, "p", "--share", "net,ipc,uts,pid")
	w.create(t, "q")
	neighbour := w.add(t, "p", "n")
	neighbour.ask(t, "sem-set", "7", "1")
	s := bundle.Spec("sh", "-c", `exec </dev/null >/dev/null 2>&1; exec 9>/dev/shm/x; i=0; while :; do i=$((i+1)); echo $i >/tmp/new; mv /tmp/new /tmp/n; echo $i >&9; sleep 0.05; done`)
	s.Root.Readonly = false
	dir := w.bundle(t, s)
	count := func() int {
		b, _ := os.ReadFile(filepath.Join(dir, "rootfs/tmp/n"))
		n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return n
	}
	w.ok(t, "run", "--detach", "--pod", "p", "--bundle", dir, "c")
	eventually(t, "the count begins", func() bool { return count() > 2 })

	images := filepath.Join(w.dir, "images[1") // a directory, not a pattern
	criu := func(args ...string) {
		t.Helper()
		if r := w.podrt(t, append(args, "c")...); r.code != 0 || r.stderr != "" {
			for _, log := range []string{"dump.log", "restore.log"} {
				b, _ := os.ReadFile(filepath.Join(images, log))
				t.Logf("%s:\n%s", log, b[max(0, len(b)-4000):])
			}
			t.Fatalf("exit code %d; want 0: %v", r.code, r)
		}
	}
	ns := filepath.Join(w.run, "pods", uid, "ns")
	open := func(after string) {
		t.Helper()
		out, err := exec.Command("nsenter", "--net="+ns+"/net", "nft", "list", "ruleset").CombinedOutput()
		if err != nil || strings.Contains(string(out), "CRIU") {
			t.Errorf("rules in the pod's network after the %s: %v:\n%s\nwant none of CRIU's", after, err, out)
		}
	}
	criu("checkpoint", "--image-path", images)
	open("checkpoint")
	at := count()
	if all := w.inspect(t, "p").Containers; len(all) != 1 {
		t.Errorf("containers of the pod after the checkpoint = %+v; want the neighbour alone", all)
	}
	restore := []string{"restore", "--detach", "--bundle", dir, "--image-path", images}
	w.fails(t, 1, []string{"in another pod", uid}, append(restore, "--pod", "q", "c")...)
	w.fails(t, 1, []string{`of container "c" in pod "p"`, "--pod"}, append(restore, "c")...)

	// What the pod's other containers have done meanwhile stays.
	for _, argv := range [][]string{
		{"nsenter", "--uts=" + ns + "/uts", "hostname", "renamed"},
		{"nsenter", "--ipc=" + ns + "/ipc", "ipcrm", "-S", "7"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", argv, err, out)
		}
	}
	criu(append(restore, "--pod", "p")...)
	open("restore")
	eventually(t, "the count goes on", func() bool { return count() > at+1 })
	neighbour.want(t, "renamed (none)", "hostname")
	neighbour.refused(t, "ENOENT", "sem-get", "7")

	pod := w.inspect(t, "p")
	pid := strconv.Itoa(pod.container(t, "c").PID)
	for _, kind := range []string{"net", "ipc", "uts", "pid"} {
		var st unix.Stat_t
		if err := unix.Stat("/proc/"+pid+"/ns/"+kind, &st); err != nil || st.Ino != pod.namespace(kind) {
			t.Errorf("%s namespace of the restored container: %v, inode %d; want the pod's, %d", kind, err, st.Ino, pod.namespace(kind))
		}
	}
	if out := w.ok(t, "exec", "c", "cat", "/proc/self/cgroup").stdout; strings.TrimSpace(out) != "0::/" {
		t.Errorf("exec in the restored container is in cgroup %q; want its own as root", out)
	}
	w.ok(t, "delete", "--force", "c")

	// A checkpoint that was made outside of pods stays outside.
	images = filepath.Join(w.dir, "plain")
	was := count()
	// Nor is it one of a pod because of a directory that has been one's.
	if err := os.Mkdir(images, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(images, "podrt.json"), `{"version":1,"pod":"`+uid+`"}`)
	w.ok(t, "run", "--detach", "--bundle", dir, "c")
	eventually(t, "the count begins", func() bool { return count() != was })
	criu("checkpoint", "--image-path", images)
	w.fails(t, 1, []string{"of a container without a pod"}, "restore", "--detach", "--bundle", dir, "--image-path", images, "--pod", "p", "c")
}
