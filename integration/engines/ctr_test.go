package engines

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestContainerd(t *testing.T) {
	rung.Privileged(t)
	compare(t, func(x *try, l *lab) *containerd {
		c := newContainerd(x, l)
		c.load(x, c.namespace())
		return c
	}, ctrOperations...)
}

// ctr runs ctr, which must succeed, and returns what it prints.
func (c *containerd) ctr(x *try, args ...string) string {
	return c.do(x, append([]string{"ctr"}, args...)...)
}

// tryCtr runs ctr; it may fail.
func (c *containerd) tryCtr(x *try, args ...string) result {
	return c.try(x, command{args: append([]string{"ctr"}, args...)})
}

// prints runs ctr, which must end with the code and print out and err. What ctr
// has not begun to read when the process ends is lost, with every runtime, about
// once in fifty on a busy machine: then it runs again.
func (c *containerd) prints(x *try, code int, out, stderr string, args ...string) {
	x.eventually("all of the output", func() bool {
		r := c.tryCtr(x, args...)
		lost := r.out == "" && out != "" || r.stderr == "" && stderr != ""
		if r.code != code || !lost && (r.out != out || r.stderr != stderr) {
			x.Fatalf("%s; want exit code %d, %q and %q", r, code, out, stderr)
		}
		return !lost
	})
}

// runArgs is `ctr run` with the runtime and some flags, which end at the name.
func (c *containerd) runArgs(flags ...string) []string {
	args := []string{"run", "--runc-binary", c.runtime.path}
	if rung.Current() == rung.Native {
		args = append(args, "--cpu-shares", "0") // there is no cpu controller
	}
	return append(args, flags...)
}

// detach starts a container in the background, which ends with the operation.
func (c *containerd) detach(x *try, name string, args ...string) {
	x.Cleanup(func(t *testing.T) {
		for _, fault := range attempt(t, func(x *try) {
			c.tryCtr(x, "task", "delete", "--force", name)
			c.ctr(x, "container", "delete", name)
		}) {
			t.Errorf("clean up: %s", fault)
		}
	})
	c.ctr(x, append(c.runArgs("--detach"), args...)...)
}

// status is the task's, as `ctr task ls` has it; empty if there is no task.
func (c *containerd) status(x *try, name string) string {
	for line := range strings.Lines(c.ctr(x, "task", "ls")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			return f[2]
		}
	}
	return ""
}

// awaitStop waits for the end of the task.
func (c *containerd) awaitStop(x *try, name string) {
	x.eventually("the end of task "+name, func() bool { return c.status(x, name) == "STOPPED" })
}

var ctrOperations = []operation[*containerd]{
	{name: "run", do: func(x *try, c *containerd) {
		c.prints(x, 7, "out", "err", c.runArgs("--rm", containerdImage, "fg", "sh", "-c", "echo out; echo err >&2; exit 7")...)
	}},
	{name: "run-tty", do: func(x *try, c *containerd) {
		shell := strings.Join(append(append([]string{"ctr"}, c.runArgs("--rm", "--tty")...), containerdImage, "tty", "tty"), " ")
		r := c.try(x, command{args: []string{"script", "--quiet", "--return", "--command", shell, "/dev/null"}})
		if r.code != 0 {
			x.Errorf("%s; want a terminal", r)
		}
	}},
	{name: "run-no-such-command", do: func(x *try, c *containerd) {
		r := c.tryCtr(x, c.runArgs("--rm", containerdImage, "none", "nosuch")...)
		if want := `exec: "nosuch": executable file not found in $PATH`; r.code != 1 || !strings.Contains(r.stderr, want) {
			x.Errorf("%s; want exit code 1 and %s", r, want)
		}
	}},
	{name: "run-no-pivot", do: func(x *try, c *containerd) {
		c.prints(x, 0, "hi", "", c.runArgs("--rm", "--no-pivot", containerdImage, "nopivot", "echo", "hi")...)
	}},
	{name: "run-privileged", do: func(x *try, c *containerd) {
		all := c.do(x, "grep", "CapEff", "/proc/self/status")
		c.prints(x, 0, all, "", c.runArgs("--rm", "--privileged", containerdImage, "priv", "grep", "CapEff", "/proc/self/status")...)
	}},
	{name: "pid-file", do: func(x *try, c *containerd) {
		file := c.path("ctr.pid")
		c.detach(x, "pidfile", "--pid-file", file, containerdImage, "pidfile", "sleep", "1000")
		pid, err := os.ReadFile(file)
		x.must(err)
		if ls := c.ctr(x, "task", "ls"); !strings.Contains(ls, " "+string(pid)+" ") {
			x.Errorf("ctr task ls: %q; want pid %s in it", ls, pid)
		}
	}},
	{name: "exec", do: func(x *try, c *containerd) {
		c.detach(x, "exec", containerdImage, "exec", "sleep", "1000")
		c.prints(x, 3, "out", "err", "task", "exec", "--exec-id", "e1", "exec", "sh", "-c", "echo out; echo err >&2; exit 3")
		r := c.tryCtr(x, "task", "exec", "--exec-id", "e2", "exec", "nosuch")
		if want := `exec: "nosuch": executable file not found in $PATH`; r.code != 1 || !strings.Contains(r.stderr, want) {
			x.Errorf("%s; want exit code 1 and %s", r, want)
		}
		// A failed exec leaves nothing that the next one would meet.
		c.prints(x, 0, "/tmp", "", "task", "exec", "--exec-id", "e2", "--cwd", "/tmp", "exec", "pwd")
	}},
	{name: "ps", do: func(x *try, c *containerd) {
		c.detach(x, "ps", containerdImage, "ps", "sh", "-c", "sleep 1000 & wait")
		x.eventually("two processes", func() bool { return strings.Count(c.ctr(x, "task", "ps", "ps"), "\n") == 2 })
	}},
	{name: "pause", do: func(x *try, c *containerd) {
		c.detach(x, "pause", containerdImage, "pause", "sleep", "1000")
		c.ctr(x, "task", "pause", "pause")
		if got := c.status(x, "pause"); got != "PAUSED" {
			x.Errorf("status %q after pause; want PAUSED", got)
		}
		if r := c.tryCtr(x, "task", "exec", "--exec-id", "p", "pause", "true"); r.code == 0 {
			x.Errorf("%s; want that a paused container takes no exec", r)
		}
		c.ctr(x, "task", "resume", "pause")
		if got := c.status(x, "pause"); got != "RUNNING" {
			x.Errorf("status %q after resume; want RUNNING", got)
		}
		c.ctr(x, "task", "exec", "--exec-id", "r", "pause", "true")
	}},
	{name: "kill", do: func(x *try, c *containerd) {
		c.detach(x, "kill", containerdImage, "kill", "sh", "-c", "trap 'exit 5' TERM; echo up >/up; while :; do sleep 0.02; done")
		x.eventually("the trap", func() bool {
			return c.tryCtr(x, "task", "exec", "--exec-id", "t", "kill", "cat", "/up").code == 0
		})
		c.ctr(x, "task", "kill", "--signal", "SIGTERM", "kill")
		c.awaitStop(x, "kill")
		if r := c.tryCtr(x, "task", "kill", "kill"); r.code == 0 || !strings.Contains(r.stderr, "not found") {
			x.Errorf("kill of what has ended: %s; want not found", r)
		}
		if r := c.tryCtr(x, "task", "delete", "kill"); r.code != 0 || !strings.Contains(r.stderr, "exit code 5") {
			x.Errorf("%s; want the exit code of the trap, 5", r)
		}
	}},
	{name: "kill-all", do: func(x *try, c *containerd) {
		c.detach(x, "all", containerdImage, "all", "sh", "-c", "trap '' TERM; sleep 1000 & wait")
		c.ctr(x, "task", "kill", "--signal", "SIGKILL", "--all", "all")
		c.awaitStop(x, "all")
	}},
	{name: "delete", do: func(x *try, c *containerd) {
		c.detach(x, "delete", containerdImage, "delete", "sleep", "1000")
		if r := c.tryCtr(x, "task", "delete", "delete"); r.code == 0 || c.status(x, "delete") != "RUNNING" {
			x.Errorf("%s; want that a running task stays", r)
		}
		// Its exit code is that of the killed container.
		c.tryCtr(x, "task", "delete", "--force", "delete")
		if got := c.status(x, "delete"); got != "" {
			x.Errorf("status %q after a forced delete; want none", got)
		}
	}},
	{name: "host-pid-kill", do: func(x *try, c *containerd) {
		// The shim calls kill --all when the first process of such a container
		// has ended, and whatever it leaves must go.
		file := c.path("hostpid")
		c.detach(x, "hostpid", "--with-ns", "pid:/proc/1/ns/pid", "--mount", "type=bind,src="+c.dir+",dst=/lab,options=rbind:rw", containerdImage,
			"hostpid", "sh", "-c", "setsid sleep 1000 & echo $! >/lab/hostpid; wait")
		var orphan int
		x.eventually("the pid of the second process", func() bool {
			b, err := os.ReadFile(file)
			orphan, _ = strconv.Atoi(strings.TrimSpace(string(b)))
			return err == nil && orphan > 0
		})
		c.ctr(x, "task", "kill", "--signal", "SIGKILL", "hostpid")
		c.awaitStop(x, "hostpid")
		x.eventually("the end of the second process", func() bool { return !alive(orphan) })
	}},
	{name: "events", do: func(x *try, c *containerd) {
		events := c.startDaemon(x, []string{"true"}, "ctr", "events")
		// It does not say when it listens.
		x.eventually("the events of a container", func() bool {
			c.ctr(x, c.runArgs("--rm", containerdImage, "events", "true")...)
			b, err := os.ReadFile(events.log())
			x.must(err)
			for _, topic := range []string{"/tasks/create ", "/tasks/start ", "/tasks/exit ", "/tasks/delete "} {
				if !strings.Contains(string(b), topic) {
					return false
				}
			}
			return true
		})
	}},
	{name: "checkpoint", on: inVM, do: func(x *try, c *containerd) {
		const ref = "podrt.test/checkpoint:1"
		restoreCgroupOptions(x)
		// What it counts is in its memory only.
		c.detach(x, "counter", containerdImage, "counter", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.1; done")
		count := func(name, exec string) int {
			r := c.tryCtr(x, "task", "exec", "--exec-id", exec, name, "cat", "/count")
			n, _ := strconv.Atoi(r.out)
			return n
		}
		x.eventually("it counts", func() bool { return count("counter", "e") > 3 })
		c.ctr(x, "container", "checkpoint", "--rw", "--task", "counter", ref)
		seen := 0
		x.eventually("the count", func() bool { seen = count("counter", "e"); return seen > 0 })
		// The cgroup that both are to have must be free.
		c.ctr(x, "task", "kill", "--signal", "SIGKILL", "counter")
		c.awaitStop(x, "counter")
		c.ctr(x, "task", "delete", "counter")
		x.Cleanup(func(t *testing.T) {
			for _, fault := range attempt(t, func(x *try) {
				c.tryCtr(x, "task", "delete", "--force", "restored")
				c.tryCtr(x, "container", "delete", "restored")
				c.ctr(x, "image", "delete", ref)
			}) {
				t.Errorf("clean up: %s", fault)
			}
		})
		c.ctr(x, "container", "restore", "--rw", "--live", "restored", ref)
		if got := c.status(x, "restored"); got != "RUNNING" {
			x.Errorf("status %q after restore; want RUNNING", got)
		}
		x.eventually("it counts on", func() bool { return count("restored", "r") > seen })
	}},
	{name: "metrics", on: inVM, do: func(x *try, c *containerd) {
		c.detach(x, "metrics", "--memory-limit", "67108864", containerdImage, "metrics", "sleep", "1000")
		got := strings.Join(strings.Fields(c.ctr(x, "task", "metrics", "metrics")), " ")
		for _, want := range []string{"memory.usage_limit 67108864", "pids.current 1 "} {
			if !strings.Contains(got+" ", want) {
				x.Errorf("ctr task metrics: %s; want %s in it", got, want)
			}
		}
	}},
}

// restoreCgroupOptions gives the cgroup tree at the end the options of the VM
// back: criu mounts it as well, without any, and then all mounts of it have none.
func restoreCgroupOptions(x *try) {
	x.Cleanup(func(t *testing.T) {
		flags := uintptr(unix.MS_REMOUNT | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME)
		if err := unix.Mount("", "/sys/fs/cgroup", "", flags, "nsdelegate,memory_recursiveprot"); err != nil {
			t.Errorf("remount the cgroup tree: %v", err)
		}
	})
}

// alive reports whether the process exists and is no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}
