package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What exec makes of its flags and of a process.json: the same as runc does in
// the same container, whose state both can read.
func TestSpecExec(t *testing.T) {
	b := newSpecBench(t, false)
	b.write(t, specRow{script: "sleep 1000", spec: func(s *specs.Spec) {
		s.Process.Env = append(s.Process.Env, "FROM=spec")
		s.Process.User.AdditionalGids = []uint32{9}
		s.Process.Cwd = "/tmp"
	}})
	o := &ociRuntime{t: t, bin: os.Getenv(binEnv), root: filepath.Join(b.dir, "state"), bundle: b.bundle, log: filepath.Join(b.dir, "log.json")}
	o.ok("run", "--detach", "c1")
	defer o.ok("delete", "--force", "c1")
	process := func(name string, p specs.Process) string {
		t.Helper()
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(b.dir, name+".json")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := []string{"PATH=/bin"}
	full := process("full", specs.Process{
		Args: []string{"sh", "-c", "id -u; id -G; pwd; ulimit -n; umask; echo $FROM.$A; /probe sched; /probe ioprio; /probe status NoNewPrivs CapEff"},
		Env:  append(env, "A=b"), Cwd: "/etc", NoNewPrivileges: true,
		User:       specs.User{UID: 7, GID: 8, AdditionalGids: []uint32{3}},
		Rlimits:    []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 50, Hard: 60}},
		Scheduler:  &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5},
		IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6},
	})
	const caps = "/probe status CapPrm CapEff CapBnd CapInh CapAmb"
	for _, row := range []struct {
		name, want string // a refusal's want is in the message
		args       []string
		code       int
	}{
		{"defaults", "0 9 /tmp spec 1", []string{"c1", "sh", "-c", "echo $(id -G) $(pwd) $FROM $(/probe status NoNewPrivs)"}, 0},
		{"exit code", "", []string{"c1", "sh", "-c", "exit 42"}, 42},
		{"signal", "", []string{"c1", "sh", "-c", "kill -9 $$"}, 137},
		{"user", "1000:2000 2000 9", []string{"-u", "1000:2000", "c1", "sh", "-c", "echo $(id -u):$(id -g) $(id -G)"}, 0},
		{"user alone", "1000:0", []string{"--user", "1000", "c1", "sh", "-c", "echo $(id -u):$(id -g)"}, 0},
		{"user by name", "exec failed: bad uid: ", []string{"-u", "root", "c1", "true"}, 255},
		{"group by name", "exec failed: bad gid: ", []string{"-u", "0:root", "c1", "true"}, 255},
		{"groups", "0 3 5 9", []string{"-g", "3", "-g", "5", "c1", "id", "-G"}, 0},
		{"cwd", "/etc", []string{"--cwd", "/etc", "c1", "pwd"}, 0},
		{"relative cwd", "exec failed: Cwd must be an absolute path", []string{"--cwd", "etc", "c1", "pwd"}, 255},
		{"no such cwd", "/none", []string{"--cwd", "/none", "c1", "pwd"}, 255},
		{"cwd through a descriptor", "", []string{"--cwd", "/proc/self/fd/7", "c1", "pwd"}, 255},
		{"env", "b c spec", []string{"-e", "A=b", "-e", "B=c", "c1", "sh", "-c", "echo $A $B $FROM"}, 0},
		{"cap", "0000000020002420 0000000020002420 0000000020002420 0000000000000000 0000000000000000", []string{"--cap", "CAP_NET_RAW", "c1", "sh", "-c", "echo $(" + caps + ")"}, 0},
		{"new privileges", "0", []string{"--no-new-privs=false", "c1", "/probe", "status", "NoNewPrivs"}, 0},
		{"process.json", "7\n8 3\n/etc\n50\n0022\n.b\n3 0 5 0\n2 6\n1\n0000000000000000", []string{"--process", full, "c1"}, 0},
		{"process.json without args", "exec failed: args must not be empty", []string{"-p", process("empty", specs.Process{Cwd: "/", Env: env}), "c1"}, 255},
		{"process.json without cwd", "exec failed: Cwd property must not be empty", []string{"-p", process("nowhere", specs.Process{Args: []string{"true"}, Env: env}), "c1"}, 255},
		{"no process.json", "exec failed: open " + b.dir + "/none: no such file or directory", []string{"-p", b.dir + "/none", "c1"}, 255},
		{"no such rlimit", "exec failed: wrong rlimit value: RLIMIT_FUN", []string{"-p", process("limit", specs.Process{Args: []string{"true"}, Env: env, Cwd: "/", Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_FUN"}}}), "c1"}, 255},
		{"no such command", `exec: "none": executable file not found in $PATH`, []string{"c1", "none"}, 255},
		{"a directory", `exec: "/etc": is a directory`, []string{"c1", "/etc"}, 255},
		{"not executable", `exec: "/etc/passwd": permission denied`, []string{"c1", "/etc/passwd"}, 255},
		{"no command", "exec failed: exec args cannot be empty", []string{"c1"}, 255},
		{"no container", "exec failed: container does not exist", []string{"c2", "true"}, 255},
		{"cgroup that is none", "", []string{"--cgroup", "none", "c1", "true"}, 255},
		{"cgroup above", "", []string{"--cgroup", "..", "c1", "true"}, 255},
		{"SELinux label", "exec failed: selinux label is specified in config, but selinux is disabled or not supported", []string{"--process-label", "x", "c1", "true"}, 255},
	} {
		t.Run(row.name, func(t *testing.T) {
			var results [2]ociResult
			for i, bin := range []string{os.Getenv(binEnv), b.peer} {
				o.bin = bin
				results[i] = o.call(append([]string{"exec"}, row.args...)...)
				results[i].stderr = numbers.ReplaceAllString(results[i].stderr, "${1}N")
			}
			o.bin = os.Getenv(binEnv)
			ours, theirs := results[0], results[1]
			if ours.stdout != theirs.stdout || ours.stderr != theirs.stderr || ours.code != theirs.code {
				t.Errorf("podrt and runc differ:\npodrt: %+v\nrunc:  %+v", ours, theirs)
			}
			if ours.code != row.code {
				t.Errorf("exit code %d; want %d; standard error %q", ours.code, row.code, ours.stderr)
			}
			if got := strings.TrimSpace(ours.stdout); row.code == 0 && got != row.want {
				t.Errorf("prints %q; want %q", got, row.want)
			}
			if !strings.Contains(ours.stdout+ours.stderr, row.want) {
				t.Errorf("says %q; want %q in it", ours.stderr, row.want)
			}
		})
	}
}
