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

// What podman passes besides conmon, and parses.
var podmanRows = []row{
	{
		name: "default-root",
		says: "no --root, env only XDG_RUNTIME_DIR (+PATH for start and update; no PATH for kill, delete, pause): the default root must resolve identically in all calls",
		do: func(s *session) {
			const id = "contract-default-root"
			s.global = nil
			path := "PATH=" + os.Getenv("PATH")
			const xdg = "XDG_RUNTIME_DIR=/run/user/0"
			steps := []struct {
				env  []string
				args []string
			}{
				{[]string{path, xdg}, []string{"create", "--bundle", s.bundle, id}},
				{[]string{path, xdg}, []string{"start", id}},
				{[]string{xdg}, []string{"pause", id}},
				{[]string{xdg}, []string{"resume", id}},
				{[]string{xdg}, []string{"kill", id, "9"}},
				{nil, []string{"delete", "--force", id}},
			}
			for _, step := range steps {
				cmd := s.bare(step.args...)
				cmd.Env = step.env
				if r := s.run(cmd); r.code != 0 || r.stderr != "" {
					s.Errorf("%q: %+v", step.args, r)
				}
			}
			if _, err := os.Stat("/run/user/0"); err == nil {
				s.Errorf("XDG_RUNTIME_DIR is made for root; want it left alone")
			}
			s.exists("/run/runc/" + id)
		},
	},
	{
		name: "error-classes",
		says: "permission denied|operation not permitted -> 126; executable file not found in|no such file or directory|open executable -> 127; the oci-log is ONE JSON object",
		do: func(s *session) {
			for command, want := range map[string]int{"nonexistent": 127, "/nonexistent": 127, "/etc/plain": 126} {
				s.configure("", func(spec *specs.Spec) { spec.Process.Args = []string{command} })
				_ = os.Remove(s.log)
				r := s.run(s.command("create", "--bundle", s.bundle, "c1"))
				if !s.podrt {
					continue // runc may log a warning before
				}
				if got, err := podmanExitCode(r.log); err != nil || got != want {
					s.Errorf("create of %s: podman's exit code %d, %v, from %q; want %d", command, got, err, r.log, want)
				}
				// Without the log podman falls back to conmon's copy of stderr.
				if !podmanNotFound.MatchString(r.stderr) && !podmanPermission.MatchString(r.stderr) {
					s.Errorf("create of %s: standard error %q; podman knows no class for it", command, r.stderr)
				}
			}
		},
	},
	{
		name: "update-from-a-file",
		says: "update --resources=FILE ID",
		need: "memory",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			s.ok("update", "--resources="+s.write("resources.json", `{"memory":{"limit":33554432},"pids":{"limit":50}}`), "c1")
			s.facts("memory.max", "pids.max", "cpu.max")
			s.fails(1, "open DIR/missing: no such file or directory", "update", "--resources="+s.path("missing"), "c1")
			s.fails(1, "unexpected EOF", "update", "-r", s.write("bad.json", `{"memory":`), "c1")
			s.fails(1, "json: cannot unmarshal string into Go struct field LinuxMemory.memory.limit of type int64", "update", "-r", s.write("bad.json", `{"memory":{"limit":"x"}}`), "c1")
			s.facts("memory.max")
			s.ok("delete", "-f", "c1")
		},
	},
}

// What CRI-O passes besides conmon, and parses.
var crioRows = []row{
	{
		name: "exec-foreground",
		says: "foreground exec --process F ID: exit code and stdio pass through",
		do: func(s *session) {
			s.global = []string{"--root", s.root} // no log
			s.silent(s.command("run", "-d", "c1"))
			cmd := s.command("exec", "--process", s.process("cat; echo err >&2; exit 7"), "c1")
			cmd.Stdin = strings.NewReader("in\n")
			r := s.do(cmd)
			if r.code != 7 || r.stdout != "in\n" || r.stderr != "err\n" {
				s.Errorf("exec = %+v", r)
			}
			s.silent(s.command("delete", "--force", "c1"))
		},
	},
	{
		name: "not-found",
		says: "stderr no such process | container not running | invalid process -> ErrNotFound",
		do: func(s *session) {
			s.global = []string{"--root", s.root}
			s.silent(s.command("run", "-d", "c1"))
			s.silent(s.command("kill", "-a", "c1", "9"))
			s.await("stopped", func() bool { return s.status() == "stopped" })
			for _, args := range [][]string{{"kill", "c1", "9"}, {"pause", "c1"}} {
				if r := s.do(s.command(args...)); r.code != 1 || !notFound("CRI-O", r.stderr) {
					s.Errorf("%q: %+v; CRI-O does not take it for not found", args, r)
				}
			}
			s.silent(s.command("kill", "-a", "c1", "9"))
			s.silent(s.command("delete", "--force", "c1"))
			s.silent(s.command("delete", "--force", "c1"))
		},
	},
	{
		name: "state-and-features",
		says: "state JSON decoded into ContainerState; --version and features via CombinedOutput; ociVersionMin and ociVersionMax required",
		do: func(s *session) {
			s.ok("create", "c1")
			out, err := s.command("state", "c1").CombinedOutput()
			var st specs.State
			if jerr := json.Unmarshal(out, &st); err != nil || jerr != nil || st.Status != specs.StateCreated || st.Bundle != s.bundle || st.Pid == 0 {
				s.Errorf("state prints %s, %v, %v", out, err, jerr)
			}
			s.ok("delete", "c1")
			out, err = s.command("features").CombinedOutput()
			var f struct{ OCIVersionMin, OCIVersionMax string }
			if jerr := json.Unmarshal(out, &f); err != nil || jerr != nil || f.OCIVersionMin == "" || f.OCIVersionMax == "" {
				s.Errorf("features prints %s, %v, %v", out, err, jerr)
			}
		},
	},
	{
		name: "update-from-stdin",
		says: "--root R update --resources - ID",
		need: "memory",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			for _, resources := range []string{
				`{"memory":{"limit":67108864,"swap":67108864},"cpu":{"shares":512,"quota":20000,"period":100000}}`,
				`{"memory":{"limit":33554432}}`,
				`{"cpu":{"period":50000}}`,
				`{"cpu":{"idle":1}}`,
				`{"pids":{"limit":20},"unified":{"memory.high":"15728640"}}`,
				`{"memory":{"limit":-1}}`,
				`{"cpu":{"cpus":"0","mems":"0"},"blockIO":{"weight":100}}`,
				`{}`,
			} {
				cmd := s.command("update", "--resources", "-", "c1")
				cmd.Stdin = strings.NewReader(resources)
				s.fact("resources", resources)
				s.silent(cmd)
				s.facts("memory.max", "memory.swap.max", "memory.high", "cpu.max", "cpu.weight", "cpu.idle", "pids.max", "cpuset.cpus", "cpuset.mems")
			}
			s.ok("delete", "-f", "c1")
			s.fails(1, "container does not exist", "update", "--resources", "-", "c1")
		},
	},
}

// What Docker's daemon parses; it calls through containerd's shim.
var dockerRows = []row{
	{
		name: "version",
		says: "--version: every line with the word version overrides the previous; commit: line",
		do: func(s *session) {
			out, err := s.bare("--version").Output()
			s.must(err)
			runtime, version, commit := dockerVersion(string(out))
			s.fact("runtime", runtime)
			if version == "" || commit == "" {
				s.Errorf("--version prints %s: version %q, commit %q", out, version, commit)
			}
			if s.name == "podrt as runc" && !strings.HasPrefix(version, s.w.version+"+podrt.") {
				s.Errorf("version %q; want runc's, and podrt's after it", version)
			}
		},
	},
	{
		name: "exit-codes",
		says: "permission denied|is a directory -> 126; not a directory, executable file not found, no such file or directory -> 127; else 128",
		do: func(s *session) {
			for command, want := range map[string]int{"nonexistent": 127, "/nonexistent": 127, "/etc/plain/x": 127, "/etc/plain": 126, "/etc": 126} {
				s.configure("", func(spec *specs.Spec) { spec.Process.Args = []string{command} })
				r := s.run(s.command("create", "--bundle", s.bundle, "c1"))
				msg, err := lastRuntimeError([]byte(r.log))
				if got := dockerExitCode(msg); err != nil || got != want {
					s.Errorf("create of %s: %q, %v: Docker exits with %d; want %d", command, msg, err, got, want)
				}
			}
			// What only execve(2) can say, the container's init says on stderr.
			s.configure("", func(spec *specs.Spec) { spec.Process.Args = []string{"/bin/garbage"} })
			s.call("run", "c1")
		},
	},
	{
		name: "features-at-start",
		says: "features at start",
		do: func(s *session) {
			cmd := s.bare("features")
			cmd.Env = []string{}
			out, err := cmd.Output()
			if err != nil || !json.Valid(out) {
				s.Errorf("features: %v, %s", err, out)
			}
		},
	},
}

// What BuildKit's runcexecutor calls.
var buildkitRows = []row{
	{
		name: "run",
		says: "foreground run --bundle B [--keep] ID, polls state for running, delete",
		do: func(s *session) {
			s.configure("sleep 1000; exit 5")
			for _, keep := range []bool{false, true} {
				args := []string{"run", "--bundle", s.bundle, "c1"}
				if keep {
					args = []string{"run", "--bundle", s.bundle, "--keep", "c1"}
				}
				cmd := s.command(args...)
				s.must(cmd.Start())
				s.awaitStatus("running")
				s.ok("exec", "c1", "true")
				s.ok("kill", "c1", "9")
				var exit *exec.ExitError
				if err := cmd.Wait(); !errors.As(err, &exit) {
					s.Errorf("run ends with %v", err)
				} else {
					s.fact("exit code", exit.ExitCode())
				}
				r := s.call("state", "c1")
				if !keep && !notFound("BuildKit", r.stderr) {
					s.Errorf("state after the end: %q; BuildKit does not take it for not running", r.stderr)
				}
				if keep {
					if r := s.call("kill", "c1", "9"); !notFound("BuildKit", r.stderr) {
						s.Errorf("kill after the end: %q; BuildKit does not take it for not running", r.stderr)
					}
					s.ok("delete", "c1")
				}
			}
		},
	},
	{
		name: "signals",
		says: "signals of the caller go to the container's process",
		do: func(s *session) {
			s.configure(`trap "echo usr1" USR1; trap "echo term; exit 9" TERM; echo ready; while true; do sleep 0.01; done`)
			cmd := s.command("run", "c1")
			out, err := cmd.StdoutPipe()
			s.must(err)
			s.must(cmd.Start())
			lines := newLines(s, out)
			lines.expect("ready")
			for _, sig := range []unix.Signal{unix.SIGUSR1, unix.SIGTERM} {
				s.must(cmd.Process.Signal(sig))
				lines.expect(map[unix.Signal]string{unix.SIGUSR1: "usr1", unix.SIGTERM: "term"}[sig])
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 9 {
				s.Errorf("run ends with %v; want exit status 9", err)
			}
		},
	},
}
