package engines

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// podmanServices are about what is around a container: a service manager, a
// network, the configuration.
var podmanServices = []operation[*podman]{
	{name: "sdnotify-conmon", do: func(x *try, p *podman) {
		manager := p.serviceManager(x)
		p.removeAtEnd(x, "box")
		manager.do(x, p, "run", "--detach", "--name", "box", "--sdnotify", "conmon", podmanImage, "sleep", "1000")
		manager.await(x, "READY=1", "MAINPID=")
	}},
	{name: "sdnotify-container", do: func(x *try, p *podman) {
		manager := p.serviceManager(x)
		p.removeAtEnd(x, "box")
		manager.do(x, p, "run", "--detach", "--name", "box", "--sdnotify", "container", podmanImage,
			"sh", "-c", "/probe notify 'STATUS=of the container\nREADY=1' || echo $?; exec sleep 1000")
		manager.await(x, "READY=1", "MAINPID=")
	}},
	{name: "network-bridge", do: func(x *try, p *podman) {
		// The bridge and the firewall's rules end with this network namespace.
		in := func(args ...string) result {
			return p.lab.try(x, command{args: append([]string{"nsenter", "--net=" + p.path("netns")}, p.args(args...)...)})
		}
		p.newNetns(x)
		p.removeAtEnd(x, "server")
		if r := in("run", "--detach", "--name", "server", "--network", "podman", "--publish", "8080:80", podmanImage,
			"/probe", "listen", "0.0.0.0:80", "served"); r.code != 0 {
			x.Fatalf("%s", r)
		}
		addr := p.do(x, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", "server")
		if !strings.HasPrefix(addr, "10.88.") {
			x.Errorf("address %q; want one of podman's network", addr)
		}
		x.eventually("the server", func() bool { return strings.HasPrefix(p.do(x, "logs", "server"), "ready") })
		if r := in("run", "--rm", "--network", "podman", podmanImage, "/probe", "dial", addr+":80"); r.out != "served" {
			x.Errorf("from another container: %s; want served", r)
		}
		if r := in("run", "--rm", "--network", "container:server", podmanImage, "/probe", "dial", "127.0.0.1:80"); r.out != "served" {
			x.Errorf("in its network: %s; want served", r)
		}
		if r := in("rm", "--force", "--time", "0", "server"); r.code != 0 {
			x.Errorf("%s", r)
		}
	}},
	{name: "runtime-flag", do: func(x *try, p *podman) {
		// As people call it, without any configuration.
		out := p.lab.do(x, p.args("--runtime", p.runtime.path, "run", "--rm", podmanImage, "echo", "by path")...)
		if out != "by path" {
			x.Errorf("--runtime %s: %q; want \"by path\"", p.runtime.path, out)
		}
	}},
}

// newNetns makes a network namespace with lo up, bound to the file netns.
func (p *podman) newNetns(x *try) {
	file := p.write(x, "netns", "")
	p.lab.do(x, "unshare", "--net="+file, "ip", "link", "set", "lo", "up")
	x.Cleanup(func(t *testing.T) { unmount(t, file) })
}

// serviceManager is the other end of a NOTIFY_SOCKET.
type serviceManager struct {
	path string
	conn *net.UnixConn
}

func (p *podman) serviceManager(x *try) *serviceManager {
	m := &serviceManager{path: p.path("notify.sock")}
	_ = os.Remove(m.path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	x.must(err)
	m.conn = conn
	x.Cleanup(func(*testing.T) { _ = conn.Close() })
	return m
}

// do runs podman as a service of the manager.
func (m *serviceManager) do(x *try, p *podman, args ...string) {
	if r := p.lab.try(x, command{args: p.args(args...), env: []string{"NOTIFY_SOCKET=" + m.path}}); r.code != 0 {
		x.Fatalf("%s", r)
	}
}

// await reads what the manager is told until it has been told all of want.
func (m *serviceManager) await(x *try, want ...string) {
	x.must(m.conn.SetReadDeadline(time.Now().Add(commandLimit())))
	var told strings.Builder
	buf := make([]byte, 4096)
	for _, w := range want {
		for !strings.Contains(told.String(), w) {
			n, err := m.conn.Read(buf)
			if err != nil {
				x.Fatalf("the service manager was told %q: %v; want %q", told.String(), err, want)
			}
			told.Write(buf[:n])
			told.WriteByte('\n')
		}
	}
}

// TestPodmanConfiguration has podman run podrt by nothing but the file that
// README shows, in the place that README says, after make install.
func TestPodmanConfiguration(t *testing.T) {
	if rung.Current() == rung.Native {
		t.Skip("podman's own configuration wants the pids controller: bin/rung vm has it")
	}
	rung.Privileged(t)
	removeLibpodParent(t)
	faults := attempt(t, func(x *try) {
		l := newLab(x, ociRuntimes()[0])
		p := newPodman(x, l)
		conf, err := os.ReadFile("testdata/containers.conf")
		x.must(err)
		for _, dir := range []string{"/etc/containers", "/usr/local/sbin"} {
			overlay(x, l, dir)
		}
		x.must(os.WriteFile("/etc/containers/containers.conf", conf, 0o644))
		x.must(os.Symlink(l.runtime.path, "/usr/local/sbin/podrt"))
		// All else by flags: this file is the only configuration.
		l.env = append(l.env, "CONTAINERS_CONF=")
		args := append(p.args("--cgroup-manager", "cgroupfs", "--events-backend", "none"), "run", "--network", "none")
		if got := l.do(x, append(args, "--name", "box", podmanImage, "echo", "configured")...); got != "configured" {
			x.Errorf("run: %q; want configured", got)
		}
		if got := l.do(x, p.args("inspect", "--format", "{{.OCIRuntime}}", "box")...); got != "podrt" {
			x.Errorf("the runtime is %q; want podrt", got)
		}
		l.do(x, p.args("rm", "box")...)
		args = append(args, "--rm")
		// Errors come as JSON, so that podman knows them and says them in its words.
		r := l.try(x, command{args: append(args, podmanImage, "/etc/passwd")})
		if r.code != 126 || !strings.Contains(r.stderr, "permission denied: OCI permission denied") {
			x.Errorf("%s; want exit code 126 and podman's class of the error", r)
		}
		if got := l.do(x, append(args, "--cgroups", "disabled", "--cgroupns", "host", podmanImage, "echo", "no cgroup")...); got != "no cgroup" {
			x.Errorf("run --cgroups disabled: %q; want it to run", got)
		}
	})
	if len(faults) > 0 {
		t.Error(strings.Join(faults, "\n"))
	}
}

// overlay gives the test a directory of the host's to write to.
func overlay(x *try, l *lab, dir string) {
	name := strings.ReplaceAll(dir, "/", "-")
	upper, work := l.path("upper"+name), l.path("work"+name)
	x.must(os.MkdirAll(upper, 0o755))
	x.must(os.MkdirAll(work, 0o755))
	x.must(unix.Mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work))
	x.Cleanup(func(t *testing.T) { unmount(t, dir) })
}
