package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// wantRun runs a container in front, and wants it to print what is wanted.
func (p *podman) wantRun(x *try, want string, args ...string) {
	if got := p.do(x, append([]string{"run", "--rm"}, args...)...); got != want {
		x.Errorf("run %q: %q; want %q", args, got, want)
	}
}

// effective are the capabilities of a container with the options.
func (p *podman) effective(x *try, options ...string) string {
	out := p.do(x, append(append([]string{"run", "--rm"}, options...), podmanImage, "grep", "CapEff", "/proc/self/status")...)
	return strings.TrimSpace(strings.TrimPrefix(out, "CapEff:"))
}

var podmanOptions = []operation[*podman]{
	{name: "options", do: func(x *try, p *podman) {
		p.wantRun(x, strings.Join([]string{"1000 65534", "/tmp", "value", "named", "1024", "0027", "/new"}, "\n"),
			"--user", "1000:65534", "--workdir", "/tmp", "--env", "KEY=value", "--hostname", "named",
			"--sysctl", "net.core.somaxconn=1024", "--umask", "0027", "--tmpfs", "/new:rw,size=64k,mode=1777",
			podmanImage, "sh", "-c", `echo $(id -u) $(id -g); pwd; echo $KEY; hostname; cat /proc/sys/net/core/somaxconn; umask; awk '$2 == "/new" {print $2}' /proc/mounts`)
	}},
	{name: "capabilities", do: func(x *try, p *podman) {
		few, more, none := p.effective(x), p.effective(x, "--cap-add", "NET_ADMIN"), p.effective(x, "--cap-drop", "ALL")
		if few == more || none != "0000000000000000" {
			x.Errorf("CapEff %s, with NET_ADMIN %s, without all %s; want three that differ and the last to be 0", few, more, none)
		}
		if one := p.effective(x, "--cap-drop", "ALL", "--cap-add", "CHOWN"); one != "0000000000000001" {
			x.Errorf("CapEff %s with CHOWN alone; want 1", one)
		}
	}},
	{name: "keep-groups", runcFails: "crun's annotation, which podman writes for it; runc does not know it", do: func(x *try, p *podman) {
		args := []string{"setpriv", "--groups", "4321,5432"}
		args = append(args, p.args("run", "--rm", "--group-add", "keep-groups", podmanImage, "id", "-G")...)
		if got := p.lab.do(x, args...); got != "0 4321 5432" {
			x.Errorf("groups: %q; want those of podman's caller", got)
		}
		args = append([]string{"setpriv", "--groups", "4321"}, p.args("run", "--rm", "--uidmap", "0:200000:5000", "--group-add", "keep-groups", podmanImage, "id", "-G")...)
		if got := p.lab.do(x, args...); got != "0 65534" {
			x.Errorf("groups in a user namespace: %q; want one that is not mapped", got)
		}
	}},
	{name: "privileged", on: onBoth, do: func(x *try, p *podman) {
		got := p.do(x, "run", "--rm", "--privileged", podmanImage, "sh", "-c",
			`grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; mount -t tmpfs none /tmp && echo mounted; ls /dev/kmsg; echo 1 > /proc/sys/net/ipv4/ip_forward && echo written`)
		status, err := os.ReadFile("/proc/self/status")
		x.must(err)
		all := ""
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "CapBnd:") {
				all = strings.TrimSpace(strings.TrimPrefix(line, "CapBnd:"))
			}
		}
		if want := fmt.Sprintf("CapEff:\t%s\nSeccomp:\t0\nmounted\n/dev/kmsg\nwritten", all); got != want {
			x.Errorf("privileged: %q; want %q", got, want)
		}
	}},
	{name: "security-opt", do: func(x *try, p *podman) {
		p.wantRun(x, "NoNewPrivs:\t1\nSeccomp:\t2", "--security-opt", "no-new-privileges", podmanImage, "grep", "-E", "^NoNewPrivs|^Seccomp:", "/proc/self/status")
		p.wantRun(x, "NoNewPrivs:\t0\nSeccomp:\t0", "--security-opt", "seccomp=unconfined", podmanImage, "grep", "-E", "^NoNewPrivs|^Seccomp:", "/proc/self/status")
		p.wantRun(x, "0", "--security-opt", "mask=/etc/passwd", podmanImage, "sh", "-c", "cat /etc/passwd | wc -c")
		// What the profile forbids, and what a container cannot write to.
		r := p.try(x, "run", "--rm", podmanImage, "sh", "-c", "mount -t tmpfs none /tmp; echo 1 > /proc/sys/kernel/panic")
		if r.code == 0 || !strings.Contains(r.stderr, "permission denied") || !strings.Contains(r.stderr, "Read-only file system") {
			x.Errorf("%s; want it to be refused", r)
		}
	}},
	{name: "read-only", do: func(x *try, p *podman) {
		r := p.try(x, "run", "--rm", "--read-only", podmanImage, "sh", "-c", "touch /tmp/yes && touch /no")
		if r.code != 1 || !strings.Contains(r.stderr, "/no: Read-only file system") {
			x.Errorf("%s; want a read-only / and a /tmp that can be written to", r)
		}
	}},
	{name: "volumes", do: func(x *try, p *podman) {
		dir := p.path("shared")
		x.must(os.MkdirAll(dir, 0o755))
		p.wantRun(x, "", "-v", dir+":/data", podmanImage, "sh", "-c", "echo there > /data/file")
		p.wantRun(x, "there", "-v", dir+":/data:ro", podmanImage, "cat", "/data/file")
		if r := p.try(x, "run", "--rm", "-v", dir+":/data:ro", podmanImage, "touch", "/data/no"); r.code != 1 || !strings.Contains(r.stderr, "Read-only") {
			x.Errorf("%s; want a volume that cannot be written to", r)
		}
		p.do(x, "volume", "create", "named")
		p.lab.atEnd(x, p.args("volume", "rm", "named")...)
		p.wantRun(x, "", "-v", "named:/data", podmanImage, "sh", "-c", "echo kept > /data/file")
		p.wantRun(x, "kept", "--mount", "type=volume,source=named,destination=/data,ro", podmanImage, "cat", "/data/file")
	}},
	{name: "propagation", do: func(x *try, p *podman) {
		dir := p.path("propagated")
		x.must(os.MkdirAll(dir, 0o755))
		x.must(unix.Mount("none", dir, "tmpfs", 0, ""))
		x.Cleanup(func(t *testing.T) { unmount(t, dir) })
		x.must(unix.Mount("", dir, "", unix.MS_SHARED, ""))
		p.start(x, "slave", "-v", dir+":/m:rslave", podmanImage, "sleep", "1000")
		p.start(x, "shared", "--privileged", "-v", dir+":/m:rshared", podmanImage, "sleep", "1000")
		p.start(x, "private", "-v", dir+":/m:rprivate", podmanImage, "sleep", "1000")
		// From one container to the host and to the others.
		p.do(x, "exec", "shared", "sh", "-c", "mkdir /m/in && mount -t tmpfs none /m/in && echo seen > /m/in/file")
		if b, err := os.ReadFile(filepath.Join(dir, "in/file")); err != nil || string(b) != "seen\n" {
			x.Errorf("a mount made in a container: %q, %v on the host; want it there", b, err)
		}
		if got := p.do(x, "exec", "slave", "cat", "/m/in/file"); got != "seen" {
			x.Errorf("slave: %q; want to see the mount", got)
		}
		if r := p.try(x, "exec", "private", "cat", "/m/in/file"); r.code == 0 {
			x.Errorf("private: %s; want it not to see the mount", r)
		}
		p.do(x, "exec", "shared", "umount", "/m/in")
	}},
	{name: "userns", do: func(x *try, p *podman) {
		p.wantRun(x, "0 100000 5000\n0", "--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000", podmanImage,
			"sh", "-c", `awk '{print $1, $2, $3}' /proc/self/uid_map; id -u; test "$(stat -c %u /bin/busybox)" = 0`)
		p.start(x, "box", "--uidmap", "0:100000:5000", "--gidmap", "0:200000:5000", podmanImage, "sleep", "1000")
		if got := p.do(x, "exec", "--user", "12", "box", "id", "-u"); got != "12" {
			x.Errorf("exec --user 12: %q; want 12", got)
		}
		if st, err := os.Stat(fmt.Sprintf("/proc/%d", p.pid(x, "box"))); err != nil || !strings.Contains(fmt.Sprintf("%+v", st.Sys()), "Uid:100000") {
			x.Errorf("the process: %+v, %v; want it to be user 100000's", st, err)
		}
	}},
	{name: "namespaces", do: func(x *try, p *podman) {
		own := func(kind string) string {
			name, err := os.Readlink("/proc/self/ns/" + kind)
			x.must(err)
			return name
		}
		host := p.do(x, "run", "--rm", "--pid", "host", "--ipc", "host", "--uts", "host", "--network", "host", "--cgroupns", "host", podmanImage, "/probe", "ns")
		p.start(x, "box", "--ipc", "shareable", podmanImage, "sleep", "1000")
		box := p.do(x, "exec", "box", "/probe", "ns")
		joined := p.do(x, "run", "--rm", "--pid", "container:box", "--ipc", "container:box", "--uts", "container:box", "--network", "container:box", podmanImage, "/probe", "ns")
		for _, kind := range []string{"pid", "ipc", "uts", "net", "cgroup", "mnt"} {
			if line := kind + " " + own(kind); strings.Contains(host, line) != (kind != "mnt") {
				x.Errorf("with the host's namespaces: %q; want %s but for mnt", host, line)
			}
			if strings.Contains(box, own(kind)) {
				x.Errorf("with its own: %q; want another %s than %s", box, kind, own(kind))
			}
		}
		for line := range strings.Lines(box + "\n") {
			kind, _, _ := strings.Cut(line, " ")
			if same := strings.Contains(joined+"\n", line); same != (kind != "cgroup" && kind != "mnt") {
				x.Errorf("with those of another container: %q; want the same as %q but for cgroup and mnt", joined, box)
			}
		}
	}},
	{name: "pid-container", runcFails: "Debian's runc 1.1.5 mostly leaves the cgroup of a container in another's PID namespace", do: func(x *try, p *podman) {
		// The end of a container whose processes other containers' see, and
		// whose init's end is not theirs.
		p.start(x, "box", podmanImage, "sleep", "1000")
		p.start(x, "guest", "--pid", "container:box", podmanImage, "sh", "-c", "sleep 1001 & sleep 1002 & wait")
		if got := p.do(x, "exec", "box", "ps"); !strings.Contains(got, "sleep 1002") {
			x.Errorf("ps: %q; want sleep 1002", got)
		}
		cgroup := p.cgroup(x, "guest")
		p.do(x, "rm", "--force", "--time", "0", "guest")
		if got := p.do(x, "exec", "box", "ps"); strings.Contains(got, "sleep 1002") {
			x.Errorf("ps after the removal: %q; want no sleep 1002", got)
		}
		if err := unix.Rmdir(cgroup); err != unix.ENOENT {
			x.Errorf("the cgroup of the removed container: %v; want it to be gone", err)
		}
		p.start(x, "hosted", "--pid", "host", podmanImage, "sh", "-c", "sleep 1001 & sleep 1002 & wait")
		p.do(x, "stop", "--time", "1", "hosted")
		p.wantStatus(x, "hosted", "exited 143")
	}},
	{name: "init", do: func(x *try, p *podman) {
		p.start(x, "box", "--init", podmanImage, "/probe", "ignore-term")
		if got := p.do(x, "exec", "box", "cat", "/proc/1/comm"); got != "tini-static" && got != "podman-init" {
			x.Errorf("init is %q; want tini", got)
		}
	}},
	{name: "cgroupns", do: func(x *try, p *podman) {
		p.wantRun(x, "0::/", "--cgroupns", "private", podmanImage, "grep", "^0::", "/proc/self/cgroup")
		got := p.do(x, "run", "--rm", "--cgroupns", "host", podmanImage, "grep", "^0::", "/proc/self/cgroup")
		if !strings.HasPrefix(got, "0::/libpod_parent/libpod-") {
			x.Errorf("cgroup seen from the host's namespace: %q; want it below /libpod_parent", got)
		}
	}},
	{name: "cgroup-parent", do: func(x *try, p *podman) {
		x.must(os.Mkdir("/sys/fs/cgroup/parent-"+p.runtime.name, 0o755))
		x.Cleanup(func(t *testing.T) { removeCgroup(t, "/sys/fs/cgroup/parent-"+p.runtime.name) })
		p.start(x, "box", "--cgroup-parent", "/parent-"+p.runtime.name, podmanImage, "sleep", "1000")
		if got, want := p.cgroup(x, "box"), "/sys/fs/cgroup/parent-"+p.runtime.name+"/libpod-"; !strings.HasPrefix(got, want) {
			x.Errorf("cgroup %q; want %q", got, want)
		}
	}},
	{name: "cgroups-disabled", runcFails: "podman 4.3.1 gives runc no way to run without a cgroup", do: func(x *try, p *podman) {
		own, err := os.ReadFile("/proc/self/cgroup")
		x.must(err)
		p.wantRun(x, strings.TrimSpace(string(own)), "--cgroups", "disabled", "--cgroupns", "host", podmanImage, "cat", "/proc/self/cgroup")
	}},
	{name: "hooks", do: func(x *try, p *podman) {
		const hook = `{"version": "1.0.0", "when": {"always": true}, "hook": {"path": "/bin/sh", "args": ["sh", "-c", "cat > %s; echo >> %[1]s"]}, "stages": [%q]}`
		for _, stage := range []string{"prestart", "createRuntime", "createContainer", "poststart", "poststop"} {
			p.write(x, "hooks/"+stage+".json", fmt.Sprintf(hook, p.path("state-"+stage), stage))
		}
		p.wantRun(x, "ran", "--hooks-dir", p.path("hooks"), podmanImage, "echo", "ran")
		for stage, status := range map[string]string{
			"prestart": "creating", "createRuntime": "creating", "createContainer": "creating", "poststart": "created", "poststop": "stopped",
		} {
			b, err := os.ReadFile(p.path("state-" + stage))
			if err != nil || !strings.Contains(string(b), `"status":"`+status+`"`) {
				x.Errorf("the state that %s had: %q, %v; want status %s", stage, b, err, status)
			}
		}
	}},
	{name: "secret", do: func(x *try, p *podman) {
		if r := p.lab.try(x, command{args: p.args("secret", "create", "password", "-"), stdin: []byte("hush")}); r.code != 0 {
			x.Fatalf("%s", r)
		}
		p.wantRun(x, "hush", "--secret", "password", podmanImage, "cat", "/run/secrets/password")
	}},
	{name: "device", on: onBoth, do: func(x *try, p *podman) {
		p.wantRun(x, "4", "--device", "/dev/zero:/dev/other:r", podmanImage, "sh", "-c", "head -c 4 /dev/other | wc -c")
		r := p.try(x, "run", "--rm", podmanImage, "sh", "-c", "busybox mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg")
		if r.code == 0 || !strings.Contains(r.stderr, "Operation not permitted") {
			x.Errorf("a device that is not given: %s; want it to be refused", r)
		}
	}},
	{name: "rootfs", do: func(x *try, p *podman) {
		id := p.do(x, "create", podmanImage, "true")
		p.lab.atEnd(x, p.args("rm", id)...)
		root := p.do(x, "mount", id)
		p.wantRun(x, "hello", "--rootfs", root, "/bin/echo", "hello")
		p.do(x, "unmount", id)
	}},
	{name: "bad-mount-source", do: func(x *try, p *podman) {
		r := p.try(x, "run", "--rm", "-v", "/nowhere/at/all:/data", podmanImage, "true")
		if r.code != 125 || !strings.Contains(r.stderr, "statfs /nowhere/at/all: no such file or directory") {
			x.Errorf("%s; want exit code 125 and podman's words", r)
		}
		// A target that the runtime cannot make.
		r = p.try(x, "run", "--rm", "-v", p.dir+":/etc/passwd/no", podmanImage, "true")
		if r.code == 0 || !strings.Contains(r.stderr, "not a directory") {
			x.Errorf("%s; want \"not a directory\"", r)
		}
	}},
}

func unmount(t *testing.T, dir string) {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Errorf("unmount %q: %v", dir, err)
	}
}
