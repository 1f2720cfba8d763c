package contract

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What the containerd shim, through go-runc, passes and parses.
var containerdRows = []row{
	{
		name: "lifecycle",
		says: "create --bundle B --pid-file B/init.pid ID; start ID; kill ID 9; delete ID",
		do: func(s *session) {
			pidFile := s.path("bundle/init.pid")
			s.ok("create", "--bundle", s.bundle, "--pid-file", pidFile, "c1")
			pid := s.readPid(pidFile)
			if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)); err != nil || !strings.HasSuffix(string(b), s.cgroup+"\n") {
				s.Errorf("cgroup of the init when create returns: %q, %v; want the final one, %s", b, err, s.cgroup)
			}
			s.fact("state", s.quiet("state", "c1").stdout)
			s.ok("start", "c1")
			s.fact("state", s.quiet("state", "c1").stdout)
			s.ok("kill", "c1", "9")
			s.awaitStatus("stopped")
			s.fact("state", s.quiet("state", "c1").stdout)
			s.ok("delete", "c1")
			s.exists(s.root + "/c1")
			s.exists(s.cgroupDir())
		},
	},
	{
		name: "create-fails",
		says: "the last record in log.json with level error; time must be RFC3339",
		do: func(s *session) {
			const start = "runc create failed: unable to start container process: error during container init: "
			pidFile := s.path("init.pid")
			for _, tt := range []struct{ command, want string }{
				{"nonexistent", start + `exec: "nonexistent": executable file not found in $PATH`},
				{"/nonexistent", start + `exec: "/nonexistent": stat /nonexistent: no such file or directory`},
				{"/etc", start + `exec: "/etc": is a directory`},
				{"/etc/plain", start + `exec: "/etc/plain": permission denied`},
				{"/etc/plain/x", start + `exec: "/etc/plain/x": stat /etc/plain/x: not a directory`},
			} {
				s.configure("", func(spec *specs.Spec) { spec.Process.Args = []string{tt.command} })
				s.fails(1, tt.want, "create", "--bundle", s.bundle, "--pid-file", pidFile, "c1")
				if s.exists(pidFile) {
					s.Errorf("create failed and wrote a pid file")
				}
				s.exists(s.root + "/c1")
				s.exists(s.cgroupDir())
			}
		},
	},
	{
		name: "exec-detached",
		says: "exec --process F --detach --pid-file B/<eid>.pid ID",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			pidFile := s.path("bundle/e1.pid")
			s.ok("exec", "--process", s.process("exec sleep 1000"), "--detach", "--pid-file", pidFile, "c1")
			pid := s.readPid(pidFile)
			if err := unix.Kill(pid, 0); err != nil {
				s.Errorf("the pid of the pid file: %v", err)
			}
			s.fails(255, `exec failed: unable to start container process: exec: "nonexistent": executable file not found in $PATH`,
				"exec", "--process", s.processArgs("nonexistent"), "--detach", "--pid-file", s.path("e2.pid"), "c1")
			s.exists(s.path("e2.pid"))
			s.ok("delete", "--force", "c1")
		},
	},
	{
		name: "kill-of-the-ended",
		says: "kill: container not running -> NotFound; kill --all ID 9 after the init's exit whenever the PID namespace is not private",
		do: func(s *session) {
			s.configure("sleep 1000 & exec sleep 1000", withoutNamespace(specs.PIDNamespace))
			s.ok("run", "-d", "c1")
			s.await("two processes", func() bool { return len(s.pids()) == 2 })
			s.must(unix.Kill(s.pid(), unix.SIGKILL))
			s.awaitStatus("stopped")
			r := s.call("kill", "c1", "15")
			if !notFound("containerd", r.stderr) {
				s.Errorf("kill of a stopped container: %q; containerd does not take it for not found", r.stderr)
			}
			s.ok("kill", "--all", "c1", "9")
			s.await("no process", func() bool { return len(s.pids()) == 0 })
			s.ok("delete", "c1")
		},
	},
	{
		name: "missing",
		says: "does not exist: no such container, for delete a success",
		do: func(s *session) {
			for _, args := range [][]string{{"state", "c1"}, {"start", "c1"}, {"kill", "c1", "9"}, {"kill", "--all", "c1", "9"}, {"delete", "c1"}, {"pause", "c1"}, {"resume", "c1"}, {"ps", "--format", "json", "c1"}, {"events", "--stats", "c1"}, {"update", "--memory", "1m", "c1"}, {"checkpoint", "c1"}} {
				s.fails(1, "container does not exist", args...)
			}
			s.fails(255, "exec failed: container does not exist", "exec", "c1", "true")
			s.ok("delete", "--force", "c1")
		},
	},
	{
		name: "delete-force-in-every-state",
		says: "cleanup: delete --force ID",
		do: func(s *session) {
			for _, reach := range [][][]string{
				{{"create", "c1"}},
				{{"run", "-d", "c1"}},
				{{"run", "-d", "c1"}, {"pause", "c1"}},
				{{"create", "c1"}, {"kill", "c1", "KILL"}},
			} {
				for _, args := range reach {
					s.ok(args...)
				}
				s.ok("delete", "--force", "c1")
				s.exists(s.root + "/c1")
				s.exists(s.cgroupDir())
			}
			// A half-made one: its directory alone.
			s.must(os.MkdirAll(s.root+"/c1", 0o700))
			s.ok("delete", "--force", "c1")
			s.exists(s.root + "/c1")
			s.must(os.MkdirAll(s.root+"/c1", 0o700))
			s.fails(1, "container does not exist", "delete", "c1")
			s.exists(s.root + "/c1")
		},
	},
	{
		name: "delete-of-the-running",
		says: "cannot delete container X that is not stopped: STATE",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			s.fails(1, "cannot delete container c1 that is not stopped: running", "delete", "c1")
			s.ok("pause", "c1")
			s.fails(1, "cannot delete container c1 that is not stopped: paused", "delete", "c1")
			s.ok("resume", "c1")
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "ps",
		says: "ps --format json ID: an int array, from stdout and stderr combined",
		do: func(s *session) {
			s.configure("sleep 1000 & exec sleep 1000")
			s.ok("run", "-d", "c1")
			s.await("two processes", func() bool { return len(s.pids()) == 2 })
			out, err := s.command("ps", "--format", "json", "c1").CombinedOutput()
			var pids []int
			if jerr := json.Unmarshal(out, &pids); err != nil || jerr != nil || len(pids) != 2 || !slices.Contains(pids, s.pid()) {
				s.Errorf("ps prints %s, %v, %v", out, err, jerr)
			}
			s.fails(1, "invalid format option", "ps", "--format", "yaml", "c1")
			out, err = s.command("ps", "c1").CombinedOutput()
			lines := strings.Split(string(out), "\n")
			s.fact("ps", strings.Join(strings.Fields(lines[0]), " "))
			s.fact("lines", len(lines))
			s.must(err)
			s.fact("ps -o", strings.Count(s.quiet("ps", "c1", "-e", "-o", "pid,comm").stdout, "sleep"))
			s.fails(1, "couldn't find PID field in ps output", "ps", "c1", "-eo", "comm")
			s.ok("delete", "-f", "c1")
			s.fails(1, "container does not exist", "ps", "c1")
		},
	},
	{
		name: "pause",
		says: "pause|resume ID",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			s.fails(1, "container not paused", "resume", "c1")
			s.ok("pause", "c1")
			s.fact("status", s.status())
			s.call("pause", "c1")
			s.ok("kill", "c1", "9") // reaches a frozen one, too
			s.awaitStatus("stopped")
			s.fails(1, "container not running", "pause", "c1")
			s.call("resume", "c1")
			s.ok("delete", "c1")
			s.ok("create", "c1")
			s.ok("pause", "c1")
			s.fact("status", s.status())
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "start-errors",
		says: "cannot start a container that has stopped / an already running container",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			s.fails(1, "cannot start an already running container", "start", "c1")
			s.ok("pause", "c1")
			s.fails(1, "cannot start a container in the paused state", "start", "c1")
			s.ok("resume", "c1")
			s.ok("kill", "c1", "9")
			s.awaitStatus("stopped")
			s.fails(1, "cannot start a container that has stopped", "start", "c1")
			s.ok("delete", "c1")
		},
	},
	{
		name: "restore-flags",
		says: "restore … --detach --pid-file P [--no-pivot] -no-subreaper --bundle B ID (single dash)",
		do: func(s *session) {
			s.must(os.Mkdir(s.path("image"), 0o700))
			r := s.run(s.command("restore", "--image-path", s.path("image"), "--work-path", s.path("work"), "--detach", "--pid-file", s.path("pid"), "--no-pivot", "-no-subreaper", "--bundle", "/proc/nonexistent", "c1"))
			s.fact("error", r.stderr)
			s.fact("exit code", r.code)
			s.exists(s.path("pid"))
		},
	},
	{
		name: "events-stats",
		says: "events --stats, events --interval=Ns: JSON lines of type, id, data",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			r := s.run(s.command("events", "--stats", "c1"))
			s.fact("keys of an event", jsonKeys(s, r.stdout))
			s.fact("error", r.stderr)
			s.fails(1, "duration interval must be greater than 0", "events", "--interval", "0s", "c1")
			s.fails(1, "duration interval must be greater than 0", "events", "--interval=-1s", "--stats", "c1")

			s.ok("kill", "c1", "9")
			s.awaitStatus("stopped")
			s.fails(1, "container with id c1 is not running", "events", "--stats", "c1")
			s.ok("delete", "c1")
		},
	},
	{
		name: "events-interval",
		says: "events --interval=Ns: it ends with the container",
		need: "memory", // without it runc has no events
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			cmd := s.command("events", "--interval=10ms", "c1")
			out, err := cmd.StdoutPipe()
			s.must(err)
			s.must(cmd.Start())
			dec := json.NewDecoder(out)
			for range 2 {
				var e struct {
					Type, ID string
					Data     json.RawMessage
				}
				s.must(dec.Decode(&e))
				s.fact("event", e.Type+" "+e.ID)
				// It is left out where it is 0: a file's pages are charged to the
				// cgroup that read them first, which may be the other one.
				keys := strings.Replace(jsonKeys(s, string(e.Data)), ".memory.cache\n", "", 1)
				s.fact("keys of its data", keys)
			}
			s.ok("kill", "c1", "9")
			for dec.Decode(new(any)) == nil { //nolint:revive // to its end
			}
			s.fact("events ends", cmd.Wait())
			s.awaitStatus("stopped")
			s.ok("delete", "c1")
		},
	},
	{
		name: "list-json",
		says: "list --format=json: null when empty",
		do: func(s *session) {
			s.must(os.MkdirAll(s.root, 0o700))
			s.ok("list", "--format=json")
			s.configure("exec sleep 1000", func(spec *specs.Spec) { spec.Annotations = map[string]string{"a": "b", "c": "<d>"} })
			s.ok("create", "c1")
			out := s.ok("list", "--format=json")
			var all []containerState
			if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 || all[0].ID != "c1" || all[0].Created.IsZero() {
				s.Errorf("list --format=json prints %s, %v", out, err)
			}
			s.ok("state", "c1")
			s.ok("delete", "c1")
		},
	},
	{
		name: "version",
		says: "--version: first line must begin \"runc version \"; commit: and spec: lines",
		do: func(s *session) {
			out, err := s.bare("--version").CombinedOutput()
			s.must(err)
			if s.name == "podrt" {
				out = []byte(strings.Replace(string(out), "podrt", "runc", 1))
			}
			runc, commit, spec := goRuncVersion(string(out))
			if !strings.HasPrefix(runc, s.w.version) || commit == "" {
				if s.name != "podrt" {
					s.Errorf("--version prints %s", out)
				}
			}
			s.fact("spec", spec)
			s.fact("lines", strings.Count(string(out), "\n"))
		},
	},
	{
		name: "features",
		says: "features without globals; mountOptions has rro; userns requires namespaces with user and mountExtensions.idmap.enabled",
		do: func(s *session) {
			out, err := s.bare("features").CombinedOutput()
			s.must(err)
			var f struct {
				MountOptions []string
				Linux        struct {
					Namespaces      []string
					MountExtensions struct{ IDMap struct{ Enabled bool } }
				}
			}
			if err := json.Unmarshal(out, &f); err != nil || !slices.Contains(f.MountOptions, "rro") || !slices.Contains(f.Linux.Namespaces, "user") || !f.Linux.MountExtensions.IDMap.Enabled {
				s.Errorf("features prints %s, %v", out, err)
			}
			// Where podrt is not runc: its version, and what it can do.
			text := strings.Replace(string(out), `"v1": false`, `"v1": true`, 1)
			var all map[string]any
			s.must(json.Unmarshal([]byte(text), &all))
			a := all["annotations"].(map[string]any)
			for _, k := range []string{"org.opencontainers.runc.version", "org.opencontainers.runc.commit"} {
				if a[k] == "" {
					s.Errorf("features has no %s", k)
				}
				delete(a, k)
			}
			for k := range a {
				if strings.HasPrefix(k, "dev.podrt.") {
					delete(a, k)
				}
			}
			const unsafe = "potentiallyUnsafeConfigAnnotations"
			all[unsafe] = all[unsafe].([]any)[:3] // after runc's come podrt's own
			b, err := json.MarshalIndent(all, "", " ")
			s.must(err)
			s.fact("features", string(b))
		},
	},
	{
		name: "bare-environment",
		says: "PDEATHSIG=KILL, NOTIFY_SOCKET removed; no PATH for kill, delete, pause; HOME unset; closed streams",
		do: func(s *session) {
			for _, args := range [][]string{{"create", "c1"}, {"start", "c1"}, {"exec", "c1", "true"}, {"pause", "c1"}, {"resume", "c1"}, {"state", "c1"}, {"list", "-q"}, {"kill", "c1", "KILL"}, {"delete", "-f", "c1"}} {
				cmd := s.command(args...)
				cmd.Env = []string{}
				cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
				if args[0] == "state" {
					s.fact("exit code", s.run(cmd).code)
					continue
				}
				s.silent(cmd)
			}
			for _, verb := range []string{"run -d c1", "exec c1 true", "state c1", "kill c1 9", "delete -f c1"} {
				sh := exec.Command("sh", "-c", `exec "$@" <&- >&- 2>&-`, "sh", s.bin)
				sh.Args = append(append(sh.Args, s.global...), strings.Fields(verb)...)
				sh.Dir = s.bundle
				s.fact("closed streams, "+verb, sh.Run())
			}
		},
	},
}

// readPid reads a pid file as callers do, with strconv.Atoi.
func (s *session) readPid(path string) int {
	s.Helper()
	b, err := os.ReadFile(path)
	s.must(err)
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		s.Errorf("pid file: %v; want a decimal number without a newline", err)
	}
	return pid
}

// pids are the processes of a container.
func (s *session) pids() (pids []int) {
	s.Helper()
	s.must(json.Unmarshal([]byte(s.quiet("ps", "--format", "json", "c1").stdout), &pids))
	return pids
}

// process writes a process.json that runs a shell script.
func (s *session) process(script string) string { return s.processArgs("sh", "-c", script) }

func (s *session) processArgs(args ...string) string {
	s.Helper()
	b, err := json.Marshal(&specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}})
	s.must(err)
	s.files++
	return s.write(fmt.Sprintf("process%d.json", s.files), string(b))
}

// jsonKeys are the paths of all keys of an object, without the values; a list
// has those of its first element.
func jsonKeys(s *session, text string) string {
	s.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Sprintf("%v: %q", err, text)
	}
	var keys []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(path+"."+k, e)
			}
		case []any:
			if len(v) > 0 {
				walk(path+"[]", v[0])
			}
		default:
			keys = append(keys, path)
		}
	}
	walk("", v)
	slices.Sort(keys)
	return strings.Join(keys, "\n")
}
