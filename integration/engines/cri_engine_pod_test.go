package engines

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// podrtRun is where podrt keeps its pods, on a mount of its own that it makes
// when it makes the first one.
const podrtRun = "/run/podrt"

// removePodrtRun wants no pod left when the test ends, and removes the mount.
func removePodrtRun(t *testing.T) {
	t.Cleanup(func() {
		for _, dir := range []string{podrtRun + "/pods", podrtRun + "/names"} {
			left, err := os.ReadDir(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			for _, f := range left {
				if !strings.HasPrefix(f.Name(), ".") {
					t.Errorf("%s/%s is left; want that pods go with their sandboxes", dir, f.Name())
				}
			}
		}
		if err := unix.Unmount(podrtRun, 0); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			t.Errorf("unmount %s: %v", podrtRun, err)
		}
	})
}

// podrtPod runs `podrt pod`.
func (k *kubelet) podrtPod(x *try, args ...string) result {
	return k.lab.try(x, command{args: append([]string{k.runtime.path, "pod"}, args...)})
}

// frozen reports whether a process is in a cgroup that is frozen.
func frozen(x *try, pid int) bool {
	return strings.Contains(cgroupFile(x, cgroup(x, pid), "cgroup.events"), "frozen 1")
}

// enginePod is what podrt adds below the CRI: a pod for each sandbox.
var enginePod = []operation[*kubelet]{
	{name: "podrt-pod", do: func(x *try, k *kubelet) {
		if k.runtime.path == debianRunc {
			x.t.Skip("podrt alone knows pods")
		}
		p := k.run(x, "web", object{"securityContext": namespaces(criContainer)})
		a := p.start(x, "a", security(criContainer, object{}), "sleep", "1000")
		b := p.start(x, "b", security(criContainer, object{}), "sleep", "1000")

		var pods []struct{ UID, Name, Phase, Engine string }
		x.must(json.Unmarshal([]byte(k.podrtPod(x, "ls", "--format", "json").out), &pods))
		if len(pods) != 1 || pods[0].UID != p.id || pods[0].Name != "test/web" || pods[0].Engine != "containerd" || pods[0].Phase != "Running" {
			x.Errorf("podrt pod ls: %+v; want the sandbox %s, test/web", pods, p.id)
		}
		var inspected []struct {
			Namespaces []struct {
				Kind, Error string
				Inode       uint64
			}
			Containers []struct {
				Name, ID, Status string
				PID              int
			}
		}
		x.must(json.Unmarshal([]byte(k.podrtPod(x, "inspect", "web").out), &inspected))
		pod := inspected[0]
		for _, c := range []*container{a, b} {
			found := false
			for _, got := range pod.Containers {
				found = found || got.Name == c.name && got.ID == c.id && got.Status == "running" && got.PID == k.pid(x, c.id)
			}
			if !found {
				x.Errorf("podrt pod inspect: %+v; want the container %s, %s, running", pod.Containers, c.name, c.id)
			}
		}
		// The pins are what the containers are in.
		for _, ns := range pod.Namespaces {
			if ns.Kind != "net" && ns.Kind != "ipc" && ns.Kind != "uts" {
				continue
			}
			if got, want := a.exec(x, "readlink", "/proc/self/ns/"+ns.Kind), fmt.Sprintf("%s:[%d]", ns.Kind, ns.Inode); got != want || ns.Error != "" {
				x.Errorf("%s namespace of a container: %s; want the pod's, %s %s", ns.Kind, got, want, ns.Error)
			}
		}
		if r := k.podrtPod(x, "stats", "--format", "json", p.id); r.code != 0 {
			x.Errorf("%s", r)
		}

		// One pause for all, which the engine sees as well.
		k.podrtPod(x, "pause", "test/web")
		for _, c := range []*container{a, b} {
			if !frozen(x, k.pid(x, c.id)) {
				x.Errorf("container %s is not frozen after podrt pod pause", c.name)
			}
		}
		k.podrtPod(x, "resume", "web")
		for _, c := range []*container{a, b} {
			if frozen(x, k.pid(x, c.id)) {
				x.Errorf("container %s is frozen after podrt pod resume", c.name)
			}
			c.exec(x, "true")
		}

		k.podrtPod(x, "kill", "web")
		for _, c := range []*container{a, b} {
			c.awaitExit(x)
		}
		p.remove(x)
		if r := k.podrtPod(x, "inspect", p.id); r.code != 1 || !strings.Contains(r.stderr, "does not exist") {
			x.Errorf("%s; want that it is gone with the sandbox", r)
		}
	}},
}
