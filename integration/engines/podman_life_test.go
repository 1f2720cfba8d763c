package engines

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// status is what podman knows of a container: the runtime's words, or its own
// after the end.
func (p *podman) status(x *try, name string) string {
	return p.do(x, "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name)
}

// pid is the container's first process.
func (p *podman) pid(x *try, name string) int {
	pid, err := strconv.Atoi(p.do(x, "inspect", "--format", "{{.State.Pid}}", name))
	x.must(err)
	return pid
}

// cgroup is the directory of the running container's cgroup.
func (p *podman) cgroup(x *try, name string) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.pid(x, name)))
	x.must(err)
	_, path, ok := strings.Cut(string(b), "0::")
	if !ok {
		x.Fatalf("cgroup of %s: %q; want a line of v2", name, b)
	}
	return "/sys/fs/cgroup" + strings.TrimSpace(path)
}

// wantStatus looks whether the container is as it should be.
func (p *podman) wantStatus(x *try, name, want string) {
	if got := p.status(x, name); got != want {
		x.Errorf("%s is %q; want %q", name, got, want)
	}
}

var podmanLife = []operation[*podman]{
	{name: "create-init-start", do: func(x *try, p *podman) {
		p.removeAtEnd(x, "box")
		p.do(x, "create", "--name", "box", podmanImage, "sh", "-c", "echo started; exit 3")
		p.wantStatus(x, "box", "created 0")
		p.do(x, "init", "box")
		p.wantStatus(x, "box", "initialized 0")
		if got := p.do(x, "logs", "box"); got != "" {
			x.Errorf("logs before the start: %q; want none", got)
		}
		p.do(x, "start", "box")
		if got := p.do(x, "wait", "box"); got != "3" {
			x.Errorf("wait: %q; want 3", got)
		}
		p.wantStatus(x, "box", "exited 3")
		if got := p.do(x, "logs", "box"); got != "started" {
			x.Errorf("logs: %q; want started", got)
		}
		if r := p.try(x, "start", "--attach", "box"); r.code != 3 || r.out != "started" {
			x.Errorf("start --attach, once more: %s; want exit code 3 and started", r)
		}
	}},
	{name: "stop", do: func(x *try, p *podman) {
		// Of its own will, with SIGTERM.
		p.start(x, "polite", podmanImage, "/probe", "trap")
		x.eventually("ready", func() bool { return p.do(x, "logs", "polite") == "ready" })
		p.do(x, "stop", "--time", "60", "polite")
		p.wantStatus(x, "polite", "exited 0")
		if got := p.do(x, "logs", "polite"); got != "ready\nSIGTERM" {
			x.Errorf("logs: %q; want SIGTERM at the end", got)
		}
		// By another signal.
		p.start(x, "other", "--stop-signal", "USR1", podmanImage, "sh", "-c", "trap 'exit 9' USR1; echo ready; sleep 1000 & wait")
		x.eventually("ready", func() bool { return p.do(x, "logs", "other") == "ready" })
		p.do(x, "stop", "--time", "60", "other")
		p.wantStatus(x, "other", "exited 9")
		// By force.
		p.start(x, "stubborn", podmanImage, "/probe", "ignore-term")
		x.eventually("ready", func() bool { return p.do(x, "logs", "stubborn") == "ready" })
		p.do(x, "stop", "--time", "1", "stubborn")
		p.wantStatus(x, "stubborn", "exited 137")
	}},
	{name: "kill", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "/probe", "trap")
		x.eventually("ready", func() bool { return p.do(x, "logs", "box") == "ready" })
		p.do(x, "kill", "--signal", "USR1", "box")
		x.eventually("SIGUSR1", func() bool { return p.do(x, "logs", "box") == "ready\nSIGUSR1" })
		p.do(x, "kill", "box")
		if got := p.do(x, "wait", "box"); got != "137" {
			x.Errorf("wait: %q; want 137", got)
		}
		if r := p.try(x, "kill", "box"); r.code != 125 || !strings.Contains(r.stderr, "can only kill running containers") {
			x.Errorf("kill of a dead container: %s; want exit code 125", r)
		}
	}},
	{name: "rm-f", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sh", "-c", "sleep 1000 & sleep 1001 & wait")
		pid := p.pid(x, "box")
		p.do(x, "rm", "--force", "--time", "0", "box")
		if err := unix.Kill(pid, 0); err != unix.ESRCH {
			x.Errorf("kill(%d, 0) after rm -f: %v; want ESRCH", pid, err)
		}
		if r := p.try(x, "container", "exists", "box"); r.code != 1 {
			x.Errorf("%s; want it to be gone", r)
		}
	}},
	{name: "pause-unpause", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		p.do(x, "pause", "box")
		p.wantStatus(x, "box", "paused 0")
		if r := p.try(x, "exec", "box", "true"); r.code == 0 {
			x.Errorf("exec in a paused container: %s; want it to fail", r)
		}
		p.do(x, "unpause", "box")
		p.wantStatus(x, "box", "running 0")
		p.do(x, "exec", "box", "true")
		// A paused container can be removed.
		p.do(x, "pause", "box")
		p.do(x, "rm", "--force", "--time", "0", "box")
	}},
	{name: "restart", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		before := p.pid(x, "box")
		p.do(x, "restart", "--time", "0", "box")
		if after := p.pid(x, "box"); after == before {
			x.Errorf("pid %d after restart; want another", after)
		}
		p.wantStatus(x, "box", "running 0")
		p.start(x, "again", "--restart", "on-failure:2", podmanImage, "false")
		x.eventually("two restarts", func() bool {
			return p.do(x, "inspect", "--format", "{{.RestartCount}} {{.State.Status}}", "again") == "2 exited"
		})
	}},
	{name: "attach", do: func(x *try, p *podman) {
		p.start(x, "box", "--interactive", podmanImage, "sh", "-c", "read line; echo got $line; exit 4")
		r := p.lab.try(x, command{args: p.args("attach", "box"), stdin: []byte("hello\n")})
		if r.out != "got hello" {
			x.Errorf("attach: %s; want \"got hello\"", r)
		}
		if got := p.do(x, "wait", "box"); got != "4" {
			x.Errorf("wait: %q; want 4", got)
		}
	}},
	{name: "logs-f", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sh", "-c", "echo one; echo two >&2; sleep 0.3; echo three")
		r := p.try(x, "logs", "--follow", "box")
		if r.code != 0 || r.out != "one\nthree" || r.stderr != "two" {
			x.Errorf("logs -f: %s; want one, three; two", r)
		}
	}},
	{name: "ps-inspect-top", do: func(x *try, p *podman) {
		id := p.start(x, "box", "--label", "a=b", "--annotation", "note=this", podmanImage, "sleep", "1000")
		if got := p.do(x, "ps", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}"); !strings.HasPrefix(got, id+" box Up ") {
			x.Errorf("ps: %q; want %s running box", got, id)
		}
		got := p.do(x, "inspect", "--format", `{{.OCIRuntime}} {{.Config.Annotations.note}} {{.State.OciVersion}} {{.Name}}`, "box")
		if f := strings.Fields(got); len(f) != 4 || f[0] != p.runtime.name || f[1] != "this" || !strings.HasPrefix(f[2], "1.") {
			x.Errorf("inspect: %q; want the runtime's name, the annotation, the version", got)
		}
		if got := p.do(x, "top", "box", "pid", "comm"); strings.Join(strings.Fields(got), " ") != "PID COMMAND 1 sleep" {
			x.Errorf("top: %q; want sleep as 1", got)
		}
		// Flags of ps(1) have podman run it inside.
		if got := p.do(x, "top", "box", "-o", "pid,args"); !strings.Contains(got, "sleep 1000") {
			x.Errorf("top -o: %q; want sleep 1000", got)
		}
	}},
	{name: "healthcheck", do: func(x *try, p *podman) {
		p.start(x, "box", "--health-cmd", "test -e /tmp/well", "--health-interval", "disable", podmanImage, "sleep", "1000")
		if r := p.try(x, "healthcheck", "run", "box"); r.code != 1 {
			x.Errorf("healthcheck run: %s; want exit code 1", r)
		}
		p.do(x, "exec", "box", "touch", "/tmp/well")
		p.do(x, "healthcheck", "run", "box")
	}},
	{name: "cp-diff-commit", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		file := p.write(x, "file", "copied")
		p.do(x, "cp", file, "box:/tmp/in")
		if got := p.do(x, "exec", "box", "cat", "/tmp/in"); got != "copied" {
			x.Errorf("cat after cp: %q; want copied", got)
		}
		p.do(x, "cp", "box:/tmp/in", p.path("out"))
		if got := p.do(x, "diff", "box"); !strings.Contains(got, "A /tmp/in") {
			x.Errorf("diff: %q; want A /tmp/in", got)
		}
		p.do(x, "commit", "--quiet", "box", "localhost/committed")
		if got := p.do(x, "run", "--rm", "localhost/committed", "cat", "/tmp/in"); got != "copied" {
			x.Errorf("cat in the committed image: %q; want copied", got)
		}
	}},
}
