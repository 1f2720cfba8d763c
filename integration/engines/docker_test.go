package engines

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// docker is a dockerd with state of its own, a containerd beneath, and the
// configuration of README.md with the lab's runtime in it.
type docker struct {
	*lab
	*daemon
}

// dockerImage is the image that each docker has.
const dockerImage = "busybox"

// Debian's, whatever comes first in PATH.
const (
	dockerd   = "/usr/sbin/dockerd"
	dockerCLI = "/usr/bin/docker"
)

func newDocker(x *try, l *lab) *docker {
	d := &docker{lab: l}
	parent := "docker-" + l.runtime.name
	// The children's first.
	removeParent(x, parent)
	removeParent(x, parent+"/buildkit")

	// BuildKit calls the first runc in PATH.
	x.must(os.Mkdir(l.path("bin"), 0o755))
	x.must(os.Symlink(l.runtime.path, l.path("bin/runc")))
	l.env = append(l.env, "PATH="+l.path("bin")+":"+os.Getenv("PATH"), "DOCKER_HOST=unix://"+l.path("d.sock"))

	config := object{}
	if l.runtime.path != debianRunc { // which dockerd knows by itself, and by no other name
		x.must(json.Unmarshal([]byte(l.setting(x, "daemon.json")), &config))
	}
	config["deprecated-key-path"] = l.path("key.json") // there is no flag for it
	b, err := json.Marshal(config)
	x.must(err)
	d.daemon = l.startDaemon(x, []string{dockerCLI, "version"},
		dockerd, "--config-file", l.write(x, "daemon.json", string(b)), "--log-level", "warn",
		"--data-root", l.path("data"), "--exec-root", l.path("exec"), "--pidfile", l.path("d.pid"), "--host", "unix://"+l.path("d.sock"),
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--cgroup-parent", parent)

	image, err := imageTar()
	x.must(err)
	if r := l.try(x, command{args: []string{dockerCLI, "import", "--change", "ENV " + imagePath, "-", dockerImage}, stdin: image}); r.code != 0 {
		x.Fatalf("%s", r)
	}
	return d
}

func TestDocker(t *testing.T) {
	rung.Privileged(t)
	removePodrtRun(t) // BuildKit gives no --root
	compare(t, newDocker, dockerOperations...)
}

// do runs docker, which must succeed, and returns what it prints.
func (d *docker) do(x *try, args ...string) string {
	return d.lab.do(x, append([]string{dockerCLI}, args...)...)
}

// try runs docker; it may fail.
func (d *docker) try(x *try, args ...string) result {
	return d.lab.try(x, command{args: append([]string{dockerCLI}, args...)})
}

// detach starts a container in the background, which is removed when the
// operation is over.
func (d *docker) detach(x *try, name string, args ...string) {
	d.atEnd(x, dockerCLI, "rm", "--force", name)
	d.do(x, append([]string{"run", "--network", "none", "--detach", "--name", name}, args...)...)
}

// inspect returns what a template makes of a container.
func (d *docker) inspect(x *try, name, format string) string {
	return d.do(x, "inspect", "--format", format, name)
}

var dockerOperations = []operation[*docker]{
	{name: "info", do: func(x *try, d *docker) {
		if got := d.do(x, "info", "--format", "{{.DefaultRuntime}}"); got != d.runtime.name {
			x.Errorf("default runtime %q; want %s", got, d.runtime.name)
		}
		if got := d.do(x, "info", "--format", "{{range $name, $r := .Runtimes}}{{$name}}={{$r.Path}} {{end}}"); d.runtime.path != debianRunc && !strings.Contains(got, "podrt="+d.runtime.path+" ") {
			x.Errorf("runtimes %q; want podrt with its path", got)
		}
	}},
	{name: "run", do: func(x *try, d *docker) {
		r := d.try(x, "run", "--rm", "--network", "none", dockerImage, "sh", "-c", "echo out; echo err >&2; exit 7")
		if r.code != 7 || r.out != "out" || r.stderr != "err" {
			x.Errorf("%s; want exit code 7, out and err", r)
		}
	}},
	{name: "run-tty", do: func(x *try, d *docker) {
		r := d.lab.try(x, command{args: []string{"script", "--quiet", "--return", "--command", dockerCLI + " run --rm -it --network none " + dockerImage + " tty", "/dev/null"}})
		if r.code != 0 {
			x.Errorf("%s; want a terminal", r)
		}
	}},
	{name: "exit-codes", do: func(x *try, d *docker) {
		for _, c := range []struct {
			args []string
			code int
			want string
		}{
			{[]string{"--no-such-flag", dockerImage, "true"}, 125, "unknown flag"},
			{[]string{dockerImage, "/etc/passwd"}, 126, "permission denied"},
			{[]string{dockerImage, "nosuch"}, 127, `exec: "nosuch": executable file not found in $PATH`},
			{[]string{dockerImage, "/no/such"}, 127, "no such file or directory"},
			{[]string{"--init", dockerImage, "sh", "-c", "kill -KILL $$"}, 137, ""},
		} {
			r := d.try(x, append([]string{"run", "--rm", "--network", "none"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) {
				x.Errorf("%s; want exit code %d and %q", r, c.code, c.want)
			}
		}
	}},
	{name: "exec", do: func(x *try, d *docker) {
		d.detach(x, "exec", dockerImage, "sleep", "1000")
		r := d.try(x, "exec", "exec", "sh", "-c", "echo out; echo err >&2; exit 3")
		if r.code != 3 || r.out != "out" || r.stderr != "err" {
			x.Errorf("%s; want exit code 3, out and err", r)
		}
		if r := d.try(x, "exec", "exec", "nosuch"); r.code != 126 || !strings.Contains(r.out+r.stderr, `exec: "nosuch": executable file not found in $PATH`) {
			x.Errorf("%s; want exit code 126 and what is not found", r)
		}
		if got := d.do(x, "exec", "--workdir", "/tmp", "--env", "A=b", "--user", "1:2", "exec", "sh", "-c", "pwd; echo $A; id -u; id -g"); got != "/tmp\nb\n1\n2" {
			x.Errorf("directory, variable, user and group: %q; want /tmp, b, 1, 2", got)
		}
	}},
	{name: "logs", do: func(x *try, d *docker) {
		d.detach(x, "logs", dockerImage, "sh", "-c", "echo out; echo err >&2")
		d.do(x, "wait", "logs")
		if r := d.try(x, "logs", "logs"); r.out != "out" || r.stderr != "err" {
			x.Errorf("%s; want out and err", r)
		}
	}},
	{name: "stop", do: func(x *try, d *docker) {
		d.detach(x, "stop", dockerImage, "sh", "-c", "trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.02; done")
		x.eventually("the trap", func() bool { return strings.Contains(d.do(x, "logs", "stop"), "up") })
		d.do(x, "stop", "stop")
		if got := d.inspect(x, "stop", "{{.State.Status}} {{.State.ExitCode}}"); got != "exited 5" {
			x.Errorf("state %q after stop; want exited 5", got)
		}
		if got := d.do(x, "logs", "stop"); got != "up\nterm" {
			x.Errorf("logs %q; want up, term", got)
		}
		d.do(x, "start", "stop")
		if got := d.inspect(x, "stop", "{{.State.Status}}"); got != "running" {
			x.Errorf("state %q after start; want running", got)
		}
	}},
	{name: "kill", do: func(x *try, d *docker) {
		d.detach(x, "kill", dockerImage, "sh", "-c", "sleep 1000 & wait")
		d.do(x, "kill", "kill")
		if got := d.do(x, "wait", "kill"); got != "137" {
			x.Errorf("wait: %q; want 137", got)
		}
		if r := d.try(x, "kill", "kill"); r.code == 0 || !strings.Contains(r.stderr, "is not running") {
			x.Errorf("%s; want that it is not running", r)
		}
	}},
	{name: "pause", do: func(x *try, d *docker) {
		d.detach(x, "pause", dockerImage, "sleep", "1000")
		d.do(x, "pause", "pause")
		if got := d.inspect(x, "pause", "{{.State.Status}}"); got != "paused" {
			x.Errorf("state %q after pause; want paused", got)
		}
		d.do(x, "unpause", "pause")
		d.do(x, "exec", "pause", "true")
		// Removing what is paused.
		d.do(x, "pause", "pause")
		d.do(x, "rm", "--force", "pause")
		d.detach(x, "pause", dockerImage, "sleep", "1000")
	}},
	{name: "top", do: func(x *try, d *docker) {
		d.detach(x, "top", dockerImage, "sleep", "1000")
		if got := d.do(x, "top", "top", "-o", "pid,args"); !strings.HasSuffix(got, " sleep 1000") {
			x.Errorf("docker top: %q; want sleep 1000", got)
		}
	}},
	{name: "init", do: func(x *try, d *docker) {
		d.detach(x, "init", "--init", dockerImage, "sleep", "1000")
		if got := d.do(x, "exec", "init", "cat", "/proc/1/comm"); got != "docker-init" {
			x.Errorf("process 1: %q; want docker-init", got)
		}
	}},
	{name: "join", do: func(x *try, d *docker) {
		d.detach(x, "join", "--ipc", "shareable", dockerImage, "sleep", "1000")
		for _, ns := range []struct{ flag, name string }{{"--pid", "pid"}, {"--network", "net"}, {"--ipc", "ipc"}} {
			want := d.do(x, "exec", "join", "readlink", "/proc/self/ns/"+ns.name)
			if got := d.do(x, "run", "--rm", ns.flag, "container:join", dockerImage, "readlink", "/proc/self/ns/"+ns.name); got != want {
				x.Errorf("docker run %s container:join: %s; want its, %s", ns.flag, got, want)
			}
		}
		// A second process in a PID namespace that goes on goes with its container.
		d.detach(x, "joined", "--pid", "container:join", dockerImage, "sh", "-c", "setsid sleep 1001 & wait")
		x.eventually("sleep 1001", func() bool { return strings.Contains(d.do(x, "exec", "join", "ps"), "sleep 1001") })
		d.do(x, "kill", "joined")
		x.eventually("the end of sleep 1001", func() bool { return !strings.Contains(d.do(x, "exec", "join", "ps"), "sleep 1001") })
	}},
	{name: "restricted", do: func(x *try, d *docker) {
		r := d.try(x, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "5:6", dockerImage,
			"sh", "-c", "id -u; id -g; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; touch /x 2>&1")
		if want := "5\n6\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\ntouch: /x: Read-only file system"; r.out != want || r.code != 1 {
			x.Errorf("%s; want %q", r, want)
		}
	}},
	{name: "options", do: func(x *try, d *docker) {
		d.write(x, "volume/file", "volume")
		got := d.do(x, "run", "--rm", "--network", "none", "--device", "/dev/null:/dev/other", "--tmpfs", "/t:size=1m", "--ulimit", "nofile=99", "--shm-size", "1m",
			"--volume", d.path("volume")+":/v:ro", "--hostname", "name", "--sysctl", "kernel.shm_rmid_forced=1", dockerImage,
			"sh", "-c", "hostname; ulimit -n; cat /v/file; echo; cat /proc/sys/kernel/shm_rmid_forced; test -c /dev/other && echo device; touch /v/new 2>&1 || df -k /dev/shm /t | grep -c ' 1024 '")
		if want := "name\n99\nvolume\n1\ndevice\ntouch: /v/new: Read-only file system\n2"; got != want {
			x.Errorf("options: %q; want %q", got, want)
		}
	}},
	{name: "restart-daemon", do: func(x *try, d *docker) {
		// Without live-restore dockerd ends what runs when it starts again.
		d.detach(x, "restarted", "--restart", "always", "--stop-signal", "KILL", dockerImage, "sleep", "1000")
		x.must(d.stop(unix.SIGTERM))
		d.start(x, []string{dockerCLI, "version"})
		x.eventually("it runs again", func() bool { return d.inspect(x, "restarted", "{{.State.Status}}") == "running" })
		d.do(x, "exec", "restarted", "true")
	}},
	{name: "build", do: func(x *try, d *docker) { d.build(x, "DOCKER_BUILDKIT=0") }},
	{name: "buildkit", do: func(x *try, d *docker) { d.build(x, "DOCKER_BUILDKIT=1") }},
	{name: "limits", on: inVM, do: func(x *try, d *docker) {
		// The VM's kernel has AppArmor, whose tools dockerd would call for.
		unconfined := "--security-opt=apparmor=unconfined"
		d.detach(x, "limits", unconfined, "--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", dockerImage, "sleep", "1000")
		dir := "/sys/fs/cgroup/docker-" + d.runtime.name + "/" + d.inspect(x, "limits", "{{.Id}}")
		want := func(file, value string) {
			if got := cgroupFile(x, dir, file); got != value {
				x.Errorf("%s: %q; want %q", file, got, value)
			}
		}
		want("memory.max", "67108864")
		want("cpu.max", "50000 100000")
		want("pids.max", "50")
		d.do(x, "update", "--memory", "48m", "--cpus", "0.25", "--pids-limit", "40", "limits")
		want("memory.max", "50331648")
		want("cpu.max", "25000 100000")
		want("pids.max", "40")
		if got := d.do(x, "stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "limits"); !strings.HasSuffix(got, "/ 48MiB 1") {
			x.Errorf("docker stats: %q; want a limit of 48MiB, 1 process", got)
		}
		// As containerd's CRI plugin, dockerd can hear of the end first.
		oom := ""
		for i := 0; i < oomTries && oom != "true"; i++ {
			name := fmt.Sprint("oom", i)
			r := d.try(x, "run", unconfined, "--name", name, "--network", "none", "--memory", "32m", dockerImage, "/probe", "eat-memory", "67108864")
			d.atEnd(x, dockerCLI, "rm", "--force", name)
			if oom = d.inspect(x, name, "{{.State.OOMKilled}}"); r.code != 137 {
				x.Errorf("%s; want exit code 137", r)
			}
		}
		if oom != "true" {
			x.Errorf("OOMKilled=%s, %d times; want true", oom, oomTries)
		}
	}},
}

// build builds an image from the one that is there.
func (d *docker) build(x *try, env string) {
	d.write(x, "build/Dockerfile", "FROM "+dockerImage+"\nRUN echo made >/made && test $$ = 1\nRUN cat /made\n")
	r := d.lab.try(x, command{args: []string{dockerCLI, "build", "--network", "none", "--no-cache", "--tag", "made", d.path("build")}, env: []string{env}})
	if r.code != 0 {
		x.Fatalf("%s", r)
	}
	if got := d.do(x, "run", "--rm", "--network", "none", "made", "cat", "/made"); got != "made" {
		x.Errorf("/made of the image: %q; want made", got)
	}
	// What a build's container cannot do fails the build with its code.
	d.write(x, "broken/Dockerfile", "FROM "+dockerImage+"\nRUN exit 9\n")
	broken := d.lab.try(x, command{args: []string{dockerCLI, "build", "--network", "none", d.path("broken")}, env: []string{env}})
	if broken.code == 0 || !strings.Contains(broken.out+broken.stderr, "9") {
		x.Errorf("%s; want that the build fails with 9", broken)
	}
}
