package contract

import (
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What conmon passes and parses.
var conmonRows = []row{
	{
		name: "create-with-console",
		says: "create --bundle B --pid-file P --console-socket S ID: one connect, one SCM_RIGHTS descriptor with one data byte and more",
		do: func(s *session) {
			s.configure("tty; sleep 1000", withTerminal, func(spec *specs.Spec) { spec.Process.ConsoleSize = &specs.Box{Height: 44, Width: 55} })
			l := s.listen("unix")
			s.ok("create", "--bundle", s.bundle, "--pid-file", s.path("pid"), "--console-socket", l.path, "c1")
			s.readPid(s.path("pid"))
			name, master := l.receiveFile()
			defer master.Close()
			s.fact("message", name)
			l.noMore()
			size, err := unix.IoctlGetWinsize(int(master.Fd()), unix.TIOCGWINSZ)
			s.must(err)
			s.fact("size", fmt.Sprint(size.Row, size.Col))
			s.ok("start", "c1")
			s.fact("terminal", s.readLine(master))
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "exec-with-console",
		says: "exec --pid-file P --process F --detach --console-socket S ID",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			s.write("process.json", `{"terminal":true,"cwd":"/","args":["sh","-c","tty; sleep 1000"],"env":["PATH=/bin"],"consoleSize":{"height":7,"width":8}}`)
			l := s.listen("unix")
			s.ok("exec", "--pid-file", s.path("pid"), "--process", s.path("process.json"), "--detach", "--console-socket", l.path, "c1")
			s.readPid(s.path("pid"))
			name, master := l.receiveFile()
			defer master.Close()
			s.fact("message", name)
			l.noMore()
			s.fact("terminal", s.readLine(master))
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "exec-pid-file",
		says: "exec: exit code ignored; pid-file present = started, absent = failed",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			for _, tt := range []struct {
				name    string
				process string
				file    bool
			}{
				{"ends at once", s.processArgs("true"), true},
				{"fails at once", s.processArgs("false"), true},
			} {
				_ = os.Remove(s.path("pid"))
				s.ok("exec", "--pid-file", s.path("pid"), "--process", tt.process, "--detach", "c1")
				s.readPid(s.path("pid"))
			}
			for _, args := range [][]string{
				{"--process", s.processArgs("nonexistent"), "c1"},
				{"--process", s.processArgs("/etc"), "c1"},
				{"--process", s.path("missing.json"), "c1"},
				{"--process", s.process("true"), "none"},
				{"c1"},
				{"--cwd", "x", "c1", "true"},
				{"--user", "x", "c1", "true"},
				{"--tty", "c1", "true"},
			} {
				_ = os.Remove(s.path("pid"))
				r := s.call(append([]string{"exec", "--pid-file", s.path("pid"), "--detach"}, args...)...)
				if r.code != 255 || !strings.HasPrefix(r.stderr, "exec failed: ") {
					s.Errorf("exec %q: %+v; want 255 and exec failed", args, r)
				}
				s.exists(s.path("pid"))
				s.exists(s.path(".pid"))
			}
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "create-error",
		says: "non-zero create: first bytes of stderr to the parent",
		do: func(s *session) {
			s.configure("", func(spec *specs.Spec) { spec.Process.Args = []string{strings.Repeat("x", 3000)} })
			r := s.call("create", "--bundle", s.bundle, "--pid-file", s.path("pid"), "c1")
			if len(r.stderr) > 8191 {
				s.Errorf("the message has %d bytes; conmon reads 8191", len(r.stderr))
			}
			s.exists(s.path("pid"))
		},
	},
	{
		name: "pid-file",
		says: "pid-file via create and rename, decimal, no newline",
		do: func(s *session) {
			// A relative one is the caller's, not the bundle's.
			cmd := s.command("create", "--bundle", s.bundle, "--pid-file", "rel", "c1")
			cmd.Dir = s.dir
			s.silent(cmd)
			s.readPid(s.path("rel"))
			info, err := os.Stat(s.path("rel"))
			s.must(err)
			s.fact("mode", info.Mode())
			s.ok("delete", "c1")
			// Whoever takes the temporary name, or makes it impossible, ends the start.
			for _, file := range []string{"/proc/nonexistent/pid", s.path("pid")} {
				s.write(".pid", "")
				s.call("create", "--pid-file", file, "c1")
				s.call("run", "--pid-file", file, "c1")
				s.exists(s.root + "/c1")
				s.exists(s.path("pid"))
			}
			// One that is there is replaced.
			_ = os.Remove(s.path(".pid"))
			s.write("pid", "old and longer than a pid")
			s.ok("create", "--pid-file", s.path("pid"), "c1")
			s.readPid(s.path("pid"))
			s.ok("delete", "c1")
		},
	},
	{
		name: "terminal-errors",
		says: "cannot allocate tty if runc will detach without setting console socket, and the other way round",
		do: func(s *session) {
			const need, refuse = "cannot allocate tty if runc will detach without setting console socket", "cannot use console socket if runc will not detach or allocate tty"
			socket := s.path("socket")
			s.fails(1, "runc create failed: "+refuse, "create", "--console-socket", socket, "c1")
			s.fails(1, "runc run failed: "+refuse, "run", "--console-socket", socket, "c1")
			s.fails(1, "runc run failed: "+refuse, "run", "-d", "--console-socket", socket, "c1")
			s.configure("true", withTerminal)
			s.fails(1, "runc create failed: "+need, "create", "c1")
			s.fails(1, "runc run failed: "+need, "run", "-d", "c1")
			s.fails(1, "runc run failed: "+refuse, "run", "--console-socket", socket, "c1")
			s.fails(1, "runc create failed: dial unix DIR/socket: connect: no such file or directory", "create", "--console-socket", socket, "c1")
			s.configure("exec sleep 1000")
			s.ok("run", "-d", "c1")
			s.fails(255, "exec failed: "+need, "exec", "-d", "-t", "c1", "true")
			s.fails(255, "exec failed: "+refuse, "exec", "-t", "--console-socket", socket, "c1", "true")
			s.fails(255, "exec failed: dial unix DIR/socket: connect: no such file or directory", "exec", "-d", "-t", "--console-socket", socket, "c1", "true")
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "relative-sockets",
		says: "where the page is silent, runc: relative sockets begin in the bundle",
		do: func(s *session) {
			s.configure("exec sleep 1000", withTerminal)
			l := s.listen("unix")
			s.must(os.Symlink(l.path, s.bundle+"/socket"))
			for _, args := range [][]string{
				{"create", "--bundle", s.bundle, "--console-socket", "socket", "c1"},
				{"exec", "-d", "-t", "--console-socket", "socket", "c1", "sleep", "1000"},
			} {
				cmd := s.command(args...)
				cmd.Dir = "/"
				s.silent(cmd)
				_, master := l.receiveFile()
				defer master.Close()
				if args[0] == "create" {
					s.ok("start", "c1")
				}
			}
			s.ok("delete", "-f", "c1")
		},
	},
}

// What conmon-rs passes: long options with =, the command of an exec in argv.
var conmonRsRows = []row{
	{
		name: "lifecycle",
		says: "--root=R create --bundle= --pid-file= [--console-socket=] ID, exec -d [--console-socket= --tty] --pid-file= ID CMD…",
		do: func(s *session) {
			s.global = []string{"--root=" + s.root, "--log=" + s.log, "--log-format=json"}
			s.ok("create", "--bundle="+s.bundle, "--pid-file="+s.path("pid"), "c1")
			s.readPid(s.path("pid"))
			s.ok("start", "c1")
			s.ok("exec", "-d", "--pid-file="+s.path("exec"), "c1", "sleep", "1000")
			s.readPid(s.path("exec"))
			l := s.listen("unix")
			s.ok("exec", "-d", "--console-socket="+l.path, "--tty", "--pid-file="+s.path("tty"), "c1", "sh", "-c", "tty; sleep 1000")
			_, master := l.receiveFile()
			defer master.Close()
			s.fact("terminal", s.readLine(master))
			s.ok("kill", "c1", "SIGKILL")
			s.awaitStatus("stopped")
			s.ok("delete", "--force", "c1")
		},
	},
}
