package contract

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hookKinds are in the order in which they run.
var hookKinds = []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

// withHooks runs a script at each hook, with its kind as $1.
func withHooks(script string, timeout int, kinds ...string) func(*spec) {
	return func(c *spec) {
		c.Hooks = &specs.Hooks{}
		for _, kind := range kinds {
			// The first two run outside, the others in the container's root.
			h := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script, "sh", kind}, Env: []string{"PATH=/bin:/usr/bin", "WHICH=" + kind}}
			if timeout > 0 {
				h.Timeout = &timeout
			}
			list := map[string]*[]specs.Hook{
				"prestart":      &c.Hooks.Prestart, //nolint:staticcheck // still run
				"createRuntime": &c.Hooks.CreateRuntime, "createContainer": &c.Hooks.CreateContainer,
				"startContainer": &c.Hooks.StartContainer, "poststart": &c.Hooks.Poststart, "poststop": &c.Hooks.Poststop,
			}[kind]
			*list = append(*list, h)
		}
		// Where hooks in the container and outside of it write alike.
		c.Mounts = append(c.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: "/nowhere", Options: []string{"bind", "rw"}})
	}
}

// hooks makes a container with hooks that run a script; $D is one directory, in
// the container and outside.
func (s *session) hooks(script string, timeout int, kinds ...string) {
	s.Helper()
	s.hooksOf("exec sleep 1000", script, timeout, kinds...)
}

func (s *session) hooksOf(command, script string, timeout int, kinds ...string) {
	s.Helper()
	dir := s.path("hooks")
	s.must(os.RemoveAll(dir))
	s.must(os.Mkdir(dir, 0o755))
	s.configure(command, withHooks(`D=`+dir+`; test -d $D || D=/mnt; `+script, timeout, kinds...), func(c *spec) {
		c.Mounts[len(c.Mounts)-1].Source = dir
	})
}

func (s *session) hookLog() string {
	b, _ := os.ReadFile(s.path("hooks/log"))
	return string(b)
}

var hookRows = []row{
	{
		name: "hooks-in-order",
		says: "six hooks with their state on stdin, in order, with their environment and arguments, in the bundle",
		do: func(s *session) {
			s.hooks(`echo "$1 WHICH=$WHICH HOME=$HOME cwd=$(pwd) $(tr -d '\n')" >> $D/log`, 0, hookKinds...)
			s.ok("create", "c1")
			s.fact("after create", s.normal(s.hookLog()))
			cmd := s.command("start", "c1")
			s.silent(cmd)
			// These two run side by side.
			s.await("hooks", func() bool {
				return strings.Contains(s.hookLog(), "poststart") && strings.Contains(s.hookLog(), "startContainer")
			})
			lines := strings.Split(s.hookLog(), "\n")
			slices.Sort(lines)
			s.fact("after start", strings.Join(lines, "\n"))
			before := s.hookLog()
			s.ok("kill", "c1", "9")
			s.awaitStatus("stopped")
			cmd = s.command("delete", "c1")
			cmd.Dir = "/"
			s.silent(cmd)
			s.fact("after delete", strings.TrimPrefix(s.hookLog(), before))
		},
	},
	{
		name: "hooks-that-fail",
		says: "a hook's failure ends create, start or run; of poststop's it is only told",
		do: func(s *session) {
			for _, kind := range hookKinds {
				s.hooks(`echo $1 >> $D/log; echo "why $1" >&2; exit 3`, 0, kind)
				r := s.call("create", "c1")
				if r.code == 0 {
					s.call("start", "c1")
					if kind == "startContainer" { // the init ends by itself
						s.awaitStatus("stopped")
					}
					s.fact("status", s.status())
					if s.status() == "created" {
						s.ok("kill", "c1", "9")
					}
				}
				s.quiet("kill", "-a", "c1", "9")
				s.call("delete", "--force", "c1")
				s.fact("hooks", s.hookLog())
				s.exists(s.root + "/c1")
				s.hooksOf("exit 0", `echo "why $1" >&2; exit 3`, 0, kind)
				s.call("run", "c1")
				s.call("delete", "--force", "c1")
			}
		},
	},
	{
		name: "hook-timeout",
		says: "a hook that takes longer than its timeout is killed, and fails",
		do: func(s *session) {
			s.hooks("exec sleep 1000", 1, "createRuntime")
			s.call("create", "c1")
			s.exists(s.root + "/c1")
		},
	},
	{
		name: "hooks-that-cannot-run",
		says: "a missing hook fails the start",
		do: func(s *session) {
			s.configure("true", func(c *spec) {
				c.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/proc/nonexistent"}}}
			})
			s.call("create", "c1")
			s.configure("true", func(c *spec) {
				c.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/proc/nonexistent"}}}
			})
			s.call("run", "c1")
			s.exists(s.root + "/c1")
		},
	},
	{
		name: "notify-socket",
		says: "NOTIFY_SOCKET: READY=1, MAINPID, barrier",
		do: func(s *session) {
			// The test's own stand-in for systemd-notify runs where the socket is.
			manager := s.listen("unixgram")
			s.env = []string{"NOTIFY_SOCKET=" + manager.path}
			s.configure(`echo "$NOTIFY_SOCKET"; test -S $NOTIFY_SOCKET && exec sleep 1000`)
			s.ok("create", "c1")
			cmd := s.command("start", "c1")
			s.must(cmd.Start())
			socket := s.root + "/c1/notify/notify.sock"
			// It is made first, and opened to all then.
			s.await("socket for all", func() bool {
				info, err := os.Stat(socket)
				return err == nil && info.Mode() == os.ModeSocket|0o777
			})
			s.notify(socket, "READY=1\n")
			manager.expectNotify("READY=1\n", "MAINPID="+strconv.Itoa(s.pid())+"\n", "BARRIER=1")
			s.fact("start ends", cmd.Wait())
			s.env = nil
			s.ok("delete", "-f", "c1")

			// Detached, run waits, too.
			s.env = []string{"NOTIFY_SOCKET=" + manager.path}
			cmd = s.command("run", "-d", "c1")
			s.must(cmd.Start())
			s.await("socket", func() bool { _, err := os.Stat(socket); return err == nil })
			s.awaitStatus("running")
			s.notify(socket, "READY=1")
			manager.expectNotify("READY=1\n", "MAINPID="+strconv.Itoa(s.pid())+"\n", "BARRIER=1")
			s.fact("run ends", cmd.Wait())
			s.env = nil
			s.ok("delete", "-f", "c1")

			// One that ends without a word ends the wait.
			s.env = []string{"NOTIFY_SOCKET=" + manager.path}
			s.configure("exit 0")
			s.ok("create", "c1")
			s.ok("start", "c1")
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "terminal-in-the-foreground",
		says: "foreground run with tty: size, input, exit code; the caller's terminal is put back",
		do: func(s *session) {
			s.configure("tty; echo ready; read a; echo got $a; exit 5", withTerminal)
			s.fact("run", s.terminal(s.command("run", "c1"), 33, 77, "hello\r"))
			s.configure("exec sleep 1000")
			s.ok("run", "-d", "c1")
			s.fact("exec", s.terminal(s.command("exec", "-t", "c1", "sh", "-c", "tty; echo ready; read a; echo got $a; exit 6"), 10, 20, "hello\r"))
			s.ok("delete", "-f", "c1")
			// Without a terminal of its own it cannot.
			s.configure("true", withTerminal)
			sh := exec.Command("setsid", append([]string{"--wait"}, s.command("run", "c1").Args...)...)
			sh.Dir, sh.Env = s.bundle, s.command().Env
			s.do(sh)
			s.exists(s.root + "/c1")
		},
	},
}
