package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// TestBadPodName asks every verb for a pod that is not there.
func TestBadPodName(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	bundle := filepath.Join(a.dir, "oci")
	shell(t, bundle, ends)
	verbs := []refusal{
		{name: "start", args: []string{"pod", "start", "REF"}, code: 1},
		{name: "stop", args: []string{"pod", "stop", "REF"}, code: 1},
		{name: "kill", args: []string{"pod", "kill", "REF"}, code: 1},
		{name: "pause", args: []string{"pod", "pause", "REF"}, code: 1},
		{name: "resume", args: []string{"pod", "resume", "REF"}, code: 1},
		{name: "rm", args: []string{"pod", "rm", "REF"}, code: 1},
		{name: "inspect", args: []string{"pod", "inspect", "REF"}, code: 1},
		{name: "stats", args: []string{"pod", "stats", "REF"}, code: 1},
		{name: "ps", args: []string{"pod", "ps", "REF"}, code: 1},
		{name: "wait", args: []string{"pod", "wait", "REF"}, code: 1},
		{name: "update", args: []string{"pod", "update", "REF", "--pids-limit", "9"}, code: 1},
		{name: "exec", args: []string{"pod", "exec", "REF", "c", "true"}, code: 255},
		{name: "create --pod", args: []string{"create", "--pod", "REF", "-b", bundle, "c"}, code: 1},
		{name: "run --pod", args: []string{"run", "--pod", "REF", "-b", bundle, "c"}, code: 1},
		{name: "network", args: []string{"pod", "create", "--network", "container:REF", "p"}, code: 1},
	}
	ask := func(ref, word string) {
		t.Helper()
		for _, v := range verbs {
			v.name += " " + ref
			v.args = append([]string(nil), v.args...)
			for i := range v.args {
				v.args[i] = strings.ReplaceAll(v.args[i], "REF", ref)
			}
			v.words = []string{word}
			if strings.HasPrefix(v.name, "rm ") { // nothing is removed on a guess
				v.words = []string{`pod "` + ref + `": pod does not exist`}
			}
			a.refuse(t, []refusal{v})
		}
	}
	ask("none", `pod "none": pod does not exist`) // no roots yet
	one := a.ok(t, "pod", "create", "--uid", "abc-1", "web-one").stdout
	if one != "abc-1\n" {
		t.Errorf("pod create prints %q; want its UID", one)
	}
	a.ok(t, "pod", "create", "--uid", "abc-2", "web-two")
	ask("none", `pod "none": pod does not exist`)
	ask("web", `pod "web": prefix fits 2 pods: web-one (abc-1), web-two (abc-2)`)
	ask("abc-", `pod "abc-": prefix fits 2 pods`)
	for _, v := range verbs[:11] { // what would be another path
		for _, ref := range []string{"", "../pods/abc-1", ".", "..", ".lock", "/abc-1", "abc-1/"} {
			v.name = strings.Join(v.args[:2], " ") + " " + ref
			v.words = []string{"pod "}
			args := append([]string(nil), v.args...)
			args[2] = ref
			a.refuse(t, []refusal{{name: v.name, args: args, code: 1, words: v.words}})
		}
	}
	a.ok(t, "pod", "rm", "-f", "none", "web-one", "nor-this")
	a.ok(t, "pod", "rm", "-f", "abc-2")
}

// TestBadID asks for names, UIDs and container ids that cannot be had.
func TestBadID(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(""), map[string]string{"app": stays})
	oci := filepath.Join(a.dir, "oci")
	shell(t, oci, stays)
	a.ok(t, "pod", "run", "-d", "--uid", "u-1", dir)
	a.ok(t, "create", "--pod", "p", "-b", oci, "c")
	const name, uid = "must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", "must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
	long := strings.Repeat("n", 64)
	a.refuse(t, []refusal{
		{name: "name taken", args: []string{"pod", "create", "p"}, code: 1, words: []string{`pod "p" (u-1): pod with that name exists`}},
		{name: "name taken, run", args: []string{"pod", "run", dir}, code: 125, words: []string{`pod "p" (u-1): pod with that name exists`}},
		{name: "UID taken", args: []string{"pod", "create", "--uid", "u-1", "q"}, code: 1, words: []string{`pod with UID "u-1": file already exists`}},
		{name: "name", args: []string{"pod", "create", "a/b"}, code: 1, words: []string{`metadata.name: "a/b": ` + name}},
		{name: "name of dots", args: []string{"pod", "create", ".."}, code: 1, words: []string{`metadata.name: "..": ` + name}},
		{name: "name, hidden", args: []string{"pod", "create", ".lock"}, code: 1, words: []string{`metadata.name: ".lock": ` + name}},
		{name: "name, empty", args: []string{"pod", "create", ""}, code: 1, words: []string{`metadata.name: "": ` + name}},
		{name: "name, long", args: []string{"pod", "create", long}, code: 1, words: []string{`metadata.name: "nnn`, name}},
		{name: "name, run", args: []string{"pod", "run", "--name", "a b", dir}, code: 125, words: []string{`metadata.name: "a b": ` + name}},
		{name: "UID", args: []string{"pod", "create", "--uid", "../x", "q"}, code: 1, words: []string{`metadata.uid: "../x": ` + uid}},
		{name: "UID, run", args: []string{"pod", "run", "--name", "q", "--uid", "a/b", dir}, code: 125, words: []string{`metadata.uid: "a/b": ` + uid}},
		{name: "container taken", args: []string{"create", "--pod", "p", "-b", oci, "c"}, code: 1, words: []string{`container "c": the pod "p" has one of that name`}},
		{name: "container taken by the pod's own", args: []string{"create", "--pod", "p", "-b", oci, "app"}, code: 1, words: []string{`container "app": the pod "p" has one of that name`}},
		{name: "container, the init's name", args: []string{"create", "--pod", "p", "-b", oci, "_init"}, code: 1, words: []string{`container "_init": the pod "p" has one of that name`}},
		{name: "container taken outside", args: []string{"create", "-b", oci, "c"}, code: 1, words: []string{"container with given ID already exists"}},
		{name: "container id", args: []string{"create", "--pod", "p", "-b", oci, "../c"}, code: 1, words: []string{"invalid container ID format"}},
		{name: "container id of dots", args: []string{"create", "--pod", "p", "-b", oci, ".."}, code: 1, words: []string{"invalid container ID format"}},
		{name: "container id, empty", args: []string{"create", "--pod", "p", "-b", oci, ""}, code: 1, words: []string{"container id cannot be empty"}},
		{name: "container id, the kernel's", args: []string{"create", "--pod", "p", "-b", oci, "cgroup.procs"}, code: 1, words: []string{"cgroup.procs"}},
		{name: "exec, container missing", args: []string{"pod", "exec", "p", "none", "true"}, code: 255, words: []string{`container "none" of pod "p": container does not exist`}},
		{name: "run again", args: []string{"pod", "rm", "p"}, code: 1, words: []string{`remove pod "p": container "app" is running: pod is running; stop the pod first or use force`}},
	})
	a.ok(t, "pod", "rm", "-f", "p")
}

// TestBadFlag gives pod create each of its flags with a value that it cannot
// have.
func TestBadFlag(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	for _, tt := range []struct {
		flags []string
		word  string
	}{
		{[]string{"--nonsense"}, "flag provided but not defined: -nonsense"},
		{[]string{"--hostname"}, "flag needs an argument: -hostname"},
		{[]string{"--hostname", strings.Repeat("h", 65)}, "hostname: "},
		{[]string{"--hostname", "a b"}, `hostname: "a b" contains`},
		{[]string{"--domainname", strings.Repeat("d", 65)}, "domainname: "},
		{[]string{"--share", "net,foo"}, `share[1]: "foo": must be one of`},
		{[]string{"--share", "net,net"}, `share[1]: "net": listed twice`},
		{[]string{"--share", "user"}, "user"},
		{[]string{"--host", "net"}, `host[0]: "net": the host's network is network.mode "host"`},
		{[]string{"--host", "foo"}, `host[0]: "foo": must be one of ipc, pid, uts`},
		{[]string{"--host", "ipc", "--share", "ipc"}, `host[0]: "ipc": is in share, too`},
		{[]string{"--network", "a/b"}, `network.mode: "a/b" is not supported`},
		{[]string{"--network", "nosuch"}, `network "nosuch": no such network`},
		{[]string{"--network", "container:"}, `network.mode: "container:"`},
		{[]string{"--network", "host", "--share", "ipc"}, `network.mode: "host": needs "net" in share`},
		{[]string{"--sysctl", "net.core.somaxconn"}, `invalid value "net.core.somaxconn" for flag -sysctl: want KEY=VALUE`},
		{[]string{"--sysctl", "vm.swappiness=1"}, `sysctls["vm.swappiness"]: `},
		{[]string{"--sysctl", "kernel.hostname=x"}, `sysctls["kernel.hostname"]: `},
		{[]string{"--sysctl", "net/../kernel/panic=1"}, `sysctls["net/../kernel/panic"]: `},
		{[]string{"--sysctl", "net.core.somaxconn=1", "--network", "host"}, `sysctls["net.core.somaxconn"]: "1": the pod has no network namespace of its own: network.mode is "host"`},
		{[]string{"--sysctl", "kernel.shmmax=1", "--share", "net", "--host", "ipc"}, `sysctls["kernel.shmmax"]: "1": the pod has no IPC namespace of its own`},
		{[]string{"--sysctl", "net.no.such=1"}, "net.no.such"},
		{[]string{"--sysctl", "net.core.somaxconn=-5"}, "net.core.somaxconn"},
		{[]string{"--sysctl", "net.ipv4.ip_local_port_range=5 1"}, "net.ipv4.ip_local_port_range"},
		{[]string{"--label", "x"}, `invalid value "x" for flag -label: want KEY=VALUE`},
		{[]string{"--label", "a b=c"}, `metadata.labels: key "a b": `},
		{[]string{"--annotation", "=c"}, `invalid value "=c" for flag -annotation`},
		{[]string{"--cgroup-parent", "../.."}, `cgroupParent: "../..": must not contain ".."`},
		{[]string{"--cgroup-parent", "//a"}, `cgroupParent: "//a": must be clean: "/a"`},
		{[]string{"--volume", "/tmp"}, `invalid value "/tmp" for flag -volume: want SOURCE:DIR[:OPTIONS]`},
		{[]string{"--volume", "/tmp:t"}, `volumeMounts[0].mountPath: "t": must be an absolute path`},
		{[]string{"--volume", "/tmp:/t/../.."}, `volumeMounts[0].mountPath: "/t/../..": must not contain ".."`},
		{[]string{"--volume", "/tmp:/"}, `volumeMounts[0].mountPath: "/": a volume cannot be the root file system`},
		{[]string{"--volume", "/tmp:/t:x"}, `for flag -volume: unknown option "x"`},
		{[]string{"--volume", "/tmp:/t:memory"}, `for flag -volume: unknown option "memory"`},
		{[]string{"--volume", "v:/t:size=1k"}, "volumes[0].emptyDir.sizeLimit: 1024: needs medium"},
		{[]string{"--volume", "v:/t:memory,size=x"}, `for flag -volume: option "size=x": `},
		{[]string{"--volume", "../v:/t"}, `volumes[0].name: "../v": must match`},
		{[]string{"--volume", "/nonexistent:/t"}, `hostPath "/nonexistent": no such file or directory`},
		{[]string{"--volume", "v:/a", "--volume", "v:/b"}, `volumes[1].name: "v": name of an earlier volume`},
		{[]string{"--volume", "v:/a", "--volume", "w:/a"}, `volumeMounts[1].mountPath: "/a": another volume of the container is mounted there`},
		{[]string{"--shm-size", "0"}, "shm"},
		{[]string{"--shm-size", "-1"}, `for flag -shm-size: `},
		{[]string{"--shm-size", "64x"}, `invalid value "64x" for flag -shm-size: `},
		{[]string{"--dns", "localhost"}, `dns.servers[0]: "localhost"`},
		{[]string{"--dns-search", "a b"}, `dns.searches[0]: "a b"`},
		{[]string{"--dns-option", "a b"}, `dns.options[0]: "a b"`},
		{[]string{"--add-host", "name"}, `invalid value "name" for flag -add-host: want NAME:IP`},
		{[]string{"--add-host", "name:x"}, `hostAliases[0].ip: "x"`},
		{[]string{"--uidmap", "0:1000"}, `invalid value "0:1000" for flag -uidmap: `},
		{[]string{"--uidmap", "0:1000:1"}, "userNamespace.gidMappings: must have an entry"},
		{[]string{"--uidmap", "5:1000:1", "--gidmap", "0:1:1"}, "userNamespace.uidMappings: containerID 0 must be mapped"},
		{[]string{"--uidmap", "0:1000:10", "--uidmap", "5:2000:10", "--gidmap", "0:1:1"}, "userNamespace.uidMappings[1].containerID: 5: range overlaps that of entry 0"},
		{[]string{"--stop-timeout", "soon"}, `invalid value "soon" for flag -stop-timeout: `},
		{[]string{"--stop-timeout", "-1"}, `for flag -stop-timeout: `},
		{[]string{"--memory", "much"}, `invalid value "much" for flag -memory: `},
		{[]string{"--memory-reservation", "1.5.2"}, `for flag -memory-reservation: `},
		{[]string{"--memory-swap", "-2"}, `for flag -memory-swap: `},
		{[]string{"--cpus", "0"}, `invalid value "0" for flag -cpus: not a positive number`},
		{[]string{"--cpus", "NaN"}, `invalid value "NaN" for flag -cpus: not a positive number`},
		{[]string{"--cpu-shares", "-1"}, `for flag -cpu-shares: `},
		{[]string{"--cpuset-cpus", "0-"}, `resources.cpu.cpus: "0-"`},
		{[]string{"--cpuset-mems", "x"}, `resources.cpu.mems: "x"`},
		{[]string{"--pids-limit", "many"}, `invalid value "many" for flag -pids-limit: not a number`},
		{[]string{"--uid", "a/b"}, `metadata.uid: "a/b": must match`},
	} {
		args := append(append([]string{"pod", "create"}, tt.flags...), "p")
		if tt.flags[0] == "--hostname" && len(tt.flags) == 1 {
			args = []string{"pod", "create", "--hostname"}
		}
		a.refuse(t, []refusal{{name: strings.Join(tt.flags, " "), args: args, code: 1, words: []string{tt.word}}})
	}
	a.refuse(t, []refusal{
		{name: "no name", args: []string{"pod", "create"}, code: 1, words: []string{`"create" requires exactly 1 argument(s)`}},
		{name: "two names", args: []string{"pod", "create", "p", "q"}, code: 1, words: []string{`"create" requires exactly 1 argument(s)`}},
		{name: "unknown verb", args: []string{"pod", "frobnicate"}, code: 3, words: []string{"No help topic for 'frobnicate'"}},
		{name: "unknown signal", args: []string{"pod", "kill", "-s", "SIGNONE", "p"}, code: 1, words: []string{`unknown signal "SIGNONE"`}},
		{name: "stop time", args: []string{"pod", "stop", "-t", "x", "p"}, code: 1, words: []string{`invalid value "x" for flag -t: `}},
		{name: "update of nothing", args: []string{"pod", "update", "p"}, code: 1, words: []string{"no limit is given"}},
		{name: "update to no memory", args: []string{"pod", "update", "-m", "0", "p"}, code: 1, words: []string{`invalid value "0" for flag -m: must be above 0`}},
		{name: "update to CPUs", args: []string{"pod", "update", "--cpus", "-1", "p"}, code: 1, words: []string{`invalid value "-1" for flag -cpus: not a positive number`}},
		{name: "update in two ways", args: []string{"pod", "update", "-r", "-", "--cpus", "1", "p"}, code: 1, words: []string{"--resources excludes flags of single limits"}},
		{name: "update, no file", args: []string{"pod", "update", "-r", "/none", "p"}, code: 1, words: []string{"open /none: no such file or directory"}},
		{name: "format", args: []string{"pod", "ls", "--format", "xml"}, code: 1, words: []string{"format"}},
		{name: "relative root", args: []string{"--pod-root", "relative", "pod", "inspect", "p"}, code: 1, words: []string{"pod"}},
	})
}

// TestBadMember puts OCI containers into a pod whose configuration says what is
// the pod's to say.
func TestBadMember(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	oci := filepath.Join(a.dir, "oci")
	a.ok(t, "pod", "create", "p")
	for _, tt := range []struct {
		name   string
		change func(*specs.Spec)
		word   string
	}{
		{"sysctl", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.core.somaxconn": "1"} }, `linux.sysctl: "net.core.somaxconn": sysctls belong to the pod`},
		{"another network", func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/proc/1/ns/net" }, `linux.namespaces: network: path "/proc/1/ns/net" contradicts the pod's namespace`},
		{"no process", func(s *specs.Spec) { s.Process = nil }, "process property must not be empty"},
		{"no root", func(s *specs.Spec) { s.Root = nil }, "root must be specified"},
		{"missing root", func(s *specs.Spec) { s.Root.Path = "none" }, "none: no such file or directory"},
		{"command", func(s *specs.Spec) { s.Process.Args = []string{"/none"} }, `exec: "/none": stat /none: no such file or directory`},
		{"limit", func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} }, "wrong rlimit value: RLIMIT_X"},
	} {
		s := shell(t, oci, stays)
		tt.change(s)
		writeJSON(t, filepath.Join(oci, "config.json"), s)
		a.refuse(t, []refusal{
			{name: tt.name, args: []string{"create", "--pod", "p", "-b", oci, "c"}, code: 1, words: []string{"podrt create failed: ", tt.word}},
			{name: tt.name + ", run", args: []string{"run", "--pod", "p", "-b", oci, "c"}, code: 1, words: []string{"podrt run failed: ", tt.word}},
		})
	}
	a.ok(t, "pod", "rm", "p")
}
