package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProbeEscapes: a command that has gone into the container's own cgroup is ended
// when its time is over, and the next one comes.
func TestProbeEscapes(t *testing.T) {
	w := newWorld(t)
	c := probed("a", "while :; do wait; sleep 0.05; done", object{
		"readinessProbe": each(command("echo $$ > /sys/fs/cgroup/cgroup.procs && echo asked >> /dev/shm/asked; exec sleep 1000"), "timeoutSeconds", 1),
	})
	for i, m := range c.Spec.Mounts {
		if m.Type == "cgroup" {
			c.Spec.Mounts[i].Options = []string{"nosuid", "noexec", "nodev", "relatime"}
		}
	}
	w.start(t, w.podOf(t, quick("Never", 1), c))
	eventually(t, "it was asked thrice", func() bool {
		return w.podrt(t, "pod", "exec", "p", "a", "sh", "-c", "[ $(wc -l < /dev/shm/asked) -ge 3 ]").code == 0
	})
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestProbeFull: a container that became ready while there was no room to say so is
// ready once there is, though its probe has nothing new to say.
func TestProbeFull(t *testing.T) {
	w := newWorld(t)
	mkdir(t, w.run)
	mustMount(t, "tmpfs", w.run, "tmpfs", 0, fmt.Sprintf("nr_blocks=%d,nr_inodes=%d", manyPages, manyInodes))
	uid := w.start(t, w.podOf(t, quick("Never", 1),
		probed("a", polite, object{"readinessProbe": each(command("test -e /dev/shm/ready"))})))
	eventually(t, "it was asked", func() bool { return w.unready(t, "a") })
	setFree(t, w.run, "inodes", 0)
	ready := fmt.Sprintf("/proc/%d/root/dev/shm/ready", w.inspect(t, "p").container(t, "a").PID)
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was said before has gone", func() bool {
		_, err := os.Lstat(filepath.Join(w.run, "pods", uid, "containers/a/probes.json"))
		return errors.Is(err, fs.ErrNotExist)
	})
	unlimit(t, w.run)
	w.ready(t)
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestProbeAskedOnce: a container that its monitor stops is not asked to end once more
// when the pod is stopped meanwhile.
func TestProbeAskedOnce(t *testing.T) {
	w := newWorld(t)
	members := quick("Never", 1)
	members["terminationGracePeriodSeconds"] = 1000
	dir := w.podOf(t, members, probed("a", "trap 'echo asked' TERM; touch /dev/shm/up; while :; do sleep 0.05; done", object{
		"livenessProbe": each(command(awaits("up") + "exit 1")),
		"lifecycle":     object{"preStop": object{"sleep": object{"seconds": 0}}},
	}))
	uid := w.start(t, dir)
	log := func() string { return readFile(t, filepath.Join(w.log, uid, "a.log")) }
	eventually(t, "a is asked to end", func() bool { return strings.HasSuffix(log(), "asked\n") })
	w.ok(t, "pod", "stop", "-t", "1", "p")
	if n := strings.Count(log(), "asked\n"); n != 1 {
		t.Errorf("it was asked %d times; want once", n)
	}
	w.inspect(t, "p").container(t, "a").wantExit(t, 137, "probe", "SIGKILL")
	w.ok(t, "pod", "rm", "p")
}
