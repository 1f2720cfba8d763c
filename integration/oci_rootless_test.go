package integration

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// plainUser is an ordinary user whom no file of the host knows.
const plainUser = 54242

// user calls podrt as plainUser, with $XDG_RUNTIME_DIR and a bundle of the
// user's own.
type user struct {
	*ociRuntime
	xdg  string
	wrap []string // command line before podrt's; the user's from setpriv on
}

// newUser makes a bundle that `podrt spec --rootless` has configured.
func newUser(t *testing.T, script string) *user {
	t.Helper()
	o := newOCI(t, script)
	dir := filepath.Dir(o.bundle)
	u := &user{ociRuntime: o, xdg: filepath.Join(dir, "xdg"), wrap: asUser()}
	mkdir(t, u.xdg)
	// Where the user can reach it, wherever this one was built.
	program, err := os.ReadFile(o.bin)
	if err != nil {
		t.Fatal(err)
	}
	o.bin = filepath.Join(dir, "podrt")
	if err := os.WriteFile(o.bin, program, 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(o.bundle, "config.json")
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	giveAway(t, dir)
	o.reachable()
	o.root = filepath.Join(u.xdg, "podrt/containers") // where newOCI looks for what is left
	u.ok("spec", "--rootless", "--bundle", o.bundle)
	o.configure(func(s *specs.Spec) {
		s.Process.Terminal = false
		s.Process.Args = []string{"sh", "-c", script}
	})
	return u
}

// nativeOnly saves the VM's time: the native rung shows all of it.
func nativeOnly(t *testing.T) {
	t.Helper()
	if rung.Current() != rung.Native {
		t.Skip("needs nothing that the native rung lacks: runs there")
	}
}

// giveAway makes dir and all in it plainUser's.
func giveAway(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, plainUser, plainUser)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func asUser() []string {
	return []string{"setpriv", "--reuid", "54242", "--regid", "54242", "--clear-groups", "--"}
}

// call runs one command as the user.
func (u *user) call(args ...string) ociResult {
	u.t.Helper()
	argv := append(append(append([]string{}, u.wrap...), u.bin), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = u.bundle
	cmd.Env = append(os.Environ(), append([]string{"XDG_RUNTIME_DIR=" + u.xdg}, u.env...)...)
	return u.finish(cmd)
}

func (u *user) ok(args ...string) string {
	u.t.Helper()
	r := u.call(args...)
	if r.code != 0 || r.stderr != "" {
		u.t.Fatalf("podrt %q: exit code %d, standard error %q; want 0 and nothing", args, r.code, r.stderr)
	}
	return r.stdout
}

// fails runs a command that must fail with that exit code and message.
func (u *user) fails(code int, message string, args ...string) {
	u.t.Helper()
	r := u.call(args...)
	if r.code != code {
		u.t.Errorf("podrt %q: exit code %d; want %d", args, r.code, code)
	}
	if got := messages(&result{stderr: r.stderr}); !strings.HasSuffix(got, message+"\n") {
		u.t.Errorf("podrt %q: %q; want %q at the end", args, got, message)
	}
}

// A user without any cgroup can do with containers what needs none.
func TestRootlessLifecycle(t *testing.T) {
	u := newUser(t, "trap 'exit 3' TERM; sleep 1000 & wait")
	if out := u.ok("list", "-q"); out != "" {
		t.Errorf("list = %q; want nothing", out)
	}
	u.ok("create", "c1")
	info, err := os.Stat(u.root)
	if err != nil {
		t.Fatal(err)
	}
	if want := os.ModeDir | os.ModeSticky | 0o700; info.Mode() != want {
		t.Errorf("mode of %q = %v; want %v", u.root, info.Mode(), want)
	}
	u.ok("start", "c1")
	var s struct{ Status, Rootfs string }
	if err := json.Unmarshal([]byte(u.ok("state", "c1")), &s); err != nil || s.Status != "running" || s.Rootfs != filepath.Join(u.bundle, "rootfs") {
		t.Errorf("state = %+v, %v; want running in the bundle", s, err)
	}
	if out := u.ok("list"); !strings.Contains(out, "#54242") {
		t.Errorf("list = %q; want the owner #54242", out)
	}
	if out := u.ok("exec", "c1", "sh", "-c", "id; cat /proc/self/uid_map /proc/self/setgroups"); strings.Join(strings.Fields(out), " ") != "uid=0 gid=0 0 54242 1 deny" {
		t.Errorf("exec = %q; want root in a namespace of the user alone", out)
	}
	u.ok("exec", "--detach", "c1", "sleep", "1000")
	cgroup := "/sys/fs/cgroup/c1"
	u.fails(1, "unable to get all container pids: lstat "+cgroup+": no such file or directory", "ps", "c1")
	u.fails(1, "freezer not supported: openat2 "+cgroup+"/cgroup.freeze: no such file or directory", "pause", "c1")
	u.fails(1, "container not paused", "resume", "c1")
	u.fails(1, "openat2 "+cgroup+"/pids.max: no such file or directory", "update", "--pids-limit", "10", "c1")
	u.fails(255, "exec failed: cannot set any additional groups in a rootless container", "exec", "--additional-gids", "5", "c1", "id")
	u.fails(255, "exec failed: unable to start container process: unable to setup user: chown /dev/stdin: invalid argument", "exec", "--user", "5", "c1", "id")
	if out := u.ok("events", "--stats", "c1"); !strings.HasPrefix(out, `{"type":"stats","id":"c1","data":{`) {
		t.Errorf("events = %q; want statistics", out)
	}
	u.ok("kill", "c1", "TERM")
	eventually(t, "c1 stopped", func() bool { return strings.Contains(u.ok("state", "c1"), `"stopped"`) })
	u.ok("delete", "c1")
	u.fails(1, "container does not exist", "delete", "c1")
	u.ok("run", "--detach", "c2")
	u.fails(1, "cannot delete container c2 that is not stopped: running", "delete", "c2")
	u.ok("delete", "--force", "c2")
}

// What a user cannot have is refused, in runc's words, and leaves nothing.
func TestRootlessRefused(t *testing.T) {
	u := newUser(t, "exit 7")
	nativeOnly(t)
	for _, tt := range []struct {
		name    string
		change  func(*specs.Spec)
		flags   []string
		message string
	}{
		{name: "cgroup asked for", change: func(s *specs.Spec) { s.Linux.CgroupsPath = "/foo" }, message: "unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/foo: permission denied"},
		{name: "not rootless", flags: []string{"--rootless", "false"}, message: "unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/c1: permission denied"},
		{name: "groups", change: func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{5} }, message: "cannot set any additional groups in a rootless container"},
		{name: "another user", change: func(s *specs.Spec) { s.Process.User.UID = 5 }, message: "unable to start container process: error during container init: unable to setup user: chown /dev/stdin: invalid argument"},
		{name: "no user namespace", change: func(s *specs.Spec) {
			withoutNamespace(s, specs.UserNamespace)
			s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
		}, message: "rootless container requires user namespaces"},
		{name: "no mapping", change: func(s *specs.Spec) { s.Linux.UIDMappings = nil }, message: "user namespaces enabled, but no uid mappings found"},
		{name: "a mount's owner", change: func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Type: "tmpfs", Source: "t", Destination: "/mnt", Options: []string{"uid=7"}})
		}, message: "cannot specify uid=7 mount option for rootless container: user namespaces enabled, but no mapping found for uid 7"},
		{name: "root", flags: []string{"--root", "/podrt-nowhere"}, message: "mkdir /podrt-nowhere: permission denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := filepath.Join(u.bundle, "config.json")
			was := u.readFile(config)
			if tt.change != nil {
				u.configure(tt.change)
			}
			u.fails(1, "podrt run failed: "+tt.message, append(tt.flags, "run", "c1")...)
			if err := os.WriteFile(config, []byte(was), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
	if r := u.call("run", "c1"); r.code != 7 {
		t.Errorf("run = %+v; want the container's exit code 7", r)
	}
	if r := u.call("--rootless", "true", "run", "c1"); r.code != 7 {
		t.Errorf("run = %+v; want the container's exit code 7", r)
	}
	config := filepath.Join(u.bundle, "config.json")
	u.env = []string{"XDG_RUNTIME_DIR=" + config}
	u.fails(1, "the path in $XDG_RUNTIME_DIR must be writable by the user: mkdir "+config+": not a directory", "list")
}

// With a range of ids from /etc/subuid, newuidmap(1) maps several lines.
func TestRootlessSubordinateIDs(t *testing.T) {
	u := newUser(t, "id; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; echo >/tmp/f")
	if _, err := exec.LookPath("newuidmap"); err != nil {
		t.Fatalf("%v: make deps installs it", err)
	}
	etc := t.TempDir()
	for name, line := range map[string]string{
		"passwd": "podrt-test:x:54242:54242::/:/bin/sh\n",
		"subuid": "podrt-test:200000:1000\n",
		"subgid": "podrt-test:300000:1000\n",
	} {
		write(t, filepath.Join(etc, name), line)
	}
	for _, dir := range []string{etc, filepath.Dir(etc)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// In a mount namespace of its own /etc has these three files instead; the
	// directory below may lack them.
	script := `mount -t tmpfs none /mnt; cp -a /etc/nsswitch.conf /mnt/; cp ` + etc + `/* /mnt/; mount --move /mnt /etc; exec "$@"`
	u.wrap = append([]string{"unshare", "--mount", "sh", "-ec", script, "sh"}, asUser()...)
	if err := os.Chmod(filepath.Join(u.bundle, "rootfs/tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	u.configure(func(s *specs.Spec) {
		s.Root.Readonly = false
		s.Process.User.UID, s.Process.User.GID = 5, 6
		s.Linux.UIDMappings = append(s.Linux.UIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 200000, Size: 1000})
		s.Linux.GIDMappings = append(s.Linux.GIDMappings, specs.LinuxIDMapping{ContainerID: 1, HostID: 300000, Size: 1000})
	})
	out := strings.Join(strings.Fields(u.ok("run", "c1")), " ")
	if want := "uid=5 gid=6 0 54242 1 1 200000 1000 0 54242 1 1 300000 1000 allow"; out != want {
		t.Errorf("in the container: %q; want %q", out, want)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(u.bundle, "rootfs/tmp/f"), &st); err != nil || st.Uid != 200004 || st.Gid != 300005 {
		t.Errorf("owner of the file = %d:%d, %v; want 200004:300005", st.Uid, st.Gid, err)
	}
	u.configure(func(s *specs.Spec) { s.Linux.UIDMappings[1].Size = 1001 })
	r := u.call("run", "c1")
	if want := "newuidmap: uid range [1-1002) -> [200000-201001) not allowed\n"; r.code != 1 || !strings.HasPrefix(r.stderr, want) || !strings.Contains(r.stderr, "podrt run failed: unable to start container process: ") {
		t.Errorf("run with too many ids = %+v; want exit code 1 and %q", r, want)
	}
}

// A user who was given a cgroup has all that it gives.
func TestRootlessDelegatedCgroup(t *testing.T) {
	u := newUser(t, "sleep 1000")
	u.wrap = append(delegate(t, "rootless-test"), asUser()...)
	u.configure(func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/rootless-test/c1"
		if rung.Current() == rung.VM {
			s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(10))}}
		}
	})
	u.ok("create", "c1")
	u.ok("start", "c1")
	u.ok("exec", "--detach", "c1", "sleep", "1000")
	var pids []int
	if err := json.Unmarshal([]byte(u.ok("ps", "--format", "json", "c1")), &pids); err != nil || len(pids) != 2 {
		t.Errorf("ps = %v, %v; want two processes", pids, err)
	}
	u.ok("pause", "c1")
	u.fails(255, "exec failed: cannot exec in a paused container (use --ignore-paused to override)", "exec", "c1", "id")
	u.ok("resume", "c1")
	if rung.Current() == rung.VM {
		u.ok("update", "--pids-limit", "20", "c1")
		if got := u.readFile("/sys/fs/cgroup/rootless-test/c1/pids.max"); got != "20" {
			t.Errorf("pids.max = %q after the update; want 20", got)
		}
	}
	u.ok("delete", "--force", "c1")
	if _, err := os.Stat("/sys/fs/cgroup/rootless-test/c1"); err == nil {
		t.Error("the container's cgroup is left")
	}
}

// delegate makes a cgroup and gives it to plainUser. The command line that it
// returns runs another one in a cgroup below.
func delegate(t *testing.T, name string) []string {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup", name)
	own := filepath.Join(dir, "own")
	mkdir(t, own)
	t.Cleanup(func() {
		for _, d := range []string{own, dir} {
			if err := unix.Rmdir(d); err != nil {
				t.Errorf("rmdir %q: %v", d, err)
			}
		}
	})
	if rung.Current() == rung.VM {
		if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+pids"), 0); err != nil {
			t.Fatal(err)
		}
	}
	// What cgroups(7) says under "Cgroups delegation".
	for _, path := range []string{dir, dir + "/cgroup.procs", dir + "/cgroup.threads", dir + "/cgroup.subtree_control", own, own + "/cgroup.procs"} {
		if err := os.Chown(path, plainUser, plainUser); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"sh", "-ec", "echo $$ >" + own + `/cgroup.procs; exec "$@"`, "sh"}
}

// The root of a user namespace has its state where the user had it, unless USER
// says that it is root itself.
func TestRootlessInUserNamespace(t *testing.T) {
	u := newUser(t, "id; exit 4")
	nativeOnly(t)
	u.wrap = append(asUser(), "unshare", "--user", "--map-root-user", "--mount")
	u.configure(func(s *specs.Spec) { s.Linux.UIDMappings[0].HostID, s.Linux.GIDMappings[0].HostID = 0, 0 })
	if r := u.call("run", "c1"); r.code != 4 || r.stdout != "uid=0 gid=0\n" {
		t.Errorf("run = %+v; want exit code 4 and root's id", r)
	}
	u.env = []string{"USER=root"}
	u.fails(1, "podrt run failed: mkdir /run/podrt: permission denied", "run", "c1")
	u.env = []string{"USER=someone"}
	if r := u.call("run", "c1"); r.code != 4 {
		t.Errorf("run = %+v; want exit code 4", r)
	}
	u.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = "/foo" })
	u.fails(1, "podrt run failed: unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/foo: permission denied", "run", "c1")
}

// Whole pods are root's; the root of a user namespace is one, if it has what
// pods are made of.
func TestRootlessPods(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	openUp(t, a)
	mine := filepath.Join(a.dir, "mine")
	mkdir(t, mine)
	giveAway(t, mine)
	program, err := os.ReadFile(podrtBinary())
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(a.dir, "podrt")
	if err := os.WriteFile(bin, program, 0o755); err != nil {
		t.Fatal(err)
	}
	within := func(wrap ...string) func(*exec.Cmd) {
		return func(cmd *exec.Cmd) {
			argv := append(append(append([]string{}, wrap...), bin, "--pod-root", mine+"/run", "--lib-root", mine+"/lib", "--log-root", mine+"/log"), cmd.Args[7:]...)
			*cmd = exec.Cmd{Path: "/usr/bin/env", Args: append([]string{"env"}, argv...), Stdout: cmd.Stdout, Stderr: cmd.Stderr}
		}
	}
	delegated := delegate(t, "rootless-pods")
	userns := append(asUser(), "unshare", "--user", "--map-root-user")
	inMount := append(userns[:len(userns):len(userns)], "--mount")
	a.refuse(t, []refusal{
		{name: "user", args: []string{"pod", "create", "p"}, code: 1, change: within(asUser()...), words: []string{`create pod "p": must be root (effective uid is 54242), or root of a user namespace`}},
		{name: "host's mounts", args: []string{"pod", "create", "p"}, code: 1, change: within(userns...), words: []string{`create pod "p": root of a user namespace needs a mount namespace of its own`}},
		{name: "host's cgroups", args: []string{"pod", "create", "p"}, code: 1, change: within(inMount...), words: []string{`create pod "p": make a cgroup below "/sys/fs/cgroup": permission denied; a user namespace needs a cgroup that was delegated`}},
	})
	if _, err := os.Stat(mine + "/run"); err == nil {
		t.Error("what is refused makes a state root")
	}

	bundle := filepath.Join(mine, "bundle")
	shell(t, bundle, "exec busybox sleep 1000")
	giveAway(t, bundle)
	r := a.command(t, []string{"sh"}, func(cmd *exec.Cmd) {
		p := strings.Join([]string{bin, "--pod-root", mine + "/run", "--lib-root", mine + "/lib", "--log-root", mine + "/log"}, " ")
		script := `exec 2>&1; set -e; trap "` + p + ` pod rm -f p" EXIT
` + p + ` pod create --cgroup-parent /rootless-pods p >/dev/null
` + p + ` run -d --pod p --bundle ` + bundle + ` c1 >/dev/null
` + p + ` exec c1 busybox hostname
` + p + ` pod pause p; ` + p + ` pod resume p
` + p + ` pod ls | sed -n 's/.*\(Running\).*/\1/p'`
		cmd.Args = append(append(append([]string{"env"}, delegated...), inMount...), "sh", "-c", script)
		cmd.Path = "/usr/bin/env"
	})
	if r.code != 0 || r.stdout != "p\nRunning\n" {
		t.Errorf("a pod in a user namespace: exit code %d, %q; want 0 and %q", r.code, r.stdout, "p\nRunning\n")
	}
}
