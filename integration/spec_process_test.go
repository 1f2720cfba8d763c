package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// theProcess returns a change of the process.
func theProcess(change func(*specs.Process)) func(*specs.Spec) {
	return func(s *specs.Spec) { change(s.Process) }
}

// capSets are the capability sets in the order of proc_pid_status(5).
func capSets(inh, prm, eff, bnd, amb []string) func(*specs.Spec) {
	return theProcess(func(p *specs.Process) {
		p.Capabilities = &specs.LinuxCapabilities{Inheritable: inh, Permitted: prm, Effective: eff, Bounding: bnd, Ambient: amb}
	})
}

func TestSpecProcess(t *testing.T) {
	b := newSpecBench(t, false)
	root := filepath.Join(b.bundle, "rootfs")
	for link, to := range map[string]string{"cwdlink": "/tmp", "cwdloop": "cwdloop", "cwdup": "../../../../etc"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	user := func(u specs.User) func(*specs.Spec) { return theProcess(func(p *specs.Process) { p.User = u }) }
	cwd := func(dir string, readonly bool) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Process.Cwd, s.Root.Readonly = dir, readonly }
	}
	limits := func(l ...specs.POSIXRlimit) func(*specs.Spec) {
		return theProcess(func(p *specs.Process) { p.Rlimits = l })
	}
	bind, raw := "CAP_NET_BIND_SERVICE", "CAP_NET_RAW" // bits 10 and 13
	const caps = "/probe status CapInh CapPrm CapEff CapBnd CapAmb | tr '\\n' ' '"
	b.run(t, []specRow{
		{name: "user", spec: user(specs.User{UID: 1000, GID: 2000, AdditionalGids: []uint32{3, 5}}), script: "id -u; id -g; id -G", want: "1000\n2000\n2000 3 5"},
		{name: "umask", spec: theProcess(func(p *specs.Process) { p.User.Umask = new(uint32(0o27)) }), script: "umask", want: "0027"},
		{name: "umask of nobody", script: "umask", want: "0022"},
		{name: "home", spec: user(specs.User{UID: 65534}), script: "echo $HOME", want: "/"},
		{name: "env", spec: theProcess(func(p *specs.Process) { p.Env = append(p.Env, "A=1", "A=2", "HOME=/x", "B=") }), script: "echo $A $HOME ${B-unset}.", want: "2 /x ."},
		{name: "cwd", spec: cwd("/tmp", true), script: "pwd", want: "/tmp"},
		{name: "cwd is made", spec: cwd("/tmp/a/b", false), script: "pwd -P", want: "/tmp/a/b"},
		{name: "cwd is a link", spec: cwd("/cwdlink", true), script: "pwd -P", want: "/tmp"},
		{name: "cwd is a link that leads up", spec: cwd("/cwdup", true), script: "pwd -P", want: "/etc"},
		{name: "cwd is a loop", spec: cwd("/cwdloop", true), err: "unable to start container process: error during container init: mkdir /cwdloop: file exists"},
		{name: "cwd is a file", spec: cwd("/etc/passwd", true), err: "...not a directory"},
		{name: "cwd is relative", spec: cwd("tmp", true), err: "Cwd must be an absolute path"},
		{name: "cwd through a descriptor", spec: cwd("/proc/self/fd/7", true), err: "...not a directory"},
		{name: "no cwd", spec: cwd("", true), err: "Cwd property must not be empty"},
		{name: "no args", spec: theProcess(func(p *specs.Process) { p.Args = nil }), err: "args must not be empty"},
		{name: "no process", spec: func(s *specs.Spec) { s.Process = nil }, err: "process property must not be empty"},
		{name: "no such command", spec: theProcess(func(p *specs.Process) { p.Args = []string{"none"} }), err: `unable to start container process: error during container init: exec: "none": executable file not found in $PATH`},
		{name: "a directory", spec: theProcess(func(p *specs.Process) { p.Args = []string{"/etc"} }), err: `unable to start container process: error during container init: exec: "/etc": is a directory`},
		{name: "not executable", spec: theProcess(func(p *specs.Process) { p.Args = []string{"/etc/passwd"} }), err: `unable to start container process: error during container init: exec: "/etc/passwd": permission denied`},

		{
			name: "rlimits", spec: limits(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, specs.POSIXRlimit{Type: "RLIMIT_CORE"}, specs.POSIXRlimit{Type: "RLIMIT_CPU", Soft: 1000, Hard: 1000}),
			script: "ulimit -Sn; ulimit -Hn; ulimit -Hc; ulimit -t", want: "100\n200\n0\n1000",
		},
		{name: "rlimit twice", spec: limits(specs.POSIXRlimit{Type: "RLIMIT_CORE"}, specs.POSIXRlimit{Type: "RLIMIT_CORE"}), script: "ulimit -c", want: "0"},
		{name: "unknown rlimit", spec: limits(specs.POSIXRlimit{Type: "RLIMIT_FUN"}), err: "wrong rlimit value: RLIMIT_FUN"},
		{name: "soft above hard", spec: limits(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 3, Hard: 2}), err: "...invalid argument"},

		{name: "capabilities", spec: capSets(nil, []string{bind, raw}, []string{raw}, []string{bind, raw}, nil), script: caps, want: "0000000000000000 0000000000002400 0000000000002400 0000000000002400 0000000000000000"},
		{name: "no capabilities", spec: capSets(nil, nil, nil, nil, nil), script: caps, want: "0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000"},
		{name: "ambient capabilities", spec: func(s *specs.Spec) {
			one := []string{bind}
			capSets(one, one, one, one, one)(s)
			user(specs.User{UID: 1000})(s)
		}, script: caps, want: "0000000000000400 0000000000000400 0000000000000400 0000000000000400 0000000000000400"},
		{name: "lost to a user without ambient ones", spec: func(s *specs.Spec) {
			one := []string{bind}
			capSets(nil, one, one, one, nil)(s)
			user(specs.User{UID: 1000})(s)
		}, script: caps, want: "0000000000000000 0000000000000000 0000000000000000 0000000000000400 0000000000000000"},
		{name: "ambient but not inheritable", spec: capSets(nil, []string{bind}, nil, []string{bind}, []string{bind}), script: caps, want: "0000000000000000 0000000000000400 0000000000000400 0000000000000400 0000000000000000"},
		{name: "unknown capability", spec: capSets(nil, []string{"CAP_FUN", bind}, nil, []string{bind}, nil), script: caps, want: "0000000000000000 0000000000000400 0000000000000400 0000000000000400 0000000000000000"},

		{name: "no new privileges", script: "/probe status NoNewPrivs", want: "1"},
		{name: "new privileges", spec: theProcess(func(p *specs.Process) { p.NoNewPrivileges = false }), script: "/probe status NoNewPrivs", want: "0"},
		{name: "oom score", spec: theProcess(func(p *specs.Process) { p.OOMScoreAdj = new(345) }), script: "cat /proc/self/oom_score_adj", want: "345"},
		{name: "oom score out of range", spec: theProcess(func(p *specs.Process) { p.OOMScoreAdj = new(1001) }), err: "...failed to update /proc/self/oom_score_adj: Invalid argument"},

		{name: "personality", spec: func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }, script: "uname -m", want: "i686"},
		{name: "personality of the kernel", spec: func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux} }, script: "uname -m", want: "x86_64"},
		{name: "unknown personality", spec: func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: "SVR4"} }, err: "invalid personality domain SVR4"},
		{name: "no SELinux", spec: theProcess(func(p *specs.Process) { p.SelinuxLabel = "system_u:system_r:x_t:s0" }), err: "selinux label is specified in config, but selinux is disabled or not supported"},
	})
}

func TestSpecScheduling(t *testing.T) {
	b := newSpecBench(t, false)
	scheduler := func(v specs.Scheduler) func(*specs.Spec) {
		return theProcess(func(p *specs.Process) { p.Scheduler = &v })
	}
	io := func(class specs.IOPriorityClass, n int) func(*specs.Spec) {
		return theProcess(func(p *specs.Process) { p.IOPriority = &specs.LinuxIOPriority{Class: class, Priority: n} })
	}
	memory := func(mode specs.MemoryPolicyModeType, nodes string, flags ...specs.MemoryPolicyFlagType) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: mode, Nodes: nodes, Flags: flags}
		}
	}
	const sched, ioprio, mempolicy = "/probe sched", "/probe ioprio", "/probe mempolicy"
	b.run(t, []specRow{
		// Policies: sched(7). Flag 1 is that children do not inherit.
		{name: "batch", spec: scheduler(specs.Scheduler{Policy: specs.SchedBatch, Nice: 7}), script: sched, want: "3 0 7 0"},
		{name: "other", spec: scheduler(specs.Scheduler{Policy: specs.SchedOther, Nice: -5}), script: sched, want: "0 0 -5 0"},
		{name: "idle", spec: scheduler(specs.Scheduler{Policy: specs.SchedIdle}), script: sched, want: "5 0 0 0"},
		{name: "first in, first out", spec: scheduler(specs.Scheduler{Policy: specs.SchedFIFO, Priority: 9}), script: "exec " + sched, want: "1 0 0 9"},
		{name: "round robin", spec: scheduler(specs.Scheduler{Policy: specs.SchedRR, Priority: 3}), script: "exec " + sched, want: "2 0 0 3"},
		{name: "reset on fork", spec: scheduler(specs.Scheduler{Policy: specs.SchedRR, Priority: 3, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}), script: sched + "; exec " + sched, want: "0 0 0 0\n2 1 0 3"},
		{name: "deadline", spec: scheduler(specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 2e6, Deadline: 1e8, Period: 2e8}), script: "exec cut -d' ' -f41 /proc/self/stat", want: "6"}, // proc_pid_stat(5),
		{name: "no policy", spec: scheduler(specs.Scheduler{Nice: 1}), err: "scheduler policy is required"},
		{name: "unknown policy", spec: scheduler(specs.Scheduler{Policy: "SCHED_FUN"}), err: "...invalid scheduler policy: SCHED_FUN"},
		{name: "unknown flag", spec: scheduler(specs.Scheduler{Policy: specs.SchedBatch, Flags: []specs.LinuxSchedulerFlag{"SCHED_FLAG_FUN"}}), err: "...invalid scheduler flag: SCHED_FLAG_FUN"},
		{name: "nice of 20", spec: scheduler(specs.Scheduler{Policy: specs.SchedOther, Nice: 20}), err: "invalid scheduler.nice: 20 when scheduler.policy is SCHED_OTHER"},
		{name: "priority of batch", spec: scheduler(specs.Scheduler{Policy: specs.SchedBatch, Priority: 1}), err: "scheduler.priority can only be specified for SchedFIFO or SchedRR policy"},
		{name: "deadline of batch", spec: scheduler(specs.Scheduler{Policy: specs.SchedBatch, Deadline: 1}), err: "scheduler runtime/deadline/period can only be specified for SchedDeadline policy"},

		{name: "best effort I/O", spec: io(specs.IOPRIO_CLASS_BE, 3), script: ioprio, want: "2 3"},
		{name: "real-time I/O", spec: io(specs.IOPRIO_CLASS_RT, 1), script: ioprio, want: "1 1"},
		{name: "idle I/O", spec: io(specs.IOPRIO_CLASS_IDLE, 0), script: ioprio, want: "3 0"},
		{name: "I/O priority out of range", spec: io(specs.IOPRIO_CLASS_BE, 8), err: "invalid ioPriority.Priority: 8"},
		{name: "unknown I/O class", spec: io("IOPRIO_CLASS_FUN", 1), err: `invalid ioPriority.Class: "IOPRIO_CLASS_FUN"`},

		{name: "memory bound to a node", spec: memory(specs.MpolBind, "0"), script: mempolicy, want: "bind:0"},
		{name: "memory bound, static", spec: memory(specs.MpolBind, "0", specs.MpolFStaticNodes), script: mempolicy, want: "bind=static:0"},
		{name: "interleaved", spec: memory(specs.MpolInterleave, "0"), script: mempolicy, want: "interleave:0"},
		{name: "preferred", spec: memory(specs.MpolPreferred, "0"), script: mempolicy, want: "prefer:0"},
		{name: "preferred many", spec: memory(specs.MpolPreferredMany, "0"), script: mempolicy, want: "prefer"},
		{name: "local", spec: memory(specs.MpolLocal, ""), script: mempolicy, want: "local"},
		{name: "default memory", spec: memory(specs.MpolDefault, ""), script: mempolicy, want: "default"},
		{name: "no such node", spec: memory(specs.MpolBind, "1000"), err: "...invalid argument"},
		{name: "bound to nothing", spec: memory(specs.MpolBind, ""), err: "memory policy mode requires at least one node but got 0"},
		{name: "local to a node", spec: memory(specs.MpolLocal, "0"), err: "memory policy mode requires 0 nodes but got 1"},
		{name: "unknown memory mode", spec: memory("MPOL_FUN", "0"), err: `invalid memory policy mode "MPOL_FUN"`},
		{name: "unknown memory flag", spec: memory(specs.MpolBind, "0", "MPOL_F_FUN"), err: `invalid memory policy flag "MPOL_F_FUN"`},
		{name: "nodes that are none", spec: memory(specs.MpolBind, "x"), err: `...invalid memory policy nodes "x"`},

		{name: "no Intel RDT", spec: func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{L3CacheSchema: "L3:0=f"} }, err: "intelRdt is specified in config, but Intel RDT is not enabled"},
		{name: "no Intel RDT, with a class", spec: func(s *specs.Spec) {
			s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x", Schemata: []string{"MB:0=10"}, EnableMonitoring: true}
		}, err: "intelRdt is specified in config, but Intel RDT is not enabled"},
	})
}

// Where exec's processes run first, and then: on the CPU that the affinity names,
// also with the one of a process.json.
func TestSpecExecAffinity(t *testing.T) {
	nativeOnly(t)
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	if set.Count() < 2 {
		t.Skip("one CPU: nothing to choose from")
	}
	last := 0
	for i := range 1024 {
		if set.IsSet(i) {
			last = i
		}
	}
	o := newOCI(t, "sleep 1000")
	o.configure(func(s *specs.Spec) {
		s.Process.ExecCPUAffinity = &specs.CPUAffinity{Final: fmt.Sprint(last)}
	})
	o.ok("run", "--detach", "c1")
	const look = "while read k v; do test $k = Cpus_allowed_list: && echo $v; done < /proc/self/status; true"
	if got := o.ok("exec", "c1", "sh", "-c", look); got != fmt.Sprintln(last) {
		t.Errorf("exec runs on CPUs %q; want %d", got, last)
	}
	p := filepath.Join(o.bundle, "process.json")
	if err := os.WriteFile(p, []byte(`{"cwd": "/", "env": ["PATH=/bin"], "args": ["sh", "-c", "`+look+`"], "execCPUAffinity": {"initial": "0", "final": "0"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := o.ok("exec", "--process", p, "c1"); got != "0\n" {
		t.Errorf("exec --process runs on CPUs %q; want 0", got)
	}
	o.ok("delete", "--force", "c1")
	o.configure(func(s *specs.Spec) { s.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "x"} })
	if r := o.call("run", "c1"); r.code != 1 {
		t.Errorf("run with an affinity of x: %+v; want a refusal", r)
	}
}
