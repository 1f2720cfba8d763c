package engines

import (
	"strings"
	"time"

	"github.com/containerd/console"
)

var podmanExec = []operation[*podman]{
	{name: "exec", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		if got := p.do(x, "exec", "box", "sh", "-c", "echo $0; hostname", "hello"); !strings.HasPrefix(got, "hello\n") {
			x.Errorf("exec: %q; want hello and a host name", got)
		}
		for _, c := range []struct {
			command []string
			code    int
			stderr  string
		}{
			{[]string{"true"}, 0, ""},
			{[]string{"sh", "-c", "exit 7"}, 7, ""},
			{[]string{"sh", "-c", "kill -KILL $$"}, 128 + 9, ""},
			{[]string{"/etc/passwd"}, 126, "permission denied"},
			{[]string{"/nowhere"}, 127, "no such file or directory"},
			{[]string{"nothing"}, 127, "executable file not found in $PATH"},
			{[]string{"--workdir", "/nowhere", "true"}, 127, "no such file or directory"},
		} {
			args := []string{"exec", "box"}
			if c.command[0] == "--workdir" {
				args, c.command = []string{"exec", "--workdir", c.command[1], "box"}, c.command[2:]
			}
			r := p.try(x, append(args, c.command...)...)
			if r.code != c.code || !strings.Contains(r.stderr, c.stderr) {
				x.Errorf("%s; want exit code %d and %q", r, c.code, c.stderr)
			}
		}
	}},
	{name: "exec-options", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		got := p.do(x, "exec", "--user", "65534:65534", "--workdir", "/tmp", "--env", "SAID=yes", "box",
			"sh", "-c", "id -u; id -g; pwd; echo $SAID; grep CapEff /proc/self/status")
		if want := "65534\n65534\n/tmp\nyes\nCapEff:\t0000000000000000"; got != want {
			x.Errorf("exec with options: %q; want %q", got, want)
		}
		if got := p.do(x, "exec", "--privileged", "box", "grep", "CapEff", "/proc/self/status"); got == p.do(x, "exec", "box", "grep", "CapEff", "/proc/self/status") {
			x.Errorf("exec --privileged: %q, as without it", got)
		}
		r := p.lab.try(x, command{args: p.args("exec", "-i", "box", "cat"), stdin: []byte(strings.Repeat("0123456789abcdef", 1<<16))})
		if r.code != 0 || len(r.out) != 1<<20 {
			x.Errorf("exec -i cat: exit code %d, %d bytes, %s; want 0 and a MiB", r.code, len(r.out), r.stderr)
		}
	}},
	{name: "exec-d", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		p.do(x, "exec", "--detach", "box", "sh", "-c", "echo done > /tmp/detached; exec sleep 999")
		x.eventually("the file of a detached exec", func() bool {
			return p.try(x, "exec", "box", "cat", "/tmp/detached").out == "done"
		})
		if got := p.do(x, "exec", "box", "ps"); !strings.Contains(got, "sleep 999") {
			x.Errorf("ps: %q; want sleep 999 of a detached exec", got)
		}
	}},
	{name: "exec-it", do: func(x *try, p *podman) {
		p.start(x, "box", podmanImage, "sleep", "1000")
		code, seen := p.onTerminal(x, p.args("exec", "-it", "box", "sh"), func(tty *terminal) {
			tty.await("# ")
			tty.enter("tty; busybox stty size")
			tty.await("/dev/pts/0")
			tty.await("24 80")
			x.must(tty.pty.Resize(console.WinSize{Height: 33, Width: 99}))
			// The size travels: terminal, podman, monitor, terminal.
			for deadline := time.Now().Add(commandLimit()); !strings.Contains(tty.screen(), "33 99") && time.Now().Before(deadline); {
				tty.enter("busybox stty size; echo e''nd")
				tty.await("end")
			}
			tty.await("33 99")
			tty.enter("exit 5")
		})
		if code != 5 {
			x.Errorf("exec -it sh: exit code %d; want 5; seen: %q", code, seen)
		}
	}},
	{name: "run-it", do: func(x *try, p *podman) {
		code, seen := p.onTerminal(x, p.args("run", "-it", "--rm", podmanImage, "sh"), func(tty *terminal) {
			tty.await("# ")
			tty.enter("tty; busybox stty size; echo $TERM")
			tty.await("/dev/pts/0")
			tty.await("24 80")
			tty.await("xterm")
			tty.enter("exit 6")
		})
		if code != 6 {
			x.Errorf("run -it: exit code %d; want 6; seen: %q", code, seen)
		}
	}},
	{name: "run-dt", do: func(x *try, p *podman) {
		p.start(x, "box", "--tty", podmanImage, "sh", "-c", "tty; exec sleep 1000")
		x.eventually("/dev/pts/0 in the log", func() bool { return p.do(x, "logs", "box") == "/dev/pts/0" })
	}},
	{name: "preserve-fds", do: func(x *try, p *podman) {
		file := p.write(x, "preserved", "kept open")
		args := p.args("run", "--rm", "--preserve-fds", "1", podmanImage, "cat", "/proc/self/fd/3")
		r := p.lab.try(x, command{args: append([]string{"sh", "-c", `exec "$@" 3<` + file, "sh"}, args...)})
		if r.code != 0 || r.out != "kept open" {
			x.Errorf("run --preserve-fds: %s; want \"kept open\"", r)
		}
		p.start(x, "box", podmanImage, "sleep", "1000")
		args = p.args("exec", "--preserve-fds", "1", "box", "cat", "/proc/self/fd/3")
		r = p.lab.try(x, command{args: append([]string{"sh", "-c", `exec "$@" 3<` + file, "sh"}, args...)})
		if r.code != 0 || r.out != "kept open" {
			x.Errorf("exec --preserve-fds: %s; want \"kept open\"", r)
		}
	}},
}
