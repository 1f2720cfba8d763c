package contract

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What exec takes.
var execRows = []row{
	{
		name: "exec-flags",
		says: "--cwd --env --user --additional-gids --cap --no-new-privs, exit code of the process",
		do: func(s *session) {
			s.configure("exec sleep 1000", func(c *spec) { c.Process.User.AdditionalGids = []uint32{3} })
			s.ok("run", "-d", "c1")
			const caps = "grep -E 'Cap|NoNewPrivs' /proc/self/status"
			for _, args := range [][]string{
				{"c1", "sh", "-c", "exit 7"},
				{"c1", "sh", "-c", "kill -9 $$"},
				{"c1", "true"},
				{"--cwd", "/bin", "c1", "pwd"},
				{"--cwd=/proc/nonexistent", "c1", "pwd"},
				{"c1", "env"},
				{"-e", "A=1", "-e", "B=2", "-e=TERM=x", "c1", "env"},
				{"--user", "5", "c1", "sh", "-c", "id -u; id -g; id -G; echo $HOME"},
				{"-u", "5:6", "-g", "7", "-g", "8", "c1", "sh", "-c", "id -u; id -g; id -G"},
				{"-u", "5:", "c1", "id"},
				{"-u", ":5", "c1", "id"},
				{"-u", "a:b", "c1", "id"},
				{"-u", "-1", "c1", "id"},
				{"-g", "-1", "c1", "id"},
				{"c1", "sh", "-c", caps},
				{"--cap", "CAP_NET_RAW", "-cap", "CAP_SYS_TIME", "c1", "sh", "-c", caps},
				{"-c", "CAP_NOPE", "c1", "true"},
				{"--no-new-privs", "c1", "sh", "-c", caps},
				{"--no-new-privs=false", "c1", "sh", "-c", caps},
				{"--process-label", "x", "c1", "true"},
				{"--apparmor", "nope", "c1", "true"},
				{"--cgroup", "a", "--cgroup", "b", "c1", "true"},
				{"--cgroup", ":a", "c1", "true"},
				{"--cgroup", "cpu:a", "--cgroup", "cpu:b", "c1", "true"},
				{"--cgroup", "missing", "c1", "true"},
				{"--cgroup", "../..", "c1", "true"},
				{"--cgroup", "/", "c1", "cat", "/proc/self/cgroup"},
				{"c1"},
				{"c1", "nonexistent"},
				{"c1", "/nonexistent"},
				{"c1", "/etc"},
				{"c1", "/etc/plain"},
				{"c1", "/bin/garbage"},
				{"--pidfd-socket", "/proc/nonexistent", "none", "true"},
				{"-p", "/proc/nonexistent", "c1"},
				{"--", "c1", "echo", "--", "-x"},
			} {
				s.call(append([]string{"exec"}, args...)...)
			}
			for _, text := range []string{`{"args":["true"]}`, `{"cwd":"x","args":["true"]}`, `{"cwd":"/"}`, `{}`, `null`} {
				s.call("exec", "-p", s.write("p.json", text), "c1")
			}
			// podrt names the file in front of what JSON's parser says.
			for _, text := range []string{``, `{`, `[]`, `{"args":"true"}`} {
				r := s.quiet("exec", "-p", s.write("p.json", text), "c1")
				s.fact("exit code", r.code)
				s.fact("error", strings.Replace(s.normal(r.stderr), `parse "DIR/p.json": `, "", 1))
			}
			// What is in the file counts, not the flags.
			p := specs.Process{Args: []string{"sh", "-c", "id -u; pwd; env; ls /proc/self/fd"}, Cwd: "/etc", Env: []string{"PATH=/bin", "A=file"}, User: specs.User{UID: 9, GID: 9}}
			b, err := json.Marshal(&p)
			s.must(err)
			s.call("exec", "--process", s.write("p.json", string(b)), "-u", "1", "-e", "A=flag", "--cwd", "/tmp", "c1")
			s.ok("delete", "-f", "c1")
			s.fails(255, "exec failed: container does not exist", "exec", "c1", "true")
		},
	},
	{
		name: "exec-with-podrt",
		says: "(podrt) one additional group is one; annotations do not lead to another bundle",
		do: func(s *session) {
			if !s.podrt {
				return
			}
			s.configure("exec sleep 1000", func(c *spec) { c.Annotations = map[string]string{"bundle": "/nowhere"} })
			s.quiet("run", "-d", "c1")
			if r := s.quiet("exec", "-g", "5", "c1", "grep", "Groups", "/proc/self/status"); r.stdout != "Groups:\t5 \n" {
				s.Errorf("exec -g 5: %+v; want the group 5 once", r)
			}
			s.quiet("delete", "-f", "c1")
		},
	},
	{
		name: "exec-in-every-state",
		says: "cannot exec in a stopped or paused container; --ignore-paused",
		do: func(s *session) {
			s.ok("create", "c1")
			s.ok("exec", "c1", "true")
			s.ok("start", "c1")
			s.ok("pause", "c1")
			s.fails(255, "exec failed: cannot exec in a paused container (use --ignore-paused to override)", "exec", "c1", "true")
			s.fails(255, "exec failed: cannot exec in a paused container (use --ignore-paused to override)", "exec", "--ignore-paused=false", "c1", "true")
			// It is started, and frozen with the others.
			cmd := s.command("exec", "--ignore-paused", "c1", "echo", "thawed")
			out, err := cmd.StdoutPipe()
			s.must(err)
			s.must(cmd.Start())
			time.Sleep(50 * time.Millisecond) // it may, or may not, be in the cgroup by now
			s.ok("resume", "c1")
			newLines(s, out).expect("thawed")
			s.must(cmd.Wait())
			s.ok("kill", "c1", "9")
			s.awaitStatus("stopped")
			s.fails(255, "exec failed: cannot exec in a stopped container", "exec", "c1", "true")
			s.ok("delete", "c1")
		},
	},
	{
		name: "exec-in-a-sub-cgroup",
		says: "--cgroup [ctrl:]path",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			s.must(os.MkdirAll(s.cgroupDir()+"/below/deep", 0o755))
			for _, path := range []string{"below", "/below", "below/deep", "/", "below/../below", "none"} {
				s.call("exec", "--cgroup", path, "c1", "sh", "-c", "grep ^0 /proc/self/cgroup")
			}
			s.ok("delete", "-f", "c1")
			s.exists(s.cgroupDir())
		},
	},
	{
		name: "exec-streams",
		says: "foreground exec: standard streams pass through; --preserve-fds",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			cmd := s.command("exec", "--preserve-fds=1", "c1", "sh", "-c", "cat; cat <&3; seq 3000; echo err >&2; ls /proc/self/fd")
			cmd.Stdin = strings.NewReader("in\n")
			f, err := os.Open(s.write("three", "three\n"))
			s.must(err)
			defer f.Close()
			cmd.ExtraFiles = []*os.File{f}
			s.do(cmd)
			s.ok("delete", "-f", "c1")
		},
	},
	{
		name: "update-flags",
		says: "update's flags; with -r all others are ignored",
		need: "memory",
		do: func(s *session) {
			s.ok("run", "-d", "c1")
			files := []string{"memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.max.burst", "cpu.weight", "cpu.idle", "pids.max", "cpuset.cpus", "cpuset.mems"}
			for _, args := range [][]string{
				{"--memory", "32m"},
				{"--memory", "64M", "--memory-swap", "128m", "--memory-reservation=16mb"},
				{"--memory-swap", "-1"},
				{"--memory", "-1"},
				{"--memory", "1x"},
				{"--memory", "1.5g"},
				{"--memory", "1.2.3"},
				{"--kernel-memory", "1x"},
				{"--kernel-memory", "1m", "--memory", "1e7"},
				{"--memory", "-2"},
				{"--cpu-quota", "20000"},
				{"--cpu-period", "50000"},
				{"--cpu-burst", "1000"},
				{"--cpu-period", "1"},
				{"--cpu-quota", "-1"},
				{"--cpu-share", "512"},
				{"--cpu-share", "x"},
				{"--cpu-idle", "1"},
				{"--cpu-idle", "0"},
				{"--pids-limit", "20"},
				{"--pids-limit", "-1"},
				{"--cpuset-cpus", "0", "--cpuset-mems", "0"},
				{"--cpuset-cpus", "99"},
				{"--blkio-weight", "100"},
				{"--l3-cache-schema", "L3:0=f"},
				{"--mem-bw-schema", "MB:0=20"},
				{"-r", s.write("r.json", `{"memory":{"limit":33554432}}`), "--memory", "1g", "--pids-limit", "7"},
				{},
			} {
				if r := s.call(append(append([]string{"update"}, args...), "c1")...); r.code == 0 {
					s.facts(files...)
				}
			}
			s.ok("kill", "c1", "9")
			s.awaitStatus("stopped")
			s.call("update", "--memory", "32m", "c1")
			s.ok("delete", "c1")
		},
	},
}
