package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// namespaced is a process that is alone in new namespaces of all kinds but user
// and PID until the test ends. It returns its pid.
func namespaced(t *testing.T, flags ...string) int {
	t.Helper()
	cmd := exec.Command("unshare", append(flags, "sh", "-c", "echo ready; exec cat")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if n, err := out.Read(make([]byte, 6)); err != nil || n != 6 {
		t.Fatalf("unshare %q: %d bytes, %v; want ready", flags, n, err)
	}
	return cmd.Process.Pid
}

func setNamespacePath(s *specs.Spec, typ specs.LinuxNamespaceType, path string) {
	withoutNamespace(s, typ)
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: typ, Path: path})
}

func TestSpecNamespaces(t *testing.T) {
	b := newSpecBench(t, false)
	pid := namespaced(t, "--net", "--ipc", "--uts", "--cgroup", "--mount", "--time")
	of := func(file string) string { return fmt.Sprintf("/proc/%d/ns/%s", pid, file) }
	link := func(file string) string {
		name, err := os.Readlink(of(file))
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	own := func(file string) string {
		name, err := os.Readlink("/proc/self/ns/" + file)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	see := func(file string) string { return "/probe ns | grep ^" + file + " | cut -d' ' -f2" }
	var rows []specRow
	for _, ns := range []struct {
		typ  specs.LinuxNamespaceType
		file string
	}{
		{specs.NetworkNamespace, "net"},
		{specs.IPCNamespace, "ipc"},
		{specs.UTSNamespace, "uts"},
		{specs.CgroupNamespace, "cgroup"},
		{specs.TimeNamespace, "time"},
	} {
		join := func(path string, namesHost bool) func(*specs.Spec) {
			return func(s *specs.Spec) {
				if !namesHost {
					s.Hostname = ""
				}
				setNamespacePath(s, ns.typ, path)
			}
		}
		wrong := "ipc"
		if ns.file == wrong {
			wrong = "uts"
		}
		rows = append(rows,
			specRow{name: "joined " + ns.file, spec: join(of(ns.file), false), script: see(ns.file), want: link(ns.file)},
			specRow{name: "host's " + ns.file, spec: func(s *specs.Spec) {
				if ns.typ == specs.UTSNamespace {
					s.Hostname = ""
				}
				withoutNamespace(s, ns.typ)
			}, script: see(ns.file), want: own(ns.file)},
			specRow{name: "wrong kind for " + ns.file, spec: join(of(wrong), true), err: "...failed to setns into " + ns.file + " namespace: Invalid argument"},
			specRow{name: "no such " + ns.file, spec: join("/proc/self/ns/none", true), err: "unable to create new parent process: namespace path: lstat /proc/self/ns/none: no such file or directory"},
			specRow{name: "no namespace for " + ns.file, spec: join("/etc/passwd", true), err: "...failed to setns into " + ns.file + " namespace: Invalid argument"},
			specRow{name: "relative path for " + ns.file, spec: join("ns/"+ns.file, true), err: "unable to create new parent process: namespace path: lstat ns/" + ns.file + ": no such file or directory"},
		)
	}
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 1000}, {ContainerID: 1000, HostID: 200000, Size: 5}, {ContainerID: 70000, HostID: 7, Size: 1}}
	clock := func(monotonic, boottime int64) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: monotonic, Nanosecs: 5}, "boottime": {Secs: boottime}}
		}
	}
	rows = append(rows, []specRow{
		{name: "twice", spec: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.IPCNamespace})
		}, err: `malformed spec file: duplicated ns {"ipc" ""}`},
		{name: "unknown", spec: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "fun"})
		}, err: `namespace {"fun" ""} does not exist`},
		{
			name: "user with several ranges", spec: func(s *specs.Spec) { userNamespace(s, ids, ids[:2]) },
			script: "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '", want: "0 100000 1000\n 1000 200000 5\n 70000 7 1\n 0 100000 1000\n 1000 200000 5",
		},
		{name: "user that is not mapped", spec: func(s *specs.Spec) {
			userNamespace(s, ids, ids)
			s.Process.User.UID = 5000
		}, err: "...unable to setup user: chown /dev/stdin: invalid argument"},
		{name: "user without mappings", spec: func(s *specs.Spec) { userNamespace(s, nil, nil) }, err: "user namespaces enabled, but no uid mappings found"},
		{name: "mappings without user", spec: func(s *specs.Spec) { s.Linux.UIDMappings = ids }, script: "cat /proc/self/uid_map | tr -s ' '", want: "0 0 4294967295"},
		{name: "overlapping mappings", spec: func(s *specs.Spec) { userNamespace(s, append(ids, ids[0]), ids) }, err: "...uid_map: Invalid argument; nsexec-1[N]: failed to sync with parent: read(SYNC_USERMAP_ACK) (got 0 of 4 bytes)"},

		{name: "hostname", spec: func(s *specs.Spec) { s.Hostname, s.Domainname = "host", "domain.example" }, script: "/probe hostname", want: "host domain.example"},
		{name: "hostname of the host's", spec: func(s *specs.Spec) { withoutNamespace(s, specs.UTSNamespace) }, err: "unable to set hostname without a private UTS namespace"},
		{name: "domain name of the host's", spec: func(s *specs.Spec) {
			s.Hostname, s.Domainname = "", "d"
			withoutNamespace(s, specs.UTSNamespace)
		}, err: "unable to set domainname without a private UTS namespace"},
		{name: "hostname that is too long", spec: func(s *specs.Spec) { s.Hostname = strings.Repeat("x", 65) }, err: "...invalid argument"},

		{name: "time offsets", spec: clock(86400, 1000000), script: "awk '{ print $1, $2, $3 }' /proc/self/timens_offsets", want: "monotonic 86400 5\nboottime 1000000 0"},
		{name: "time without offsets", spec: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		}, script: "awk '{ print $1, $2, $3 }' /proc/self/timens_offsets", want: "monotonic 0 0\nboottime 0 0"},
		{name: "time before the machine", spec: clock(-1000000000, -1000000000), err: "...timens_offsets: Numerical result out of range; nsexec-1[N]: failed to sync with parent: read(SYNC_TIMEOFFSETS_ACK) (got 0 of 4 bytes)"},
		{name: "offsets of the host's time", spec: func(s *specs.Spec) {
			clock(1, 1)(s)
			withoutNamespace(s, specs.TimeNamespace)
		}, err: "time namespace offsets specified, but time namespace isn't enabled in the config"},
		{name: "offsets of a joined time", spec: func(s *specs.Spec) {
			clock(1, 1)(s)
			setNamespacePath(s, specs.TimeNamespace, of("time"))
		}, err: "time namespace enabled, but both namespace path and time offsets specified -- you may only provide one"},
		{name: "unknown clock", spec: func(s *specs.Spec) {
			clock(1, 1)(s)
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {Secs: 1}}
		}, err: "...timens_offsets: Invalid argument; nsexec-1[N]: failed to sync with parent: read(SYNC_TIMEOFFSETS_ACK) (got 0 of 4 bytes)"},

		{name: "annotations", spec: func(s *specs.Spec) { s.Annotations = map[string]string{"a": "=b", "": "x"} }, script: "echo yes", want: "yes"},
	}...)
	b.run(t, rows)
}

func TestSpecSysctl(t *testing.T) {
	b := newSpecBench(t, false)
	set := func(key, value string, without ...specs.LinuxNamespaceType) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{key: value}
			for _, typ := range without {
				withoutNamespace(s, typ)
			}
			if len(without) > 0 {
				s.Hostname = ""
			}
		}
	}
	var rows []specRow
	for key, value := range map[string]string{
		"net.ipv4.ip_forward": "1", "net/ipv4/ip_local_port_range": "20000\t30001", "net.core.somaxconn": "77",
		"kernel.shmmax": "123456", "kernel.sem": "32000\t1024\t500\t3200", "kernel.msgmax": "9000", "kernel.shm_rmid_forced": "1",
		"fs.mqueue.msg_max": "20", "kernel.domainname": "example", "net/ipv4/conf/lo.x/forwarding": "",
	} {
		if value == "" {
			rows = append(rows, specRow{name: key, spec: set(key, "1"), err: "...no such file or directory"})
			continue
		}
		file := key
		if !strings.Contains(key, "/") {
			file = strings.ReplaceAll(key, ".", "/")
		}
		rows = append(rows, specRow{name: key, spec: set(key, value), script: "cat /proc/sys/" + file, want: value})
	}
	rows = append(rows, []specRow{
		{name: "kernel.hostname", spec: set("kernel.hostname", "x"), err: `sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field`},
		{name: "vm.swappiness", spec: set("vm.swappiness", "1"), err: `sysctl "vm.swappiness" is not in a separate kernel namespace`},
		{name: "kernel.panic", spec: set("kernel.panic", "1"), err: `sysctl "kernel.panic" is not in a separate kernel namespace`},
		{name: "user.max_user_namespaces", spec: set("user.max_user_namespaces", "1"), err: "setting ucounts without a user namespace not allowed: user.max_user_namespaces"},
		{name: "net of the host", spec: set("net.ipv4.ip_forward", "1", specs.NetworkNamespace), err: `sysctl "net.ipv4.ip_forward" not allowed in host network namespace`},
		{name: "net of the host, by path", spec: func(s *specs.Spec) {
			set("net.ipv4.ip_forward", "1")(s)
			setNamespacePath(s, specs.NetworkNamespace, "/proc/self/ns/net")
		}, err: `sysctl "net.ipv4.ip_forward" not allowed in host network namespace`},
		{name: "ipc of the host", spec: set("kernel.shmmax", "1", specs.IPCNamespace), err: `sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace`},
		{name: "uts of the host", spec: set("kernel.domainname", "x", specs.UTSNamespace), err: `sysctl "kernel.domainname" is not in a separate kernel namespace`},
		{name: "up and out", spec: set("net/../vm/swappiness", "1"), err: "...no such file or directory"},
		{name: "a bad value", spec: set("net.ipv4.ip_forward", "much"), err: "...invalid argument"},
	}...)
	b.run(t, rows)
}

// Devices that a spec adds; what the cgroup lets through is another test's.
func TestSpecDeviceNodes(t *testing.T) {
	b := newSpecBench(t, false)
	device := func(d specs.LinuxDevice) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.Devices = append(s.Linux.Devices, d) }
	}
	const look = "stat -c '%F %a %u:%g %t:%T' "
	b.run(t, []specRow{
		{name: "default", script: "ls -1 /dev | tr '\\n' ' '", want: "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"},
		{name: "null", script: look + "/dev/null; echo x > /dev/null && head -c 2 /dev/zero | wc -c", want: "character special file 666 0:0 1:3\n2"},
		{
			name: "character", spec: device(specs.LinuxDevice{Path: "/dev/x/y", Type: "c", Major: 1, Minor: 7, FileMode: new(os.FileMode(0o640)), UID: new(uint32(3)), GID: new(uint32(4))}),
			script: look + "/dev/x/y", want: "character special file 640 3:4 1:7",
		},
		{name: "block", spec: device(specs.LinuxDevice{Path: "/dev/b", Type: "b", Major: 7, Minor: 200, FileMode: new(os.FileMode(0o600))}), script: look + "/dev/b", want: "block special file 600 0:0 7:c8"},
		{name: "fifo", spec: device(specs.LinuxDevice{Path: "/dev/f", Type: "p", FileMode: new(os.FileMode(0o666))}), script: look + "/dev/f", want: "fifo 666 0:0 0:0"},
		{name: "in place of a default one", spec: device(specs.LinuxDevice{Path: "/dev/full", Type: "c", Major: 1, Minor: 5, FileMode: new(os.FileMode(0o600))}), script: look + "/dev/full", want: "character special file 600 0:0 1:5"},
		{name: "in place of null", spec: device(specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 5}), err: "...container's /dev/null is invalid"},
		{name: "unknown type", spec: device(specs.LinuxDevice{Path: "/dev/x", Type: "z"}), err: `invalid device type "z"`},
		{name: "in a user namespace", spec: func(s *specs.Spec) {
			ids := []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
			userNamespace(s, ids, ids)
		}, script: look + "/dev/null; echo x > /dev/null && echo yes", want: "character special file 666 65534:65534 1:3\nyes"},
	})
}

// Hooks that cannot run, or fail: the container is not started.
func TestSpecHooks(t *testing.T) {
	b := newSpecBench(t, false)
	hook := func(path string, args ...string) []specs.Hook { return []specs.Hook{{Path: path, Args: args}} }
	hooks := func(h specs.Hooks) func(*specs.Spec) { return func(s *specs.Spec) { s.Hooks = &h } }
	timed := hook("/bin/sleep", "sleep", "100")
	timed[0].Timeout = new(1)
	b.run(t, []specRow{
		{name: "none", spec: hooks(specs.Hooks{}), script: "echo ran", want: "ran"},
		{name: "env", spec: func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", `test "$A" = b -a -z "$HOME"`}, Env: []string{"A=b"}}}}
		}, script: "echo ran", want: "ran"},
		{name: "relative", spec: hooks(specs.Hooks{CreateRuntime: hook("bin/true")}), err: "...fork/exec bin/true: no such file or directory"},
		{name: "relative to the bundle", spec: hooks(specs.Hooks{CreateRuntime: hook("rootfs/bin/sh", "sh", "-c", `test "$(pwd)" = `+b.bundle)}), script: "echo ran", want: "ran"},
		{name: "missing", spec: hooks(specs.Hooks{CreateRuntime: hook("/none")}), err: "...fork/exec /none: no such file or directory"},
		{name: "fails", spec: hooks(specs.Hooks{CreateRuntime: hook("/bin/sh", "sh", "-c", "echo why >&2; exit 3")}), err: "...exit status 3"},
		{name: "too slow", spec: hooks(specs.Hooks{CreateRuntime: timed}), err: "...hook ran past specified timeout of 1.0s"},
		{name: "start fails", spec: hooks(specs.Hooks{StartContainer: hook("/bin/false", "false")}), code: 255},
		{name: "create container fails", spec: hooks(specs.Hooks{CreateContainer: hook("/bin/false", "false")}), err: "...exit status 1"},
		{name: "prestart fails", spec: hooks(specs.Hooks{Prestart: hook("/bin/false", "false")}), err: "...exit status 1"}, //nolint:staticcheck // engines still use it
		{name: "poststart fails", spec: hooks(specs.Hooks{Poststart: hook("/bin/false", "false")}), script: "sleep 100", err: "...exit status 1"},
	})
}

// TestSpecHostMounts: a container in the host's mount namespace leaves the
// propagation of the host's mounts as it is.
func TestSpecHostMounts(t *testing.T) {
	b := newSpecBench(t, false)
	propagation := func() string {
		// The mounts that there were, and the tags of each (proc_pid_mountinfo(5)).
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		var tags strings.Builder
		for line := range strings.Lines(string(table)) {
			before, _, _ := strings.Cut(line, " - ")
			f := strings.Fields(before)
			if f[4] == "/" || f[4] == b.bundle {
				fmt.Fprintln(&tags, f[4], f[6:])
			}
		}
		return tags.String()
	}
	// What is mounted in the host's namespace goes with the bundle.
	if err := unix.Mount(b.bundle, b.bundle, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(b.bundle, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mount("", b.bundle, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	before := propagation()
	if !strings.Contains(before, b.bundle+" [shared:") {
		t.Fatalf("mounts before: %s; want the bundle shared", before)
	}
	b.run(t, []specRow{{
		name: "container", spec: func(s *specs.Spec) {
			withoutNamespace(s, specs.MountNamespace)
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths, s.Root.Readonly = nil, nil, false
			s.Mounts = []specs.Mount{*mountAt(s, "/dev")} // in which libcontainer makes links
		}, script: "echo yes", want: "yes",
	}})
	if after := propagation(); after != before {
		t.Errorf("mounts after:\n%s\nwant them as they were:\n%s", after, before)
	}
}
