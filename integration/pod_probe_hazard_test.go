package integration

import "testing"

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
