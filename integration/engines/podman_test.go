package engines

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestPodman(t *testing.T) {
	rung.Privileged(t)
	removeLibpodParent(t)
	// podman binds network namespaces there, and leaves the directory a mount.
	t.Cleanup(func() {
		if err := unix.Unmount("/run/netns", 0); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			t.Errorf("unmount podman's /run/netns: %v", err)
		}
	})
	compare(t, newPodman, slices.Concat(podmanRun, podmanExec, podmanLife, podmanOptions, podmanPods, podmanServices, podmanLimits)...)
}

// removeLibpodParent removes at the test's end the cgroup that podman makes for
// all of its containers, and keeps.
func removeLibpodParent(t *testing.T) {
	t.Cleanup(func() {
		removeCgroup(t, "/sys/fs/cgroup/libpod_parent")
		removeCgroup(t, "/sys/fs/cgroup/podman_probe")
	})
}

// removeCgroup removes a parent of podman's containers, if there is one. Their
// monitors have one below it, and end a moment after their container is removed.
func removeCgroup(t *testing.T, dir string) {
	for _, fault := range attempt(t, func(x *try) {
		for _, d := range []string{dir + "/conmon", dir} {
			x.eventually("rmdir "+d, func() bool {
				err := unix.Rmdir(d)
				if err != nil && err != unix.EBUSY && err != unix.ENOENT {
					x.Fatalf("rmdir %s: %v", d, err)
				}
				return err != unix.EBUSY
			})
		}
	}) {
		t.Error(fault)
	}
}

// podman is podman with state of its own.
type podman struct{ *lab }

// podmanImage is the image that each podman has.
const podmanImage = "localhost/busybox"

func newPodman(x *try, l *lab) *podman {
	p := &podman{l}
	configureContainers(x, l)
	image, err := imageTar()
	x.must(err)
	if r := l.try(x, command{args: p.args("import", "--quiet", "--change", "ENV "+imagePath, "--change", `CMD ["sleep", "1000"]`, "-", podmanImage), stdin: image}); r.code != 0 {
		x.Fatalf("%s", r)
	}
	return p
}

// configureContainers has podman and buildah keep their state in the lab.
func configureContainers(x *try, l *lab) {
	conf := writePodmanConf(x, l, podmanConf)
	storage := l.write(x, "storage.conf", fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", l.path("root"), l.path("run")))
	l.env = append(l.env, "CONTAINERS_CONF="+conf, "CONTAINERS_STORAGE_CONF="+storage)
	x.Cleanup(func(t *testing.T) {
		l.settle(t)
		// Mostly their own mount goes with the last container's.
		if err := unix.Unmount(l.path("root/overlay"), 0); err != nil && err != unix.EINVAL {
			t.Errorf("unmount the storage: %v", err)
		}
	})
}

// writePodmanConf writes a containers.conf for the lab's runtime.
func writePodmanConf(x *try, l *lab, conf string) string {
	return l.write(x, "containers.conf", fmt.Sprintf(conf, l.runtime.name, os.Getenv(binEnv), debianRunc))
}

// podmanConf is what a lab needs: no systemd, no user's session, no network
// but what a test asks for, and locks that only this podman knows.
const podmanConf = `[containers]
netns = "none"
init_path = "/usr/bin/tini-static"
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = %q
runtime_supports_json = ["podrt", "runc"]
runtime_supports_nocgroup = ["podrt"]
infra_image = "localhost/busybox"
[engine.runtimes]
podrt = [%q]
runc = [%q]
`

func (p *podman) args(args ...string) []string {
	return append([]string{"podman", "--tmpdir", p.path("tmp")}, args...)
}

// do runs podman, which must succeed, and returns what it prints.
func (p *podman) do(x *try, args ...string) string { return p.lab.do(x, p.args(args...)...) }

// try runs podman; it may fail.
func (p *podman) try(x *try, args ...string) result {
	return p.lab.try(x, command{args: p.args(args...)})
}

// removeAtEnd removes a container when the operation is over.
func (p *podman) removeAtEnd(x *try, name string) {
	x.Cleanup(func(t *testing.T) {
		for _, fault := range attempt(t, func(x *try) {
			x.eventually("the removal of "+name, func() bool {
				r := p.try(x, "rm", "--force", "--ignore", "--time", "0", name)
				// 4.3.1 may find its own /dev/shm still mounted, with any runtime.
				if r.code != 0 && !strings.HasSuffix(r.stderr, "userdata/shm: device or resource busy") {
					x.Fatalf("%s", r)
				}
				return r.code == 0
			})
		}) {
			t.Errorf("clean up: %s", fault)
		}
	})
}

// start runs a container in the background that ends with the operation.
func (p *podman) start(x *try, name string, args ...string) (id string) {
	p.removeAtEnd(x, name)
	return p.do(x, append([]string{"run", "--detach", "--name", name}, args...)...)
}

var podmanRun = []operation[*podman]{
	{name: "run", do: func(x *try, p *podman) {
		if got := p.do(x, "run", "--rm", podmanImage, "echo", "hello"); got != "hello" {
			x.Errorf("echo hello: %q; want hello", got)
		}
	}},
	{name: "run-exit-codes", do: func(x *try, p *podman) {
		for _, c := range []struct {
			command []string
			code    int
			stderr  string
		}{
			{[]string{"true"}, 0, ""},
			{[]string{"false"}, 1, ""},
			{[]string{"sh", "-c", "exit 125"}, 125, ""},
			{[]string{"sh", "-c", "sh -c 'kill -KILL $$'; exit $?"}, 128 + 9, ""},
			{[]string{"/etc/passwd"}, 126, "permission denied"},
			{[]string{"/nowhere"}, 127, "no such file or directory"},
			{[]string{"nothing"}, 127, `executable file not found in $PATH`},
		} {
			r := p.try(x, append([]string{"run", "--rm", podmanImage}, c.command...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.stderr) {
				x.Errorf("%s; want exit code %d and %q", r, c.code, c.stderr)
			}
		}
	}},
	{name: "run-d", do: func(x *try, p *podman) {
		id := p.start(x, "detached", podmanImage, "sleep", "1000")
		if got := p.do(x, "ps", "--quiet", "--no-trunc"); !strings.Contains(got, id) {
			x.Errorf("podman ps: %q; want %s in it", got, id)
		}
		if got := p.do(x, "inspect", "--format", "{{.OCIRuntime}} {{.State.Status}}", "detached"); got != p.runtime.name+" running" {
			x.Errorf("podman inspect: %q; want %s, running", got, p.runtime.name)
		}
	}},
}
