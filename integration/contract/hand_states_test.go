package contract

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// reach brings the container c1 into a state.
func (s *session) reach(state string) {
	s.Helper()
	steps := map[string][]string{
		"created": {"create c1"},
		"running": {"run -d c1"},
		"paused":  {"run -d c1", "pause c1"},
		"stopped": {"create c1", "kill c1 KILL"},
		"missing": nil,
	}[state]
	for _, step := range steps {
		if r := s.quiet(strings.Fields(step)...); r.code != 0 {
			s.Fatalf("%s: %+v", step, r)
		}
	}
	if state != "missing" {
		s.awaitStatus(state)
	}
}

// What every verb does with a container in every state.
func everyVerb(state string) row {
	return row{
		name: "every-verb-" + state,
		says: "the operation's result depends on the container's state as with runc",
		do: func(s *session) {
			if s.name == "podrt" {
				s.skipped = true
				return
			}
			s.reach(state)
			for _, verb := range []string{
				// Those that change nothing first.
				"state c1", "ps -f json none", "create c1", "run c1", "run -d c1", "kill c1 0", "kill -a c1 0", "kill c1 CONT",
				"exec none true", "exec c1 true", "exec -d c1 true",
				"resume c1", "pause c1", "pause c1", "resume c1", "resume c1", "start none", "start c1",
			} {
				s.call(strings.Fields(verb)...)
				s.fact("status", s.status())
			}
			r := s.quiet("ps", "-f", "json", "c1")
			s.fact("ps", pidList.ReplaceAllString(r.stdout, "PIDS")) // a process of exec -d may still be ending
			s.fact("ps", r.stderr)
			s.quiet("delete", "-f", "c1")
			for _, verb := range []string{"start c1", "kill c1 9", "kill -a c1 9", "pause c1", "resume c1", "delete c1", "delete -f c1"} {
				s.reach(state)
				s.call(strings.Fields(verb)...)
				if verb == "kill c1 9" || verb == "kill -a c1 9" {
					s.await("its end", func() bool { status := s.status(); return status != "created" && status != "running" })
				}
				s.fact("status", s.status())
				s.exists(s.cgroupDir())
				s.quiet("delete", "-f", "c1")
			}
		},
	}
}

var stateRows = []row{
	everyVerb("created"), everyVerb("running"), everyVerb("paused"), everyVerb("stopped"), everyVerb("missing"),
	{
		name: "posture",
		says: "what a process inherits from the caller, and what not: limits, signals, descriptors, environment, umask",
		do: func(s *session) {
			const look = "grep -vE '^(Pid|PPid|Tgid|Ngid|NSpid|NStgid|NSpgid|NSsid|Kthread|State|Vm|Rss|Hugetlb|.*ctxt|Threads|Mems|Cpus|Speculation|x86|SigQ|CoreDumping|THP|untag|FDSize|Name)' /proc/self/status; " +
				"cat /proc/self/limits /proc/self/oom_score_adj /proc/self/personality /proc/self/sessionid; umask; env; ls -l /proc/self/fd | grep -o '[0-9] -> .*' | grep -v pipe: ; cat /proc/self/cgroup | grep ^0; pwd"
			for _, change := range []func(*spec){
				func(*spec) {},
				func(c *spec) {
					c.Process.Rlimits = nil
					c.Process.Env = []string{"PATH=/bin"}
					c.Process.Capabilities = nil
				},
				func(c *spec) {
					c.Process.User = specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{9}}
					c.Process.NoNewPrivileges = false
					mask := uint32(0o027)
					c.Process.User.Umask = &mask
					adj := 77
					c.Process.OOMScoreAdj = &adj
				},
			} {
				s.configure(look, change)
				for _, verb := range []string{"run c1", "exec c1 sh -c"} {
					args := strings.Fields(verb)
					if args[0] == "exec" {
						s.configure("exec /bin/sleep 1000", change)
						s.ok("run", "-d", "c1")
						args = append(args, look)
					}
					cmd := s.command(args...)
					// A caller that ignores and blocks signals, with odd limits and
					// descriptors of its own.
					sh := exec.Command("sh", append([]string{"-c", `trap "" PIPE USR1; ulimit -S -n 300; umask 077; exec 7</etc/passwd; exec "$@"`, "sh"}, cmd.Args...)...)
					sh.Dir, sh.Env = cmd.Dir, append(cmd.Env, "CALLER=1", "HOME=/caller")
					s.do(sh)
					if args[0] == "exec" {
						s.ok("delete", "-f", "c1")
					}
				}
			}
		},
	},
	{
		name: "exec-signals",
		says: "foreground exec: signals of the caller go to the process, 128+N if it dies of one",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGQUIT, unix.SIGWINCH} {
				cmd := s.command("exec", "c1", "sh", "-c", `trap "echo quit; exit 9" QUIT; echo ready; while read -t 0.01 x || test $? -gt 1; do :; done; while true; do sleep 0.01; done`)
				out, err := cmd.StdoutPipe()
				s.must(err)
				s.must(cmd.Start())
				newLines(s, out).expect("ready")
				s.must(cmd.Process.Signal(sig))
				if sig == unix.SIGWINCH { // is not passed on
					s.must(cmd.Process.Signal(unix.SIGTERM))
				}
				var exit *exec.ExitError
				if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
					s.Errorf("exec ends with %v", err)
				}
				s.fact(sig.String(), cmd.ProcessState.ExitCode())
			}
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "default-cgroup",
		says: "without cgroupsPath the cgroup is the container's id; without systemd its driver is refused",
		do: func(s *session) {
			id := strings.TrimPrefix(s.cgroup, "/")
			s.configure("exec sleep 1000", func(c *spec) { c.Linux.CgroupsPath = "" })
			s.ok("create", id)
			s.exists(s.cgroupDir())
			s.ok("delete", id)
			s.exists(s.cgroupDir())
			// A parent that is there is the caller's; one that is not is made.
			for _, path := range []string{id + "-p/a/b", s.cgroup + "-p/a"} {
				s.configure("exec sleep 1000", func(c *spec) { c.Linux.CgroupsPath = path })
				s.ok("create", "c1")
				s.exists(s.cgroupDir() + "-p/a/b")
				s.ok("delete", "c1")
				s.exists(s.cgroupDir() + "-p/a/b")
				s.exists(s.cgroupDir() + "-p/a")
				s.exists(s.cgroupDir() + "-p")
				_ = os.Remove(s.cgroupDir() + "-p/a")
				_ = os.Remove(s.cgroupDir() + "-p")
			}
			r := s.run(s.bare("--root", s.root, "--systemd-cgroup", "create", "c1"))
			s.fact("error", r.stderr)
			s.fact("exit code", r.code)
			s.exists(s.root + "/c1")
		},
	},
	{
		name: "state-file",
		says: "<root>/<id>/state.json, which monitoring agents read",
		do: func(s *session) {
			s.configure("exec sleep 1000", func(c *spec) { c.Annotations = map[string]string{"a": "b"} })
			s.ok("create", "c1")
			b, err := os.ReadFile(s.root + "/c1/state.json")
			s.must(err)
			s.fact("keys", jsonKeys(s, string(b)))
			var st struct {
				ID                   string            `json:"id"`
				InitProcessPid       int               `json:"init_process_pid"`
				InitProcessStartTime uint64            `json:"init_process_start"`
				CgroupPaths          map[string]string `json:"cgroup_paths"`
				NamespacePaths       map[string]string `json:"namespace_paths"`
			}
			s.must(json.Unmarshal(b, &st))
			if st.InitProcessPid != s.pid() || st.InitProcessStartTime == 0 {
				s.Errorf("state.json has pid %d; want %d", st.InitProcessPid, s.pid())
			}
			s.fact("cgroups", st.CgroupPaths)
			s.fact("namespaces", len(st.NamespacePaths))
			info, err := os.Stat(s.root + "/c1/state.json")
			s.must(err)
			s.fact("mode", info.Mode())
			info, err = os.Stat(s.root + "/c1")
			s.must(err)
			s.fact("mode", info.Mode())
			s.ok("delete", "c1")
		},
	},
}
