package contract

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

type spec = specs.Spec

// What a process gets, and what becomes of it.
var runRows = []row{
	{
		name: "exit-code",
		says: "run exits with the container's status; signal death 128+N",
		do: func(s *session) {
			for _, script := range []string{"true", "exit 1", "exit 42", "exit 126", "exit 255", "kill -9 $$", "kill -15 $$", "kill -6 $$"} {
				// The init of a PID namespace cannot be killed from inside.
				s.configure(script, withoutNamespace(specs.PIDNamespace))
				s.call("run", "c1")
				s.exists(s.root + "/c1")
			}
			s.configure("exit 3")
			s.call("run", "--keep", "c1")
			s.fact("status", s.status())
			s.call("run", "--keep", "c1")
			s.ok("delete", "c1")
			s.ok("run", "-d", "--keep", "c1")
			s.awaitStatus("stopped")
			s.ok("delete", "c1")
		},
	},
	{
		name: "streams",
		says: "foreground: standard streams pass through, to their end",
		do: func(s *session) {
			s.configure("cat; echo err >&2; seq 3000; exit 5")
			cmd := s.command("run", "c1")
			cmd.Stdin = strings.NewReader("in\n")
			s.do(cmd)
			s.configure("read a || echo end; echo $a")
			s.do(s.command("run", "c1")) // from /dev/null
			// Detached: the streams are the container's own.
			cmd = s.command("run", "-d", "c1")
			cmd.Stdin = strings.NewReader("given\n")
			s.configure("cat; echo err >&2")
			r, w, err := os.Pipe()
			s.must(err)
			cmd.Stdout, cmd.Stderr = w, w
			s.must(cmd.Run())
			w.Close()
			out, err := io.ReadAll(r)
			s.must(err)
			s.fact("output", string(out))
			s.awaitStatus("stopped")
			s.ok("delete", "c1")
		},
	},
	{
		name: "orphans-with-streams",
		says: "run ends with the init, and with it what it has left, also where that holds the streams",
		do: func(s *session) {
			s.configure("(sleep 3; echo late) & echo now; exit 3", withoutNamespace(specs.PIDNamespace))
			if r := s.call("run", "c1"); r.stdout != "now\n" {
				s.Errorf("run prints %q; want what the init has printed", r.stdout)
			}
			s.exists(s.root + "/c1")
			s.exists(s.cgroupDir())
		},
	},
	{
		name: "preserved-descriptors",
		says: "--preserve-fds counts after LISTEN_FDS; LISTEN_PID=1",
		do: func(s *session) {
			s.configure("ls /proc/self/fd; cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID $LISTEN_FDNAMES")
			file := func(content string) *os.File {
				f, err := os.Open(s.write(content, content+"\n"))
				s.must(err)
				s.Cleanup(func() { f.Close() })
				return f
			}
			with := func(prefix string, args ...string) {
				cmd := s.command(args...)
				sh := exec.Command("sh", append([]string{"-c", prefix + ` exec "$@"`, "sh"}, cmd.Args...)...)
				sh.Dir, sh.Env = cmd.Dir, cmd.Env
				sh.ExtraFiles = []*os.File{file("three"), file("four"), file("five")}
				s.fact("environment", prefix)
				s.do(sh)
			}
			with("", "run", "--preserve-fds", "2", "c1")
			with("LISTEN_FDS=1 LISTEN_PID=$$", "run", "--preserve-fds", "1", "c1")
			with("LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=a:b", "run", "c1")
			with("LISTEN_FDS=2 LISTEN_PID=1", "run", "--preserve-fds", "2", "c1")
			with("LISTEN_FDS=x LISTEN_PID=$$", "run", "--preserve-fds=2", "c1")
			// A few that are not there: runc hands over its own, podrt /dev/null.
			with("", "run", "--preserve-fds", "5", "c1")
			with("LISTEN_FDS=5 LISTEN_PID=$$", "run", "c1")
			with("LISTEN_FDS=2 LISTEN_PID=$$", "run", "--preserve-fds", "3", "c1")
			s.configure("sleep 1000")
			s.ok("run", "-d", "--preserve-fds", "2", "c1")
			with("", "exec", "--preserve-fds", "6", "c1", "sh", "-c", "ls /proc/self/fd; cat <&3; cat <&5")
			s.ok("delete", "-f", "c1")
			s.ok("create", "--preserve-fds", "3", "c1")
			s.ok("delete", "-f", "c1")
			if s.podrt {
				s.configure("readlink /proc/self/fd/3; readlink /proc/self/fd/10")
				r := s.quiet("run", "--preserve-fds", "8", "c1")
				if want := "/dev/null\n/dev/null\n"; r.stdout != want {
					s.Errorf("missing descriptors are %q; want %q", r.stdout, want)
				}
				// Many: runc does not name the first, and leaves the container's state.
				s.wantFailure(s.quiet("run", "--preserve-fds", "100", "c1"), 1, "runc run failed: unable to stat preserved-fd 0 (of 100): no such file or directory")
				if _, err := os.Lstat(s.root + "/c1"); err == nil {
					s.Errorf("%s/c1 is left", s.root)
				}
			}
		},
	},
	{
		name: "pidfd-socket",
		says: "--pidfd-socket: the init's, or the exec's",
		do: func(s *session) {
			l := s.listen("unix")
			s.ok("create", "--pidfd-socket", l.path, "c1")
			what, f := l.receiveFile()
			s.fact("message", what)
			s.fact("is the init", pidOf(s, f) == s.pid())
			s.ok("exec", "-d", "--pid-file", s.path("pid"), "--pidfd-socket", l.path, "c1", "sleep", "1000")
			what, f = l.receiveFile()
			s.fact("message", what)
			s.fact("is the process", pidOf(s, f) == s.readPid(s.path("pid")))
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "subreaper",
		says: "--no-subreaper: orphans do not come to the runtime",
		do: func(s *session) {
			for _, args := range [][]string{{"run", "c1"}, {"run", "--no-subreaper", "c1"}, {"run", "-no-subreaper=false", "c1"}} {
				s.configure(`sh -c "sleep 1000 &"; echo ready; read line`, withoutNamespace(specs.PIDNamespace))
				cmd := s.command(args...)
				in, err := cmd.StdinPipe()
				s.must(err)
				out, err := cmd.StdoutPipe()
				s.must(err)
				s.must(cmd.Start())
				newLines(s, out).expect("ready")
				init := s.pid()
				for _, pid := range s.pids() {
					if pid == init {
						continue
					}
					b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
					s.must(err)
					s.fact(strings.Join(args, " ")+" has the orphan", strings.Contains(string(b), fmt.Sprintf("\nPPid:\t%d\n", cmd.Process.Pid)))
					s.must(unix.Kill(pid, unix.SIGKILL))
				}
				s.must(in.Close())
				_ = cmd.Wait()
				s.fact("exit code", cmd.ProcessState.ExitCode())
			}
		},
	},
	{
		name: "create-needs-a-free-cgroup",
		says: "create refuses a non-empty or frozen cgroup",
		do: func(s *session) {
			s.must(os.Mkdir(s.cgroupDir(), 0o755))
			defer func() { s.must(os.Remove(s.cgroupDir())) }()
			s.must(os.WriteFile(s.cgroupDir()+"/cgroup.freeze", []byte("1"), 0))
			s.fails(1, "runc create failed: container's cgroup unexpectedly frozen", "create", "c1")
			s.must(os.WriteFile(s.cgroupDir()+"/cgroup.freeze", []byte("0"), 0))
			cmd := exec.Command("sleep", "1000")
			s.must(cmd.Start())
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			s.must(os.WriteFile(s.cgroupDir()+"/cgroup.procs", []byte(fmt.Sprint(cmd.Process.Pid)), 0))
			s.fails(1, "runc create failed: container's cgroup is not empty: 1 process(es) found", "create", "c1")
			s.fails(1, "runc run failed: container's cgroup is not empty: 1 process(es) found", "run", "c1")
			s.exists(s.cgroupDir())
			s.exists(s.root + "/c1")
		},
	},
	{
		name: "odd-config",
		says: "ociVersion is not looked at; unknown fields, and what follows the object, neither",
		do: func(s *session) {
			config := s.path("bundle/config.json")
			for _, version := range []string{"", "0.1", "1.0.0-rc9+dev", "2.0.0", "x"} {
				s.configure("echo works", func(c *spec) { c.Version = version })
				s.call("run", "c1")
				s.ok("create", "c1")
				s.call("state", "c1")
				s.ok("delete", "-f", "c1")
			}
			s.configure("echo works")
			good, err := os.ReadFile(config)
			s.must(err)
			for _, text := range []string{
				strings.Replace(string(good), "{", `{"unknown": {"a": [1]}, `, 1),
				strings.Replace(string(good), `"ociVersion"`, `"OCIVersion"`, 1),
				strings.Replace(string(good), "{", `{"hostname": "other", `, 1), // twice: the last one counts
				string(good) + "more",
				"\n\t " + string(good) + "\n",
			} {
				s.must(os.WriteFile(config, []byte(text), 0o644))
				s.call("run", "c1")
			}
		},
	},
	{
		name: "bad-config",
		says: "what a config.json cannot be",
		do: func(s *session) {
			config := s.path("bundle/config.json")
			s.must(os.Symlink(s.w.rootfs, s.path("link")))
			for _, change := range []func(*spec){
				func(c *spec) { c.Process.Args = nil },
				func(c *spec) { c.Process.Cwd = "" },
				func(c *spec) { c.Process.Cwd = "x" },
				func(c *spec) { c.Process.Cwd = "/etc/plain" },
				func(c *spec) { c.Process = nil },
				func(c *spec) { c.Root = nil },
				func(c *spec) { c.Root.Path = "none" },
				func(c *spec) { c.Root.Path = s.path("link") },
				func(c *spec) { c.Linux.Namespaces[0].Type = "x" },
				func(c *spec) { c.Linux.Namespaces = append(c.Linux.Namespaces, c.Linux.Namespaces[0]) },
				func(c *spec) {
					withoutNamespace(specs.NetworkNamespace)(c)
					c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/proc/nonexistent"})
				},
				func(c *spec) {
					withoutNamespace(specs.NetworkNamespace)(c)
					c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/proc/self/ns/ipc"})
				},
				func(c *spec) { c.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} },
				func(c *spec) { c.Process.Capabilities.Bounding = []string{"CAP_NOPE"} },
				func(c *spec) { c.Process.SelinuxLabel = "x" },
				func(c *spec) { c.Process.ApparmorProfile = "nope" },
				func(c *spec) { c.Linux.Sysctl = map[string]string{"kernel.nope": "1"} },
				func(c *spec) { c.Linux.Sysctl = map[string]string{"vm.swappiness": "1"} },
				func(c *spec) {
					c.Mounts = append(c.Mounts, specs.Mount{Destination: "/mnt", Type: "nope", Source: "nope"})
				},
				func(c *spec) {
					c.Mounts = append(c.Mounts, specs.Mount{Destination: "/mnt", Source: "/proc/nonexistent", Options: []string{"bind"}})
				},
				func(c *spec) {
					c.Mounts = append(c.Mounts, specs.Mount{Destination: "/etc/plain/x", Type: "tmpfs", Source: "tmpfs"})
				},
				func(c *spec) {
					c.Mounts = append(c.Mounts, specs.Mount{Destination: "mnt", Type: "tmpfs", Source: "tmpfs"})
				},
				func(c *spec) { c.Linux.RootfsPropagation = "nope" },
				func(c *spec) { c.Hostname = "x"; withoutNamespace(specs.UTSNamespace)(c) },
				func(c *spec) { c.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 1, Size: 1}} },
				func(c *spec) { c.Linux.CgroupsPath = "system.slice:a:b" },
				func(c *spec) { c.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NOPE"} },
				func(c *spec) { c.Linux.Personality = &specs.LinuxPersonality{Domain: "NOPE"} },
				func(c *spec) { c.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_NOPE"} },
				func(c *spec) { c.Process.IOPriority = &specs.LinuxIOPriority{Class: "NOPE"} },
				func(c *spec) { c.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "NOPE"} },
				func(c *spec) { c.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "x"} },
				func(c *spec) { c.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1}} },
				func(c *spec) { c.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x"} },
				func(c *spec) { c.Linux.MaskedPaths = []string{"relative"} },
				func(c *spec) { c.Process.User.UID = 4294967295 },
			} {
				s.configure("true", change)
				s.call("create", "c1")
				s.call("delete", "-f", "c1")
				s.exists(s.root + "/c1")
				s.exists(s.cgroupDir())
			}
			for _, text := range []string{"null", "{}", "[]"} {
				s.must(os.WriteFile(config, []byte(text), 0o644))
				r := s.run(s.command("create", "c1"))
				msg, _ := lastRuntimeError([]byte(r.log))
				// podrt names the file in front of what JSON's parser says.
				s.fact("error", strings.Replace(s.normal(msg), `parse "DIR/bundle/config.json": `, "", 1))
			}
			s.must(os.Remove(config))
			s.fails(1, "runc create failed: JSON specification file config.json not found", "create", "c1")
			s.must(os.Mkdir(config, 0o755))
			s.call("create", "-b", config, "c1")
			s.fails(1, "runc create failed: chdir DIR/missing: no such file or directory", "create", "-b", s.path("missing"), "c1")
			s.fails(1, "runc run failed: chdir DIR/missing: no such file or directory", "run", "-b", s.path("missing"), "c1")
			s.fails(1, "chdir DIR/missing: no such file or directory", "restore", "-b", s.path("missing"), "--image-path", s.dir, "c1")
			s.fails(1, "runc create failed: chdir rel: no such file or directory", "create", "-b", "rel", "c1")
		},
	},
}

// pidOf is the process of a pidfd.
func pidOf(s *session, f *os.File) (pid int) {
	s.Helper()
	defer f.Close()
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", f.Fd()))
	s.must(err)
	_, rest, _ := strings.Cut(string(b), "Pid:\t")
	_, err = fmt.Sscan(rest, &pid)
	s.must(err)
	return pid
}
