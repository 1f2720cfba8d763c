package contract

import (
	"encoding/json"
	"os"
	"strings"
)

// What is in the log.
var logRows = []row{
	{
		name: "log-file",
		says: "--log FILE (O_APPEND|O_CREATE|O_SYNC 0644)",
		do: func(s *session) {
			s.fails(1, "container does not exist", "state", "c1")
			info, err := os.Stat(s.log)
			s.must(err)
			s.fact("mode", info.Mode())
			s.fails(1, "container does not exist", "state", "c1")
			b, err := os.ReadFile(s.log)
			s.must(err)
			s.fact("lines", strings.Count(string(b), "\n"))
			// A success makes the file, too.
			cmd := s.bare("--root", s.root, "--log", s.path("log2"), "delete", "-f", "c1")
			s.silent(cmd)
			s.exists(s.path("log2"))
			// A pipe, as conmon gives one.
			cmd = s.bare("--root", s.root, "--log", "/dev/fd/3", "--log-format", "json", "state", "c1")
			r, w, err := os.Pipe()
			s.must(err)
			defer r.Close()
			cmd.ExtraFiles = []*os.File{w}
			s.fact("standard error", s.run(cmd).stderr)
			w.Close()
			buf := make([]byte, 4096)
			n, _ := r.Read(buf)
			s.fact("log", s.normalLog(string(buf[:n])))
		},
	},
	{
		name: "text-log",
		says: "--log-format text is the default; on failure the message goes to the logger and, if the logger is not stderr, raw to stderr as well",
		do: func(s *session) {
			text := s.path("text")
			r := s.run(s.bare("--root", s.root, "--log", text, "state", "c1"))
			b, err := os.ReadFile(text)
			s.must(err)
			s.fact("log", string(b))
			s.fact("standard error", r.stderr)
			for _, args := range [][]string{{"state", "c1"}, {"exec", "c1", "true"}, {"create", "a/b"}, {"--log-format", "json", "state", "c1"}} {
				r := s.run(s.bare(append([]string{"--root", s.root}, args...)...))
				s.fact("standard error", jsonCode.ReplaceAllString(s.normal(r.stderr), ""))
				s.fact("exit code", r.code)
			}
			// Warnings, too, are runc's: on the way to an error, and after a success.
			for _, command := range []string{"exit 0", "nonexistent"} {
				for _, kind := range hookKinds {
					s.hooksOf(command, `echo "why $1" >&2; exit 3`, 0, kind)
					if command != "exit 0" {
						s.configure("", func(c *spec) { c.Process.Args = []string{command} })
					}
					for _, args := range [][]string{{"run", "c1"}, {"create", "c1"}, {"delete", "-f", "c1"}} {
						r := s.run(s.bare(append([]string{"--root", s.root}, args...)...))
						s.fact(command+" "+kind, strings.Join(args, " "))
						s.fact("exit code", r.code)
						s.fact("standard error", r.stderr)
					}
					if command != "exit 0" {
						break
					}
				}
			}
			s.hooksOf("exit 0", `echo "why $1" >&2; exit 3`, 0, "createRuntime", "poststop")
			for _, verb := range []string{"run", "create"} {
				r := s.run(s.bare("--root", s.root, verb, "c1"))
				s.fact(verb+", standard error of two hooks", r.stderr)
				s.fails(1, "runc "+verb+" failed: unable to start container process: error during container init: error running createRuntime hook #0: exit status 3, stdout: , stderr: why createRuntime", verb, "c1")
			}
			s.configure("sleep 1000")
			s.ok("run", "-d", "c1")
			for _, flag := range []string{"--kernel-memory", "--kernel-memory-tcp"} {
				r := s.run(s.bare("--root", s.root, "update", flag, "1m", "c1"))
				s.fact(flag+", exit code", r.code)
				s.fact(flag+", standard error", r.stderr)
			}
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "debug",
		says: "--debug: lines of level debug with func and file, of the parent and of the init",
		do: func(s *session) {
			for _, format := range []string{"text", "json"} {
				log := s.path("debug-" + format)
				cmd := s.bare("--root", s.root, "--debug", "--log", log, "--log-format", format, "run", "c1")
				s.configure("true")
				s.silent(cmd)
				b, err := os.ReadFile(log)
				s.must(err)
				for _, want := range []string{"nsexec", "child process in init()", "init: closing the pipe to signal completion"} {
					if !strings.Contains(string(b), want) {
						s.Errorf("--debug with format %s logs %s; want a line with %q", format, b, want)
					}
				}
				if format == "text" {
					s.fact("has func and file", strings.Contains(string(b), "func=") && strings.Contains(string(b), "file="))
					continue
				}
				for line := range strings.Lines(string(b)) {
					var l struct{ Level, Msg, Time string }
					if err := json.Unmarshal([]byte(line), &l); err != nil || l.Level == "" || l.Msg == "" {
						s.Errorf("--debug logs %q, %v; want JSON", line, err)
					}
				}
			}
			r := s.run(s.bare("--root", s.root, "--debug", "state", "c1"))
			s.fact("error", r.stderr)
		},
	},
	{
		name: "invalid-id",
		says: "IDs [A-Za-z0-9_+.-]+",
		do: func(s *session) {
			for _, id := range []string{"a/b", "..", ".", "/", "a b", "ä", "a\nb", "a%b"} {
				s.fails(1, "runc create failed: invalid container ID format", "create", id)
				s.fails(1, "runc run failed: invalid container ID format", "run", id)
				s.call("state", id)
				s.call("kill", id, "9")
				s.call("delete", "-f", id)
			}
			s.fails(1, "runc create failed: container id cannot be empty", "create", "")
			for _, verb := range []string{"state", "start", "kill", "pause", "ps"} {
				s.fails(1, "container id cannot be empty", verb, "")
			}
			s.fails(255, "exec failed: container id cannot be empty", "exec", "", "true")
			s.ok("create", "a_B+1.-z")
			s.fails(1, "runc create failed: container with given ID already exists", "create", "a_B+1.-z")
			s.fails(1, "runc run failed: container with given ID already exists", "run", "a_B+1.-z")
			s.ok("delete", "a_B+1.-z")
		},
	},
	{
		name: "list",
		says: "table ID PID STATUS BUNDLE CREATED OWNER; bad entries to stderr, skipped; -q",
		do: func(s *session) {
			s.must(os.Mkdir(s.root, 0o711))
			s.ok("list")
			s.ok("list", "-q")
			s.ok("create", "c1")
			s.ok("list")
			s.configure("exec sleep 1000", func(spec *spec) { spec.Linux.CgroupsPath += "-2" })
			s.ok("run", "-d", "a-container-with-a-longer-name")
			s.ok("list")
			s.ok("list", "-q")
			s.ok("pause", "a-container-with-a-longer-name")
			s.ok("list", "--format", "table")
			s.fails(1, "invalid format option", "list", "-f", "yaml")
			s.must(os.Mkdir(s.root+"/broken", 0o700))
			s.must(os.Mkdir(s.root+"/not json", 0o700))
			s.must(os.WriteFile(s.root+"/not json/state.json", []byte("{"), 0o600))
			s.must(os.WriteFile(s.root+"/file", nil, 0o600))
			s.must(os.Chown(s.root+"/c1", 12345, 0))
			for _, args := range [][]string{{"list"}, {"list", "-q"}} {
				r := s.do(s.command(args...))
				if strings.Count(r.stderr, "\n") != 2 {
					s.Errorf("list with two broken entries says %q", r.stderr)
				}
			}
			s.ok("delete", "-f", "broken")
			s.call("delete", "-f", "not json")
			s.must(os.RemoveAll(s.root + "/not json"))
			s.ok("delete", "-f", "c1")
			s.ok("delete", "-f", "a-container-with-a-longer-name")
			s.must(os.Remove(s.root + "/file"))
			s.ok("list")
		},
	},
	{
		name: "spec",
		says: "refuses to overwrite config.json; the file is runc's byte for byte",
		do: func(s *session) {
			for _, args := range [][]string{{"spec"}, {"spec", "--rootless"}, {"spec", "--bundle", "sub"}, {"spec", "-b=sub2", "-rootless"}} {
				dir := s.path(strings.Join(args, ""))
				s.must(os.MkdirAll(dir+"/sub", 0o755))
				s.must(os.MkdirAll(dir+"/sub2", 0o755))
				cmd := s.command(args...)
				cmd.Dir = dir
				s.silent(cmd)
				for _, name := range []string{"config.json", "sub/config.json", "sub2/config.json"} {
					if b, err := os.ReadFile(dir + "/" + name); err == nil {
						s.fact(name, string(b))
						info, _ := os.Stat(dir + "/" + name)
						s.fact("mode", info.Mode())
					}
				}
				cmd = s.command(args...)
				cmd.Dir = dir
				s.wantFailure(s.do(cmd), 1, "File config.json exists. Remove it first", args...)
			}
			s.fails(1, "chdir DIR/missing: no such file or directory", "spec", "-b", s.path("missing"))
		},
	},
	{
		name: "kill-signals",
		says: "ID [SIG: number, TERM, SIGTERM; default SIGTERM]",
		do: func(s *session) {
			const script = `for s in HUP INT USR1 USR2 TERM; do trap "echo $s" $s; done; echo ready; while true; do sleep 0.01; done`
			s.configure(script)
			cmd := s.command("run", "c1")
			out, err := cmd.StdoutPipe()
			s.must(err)
			s.must(cmd.Start())
			lines := newLines(s, out)
			lines.expect("ready")
			for _, tt := range []struct{ arg, want string }{
				{"HUP", "HUP"}, {"SIGINT", "INT"}, {"sigusr1", "USR1"}, {"12", "USR2"}, {"", "TERM"}, {"usr2", "USR2"},
			} {
				if tt.arg == "" {
					s.ok("kill", "c1")
				} else {
					s.ok("kill", "c1", tt.arg)
				}
				lines.expect(tt.want)
			}
			s.ok("kill", "c1", "0")
			for _, sig := range []string{"NOPE", "SIG", "SIGSIGTERM", "1.5", "65", "1000", " 9", "0x9"} {
				s.call("kill", "c1", sig)
			}
			s.ok("kill", "c1", "")
			lines.expect("TERM")
			s.ok("kill", "-a", "c1", "KILL")
			_ = cmd.Wait()
			s.fact("exit code", cmd.ProcessState.ExitCode())
		},
	},
}
