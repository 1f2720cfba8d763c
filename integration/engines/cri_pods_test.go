package engines

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var criPods = []operation[*kubelet]{
	{name: "two-containers", do: func(x *try, k *kubelet) {
		p := k.run(x, "two", nil)
		a := p.start(x, "a", nil, "/probe", "listen", "127.0.0.1:8080", "hello")
		b := p.start(x, "b", nil, "sleep", "1000")
		x.eventually("a listens", func() bool { return strings.Contains(a.log(x), "ready") })
		if got := b.exec(x, "/probe", "dial", "127.0.0.1:8080"); got != "hello" {
			x.Errorf("127.0.0.1:8080 in the other container: %q; want hello", got)
		}
		// One network, one IPC, one name; but each its own processes.
		for _, ns := range []string{"net", "ipc", "uts"} {
			if one, other := a.exec(x, "readlink", "/proc/self/ns/"+ns), b.exec(x, "readlink", "/proc/self/ns/"+ns); one != other {
				x.Errorf("%s namespaces of two containers of a pod: %s, %s; want one", ns, one, other)
			}
		}
		a.exec(x, "sh", "-c", "echo mine >/dev/shm/f")
		if got := b.exec(x, "cat", "/dev/shm/f"); got != "mine" {
			x.Errorf("/dev/shm/f in the other container: %q; want mine", got)
		}
		if got := b.exec(x, "hostname"); got != "two" {
			x.Errorf("hostname %q; want two", got)
		}
	}},
	{name: "own-pid", do: func(x *try, k *kubelet) {
		p := k.run(x, "ownpid", object{"securityContext": namespaces(criContainer)})
		c := p.start(x, "a", security(criContainer, object{}), "sleep", "1000")
		if got := c.exec(x, "cat", "/proc/1/cmdline"); got != "sleep\x001000\x00" {
			x.Errorf("process 1: %q; want sleep 1000", got)
		}
	}},
	{name: "shared-pid", do: func(x *try, k *kubelet) {
		p := k.run(x, "sharedpid", object{"securityContext": namespaces(criPod)})
		sleeper := func(name, seconds string) *container {
			return p.start(x, name, security(criPod, object{}), "sh", "-c", "trap 'exit 0' TERM; setsid sleep "+seconds+" & wait")
		}
		a, b := sleeper("a", "1001"), sleeper("b", "1002")
		processes := func(of *container, want ...string) {
			x.eventually(strings.Join(want, ", ")+" in ps", func() bool {
				got := of.exec(x, "ps")
				for _, w := range want {
					if missing := strings.HasPrefix(w, "no "); missing == strings.Contains(got, strings.TrimPrefix(w, "no ")) {
						return false
					}
				}
				return true
			})
		}
		// The pause process is the first.
		processes(a, "sleep 100000", "sleep 1001", "sleep 1002")
		// The shim calls kill --all when the first process has ended.
		b.stop(x, 30)
		processes(a, "sleep 1001", "no sleep 1002")
		kill(x, k.pid(x, a.id))
		if s := a.awaitExit(x); s.ExitCode != 137 {
			x.Errorf("status %+v; want 137", s)
		}
		processes(sleeper("c", "1003"), "sleep 1003", "no sleep 1001")
	}},
	{name: "host-pid", do: func(x *try, k *kubelet) {
		p := k.run(x, "hostpid", object{"securityContext": namespaces(criNode)})
		c := p.start(x, "a", security(criNode, object{}), "sh", "-c", "setsid sleep 1000 & echo $!; wait")
		var second int
		x.eventually("the pid of the second process", func() bool {
			_, err := fmt.Sscanf(c.log(x), "stdout: %d", &second)
			return err == nil
		})
		if got, want := c.exec(x, "readlink", "/proc/self/ns/pid"), k.lab.do(x, "readlink", "/proc/self/ns/pid"); got != want {
			x.Errorf("PID namespace %s; want the host's, %s", got, want)
		}
		c.stop(x, 0)
		if alive(second) {
			x.Errorf("process %d of the container is alive; want that it ends with the first", second)
		}
	}},
	{name: "host-network", do: func(x *try, k *kubelet) {
		host := object{"namespaceOptions": object{"network": criNode, "ipc": criNode, "pid": criContainer}}
		p := k.run(x, "hostnet", object{"securityContext": host})
		c := p.start(x, "a", object{"linux": object{"securityContext": host}}, "sleep", "1000")
		for _, ns := range []string{"net", "ipc"} {
			if got, want := c.exec(x, "readlink", "/proc/self/ns/"+ns), k.lab.do(x, "readlink", "/proc/self/ns/"+ns); got != want {
				x.Errorf("%s namespace %s; want the host's, %s", ns, got, want)
			}
		}
	}},
	{name: "sysctls", do: func(x *try, k *kubelet) {
		p := k.run(x, "sysctls", object{"sysctls": object{"net.ipv4.ip_unprivileged_port_start": "99", "kernel.shm_rmid_forced": "1"}})
		c := p.start(x, "a", nil, "sleep", "1000")
		if got := c.exec(x, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shm_rmid_forced"); got != "99\n1" {
			x.Errorf("sysctls %q; want 99, 1", got)
		}
	}},
	{name: "mounts", do: func(x *try, k *kubelet) {
		// As systemd mounts everything: shared.
		volume := k.path("volume")
		x.must(os.Mkdir(volume, 0o755))
		x.must(unix.Mount("volume", volume, "tmpfs", 0, ""))
		x.Cleanup(func(t *testing.T) {
			if err := unix.Unmount(volume, 0); err != nil {
				t.Errorf("unmount %s: %v", volume, err)
			}
		})
		x.must(unix.Mount("", volume, "", unix.MS_SHARED, ""))
		k.write(x, "volume/file", "volume")
		k.write(x, "volume/sub/file", "below")
		p := k.run(x, "mounts", nil)
		c := p.start(x, "a", object{"mounts": []object{
			{"hostPath": volume, "containerPath": "/ro", "readonly": true, "propagation": "PROPAGATION_HOST_TO_CONTAINER"},
			{"hostPath": volume, "containerPath": "/rw"},
		}}, "sleep", "1000")
		if got := c.exec(x, "cat", "/ro/file"); got != "volume" {
			x.Errorf("/ro/file: %q; want volume", got)
		}
		if _, stderr, code, _ := c.tryExec(x, "touch", "/ro/new"); code == 0 || !strings.Contains(stderr, "Read-only file system") {
			x.Errorf("touch /ro/new: %q, exit code %d; want a read-only file system", stderr, code)
		}
		c.exec(x, "touch", "/rw/new")
		// What the host mounts below appears in the container.
		x.must(unix.Mount("late", k.path("volume", "sub"), "tmpfs", 0, ""))
		_, stderr, code, _ := c.tryExec(x, "cat", "/ro/sub/file")
		x.must(unix.Unmount(k.path("volume", "sub"), 0))
		if code == 0 || !strings.Contains(stderr, "No such file") {
			x.Errorf("file below what the host mounted late: %q, exit code %d; want no such file", stderr, code)
		}
	}},
}
