package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mount returns a change that adds a mount.
func mount(m specs.Mount) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) }
}

// shown prints the options of the mount at a path, and of the one below it.
const shown = `awk '$5 == "/m" || $5 == "/m/sub" { print $5, $6 }' /proc/self/mountinfo`

// sourceTree is a directory with a file, and with a tmpfs mounted below it.
func sourceTree(t *testing.T, dir string) string {
	t.Helper()
	src := filepath.Join(dir, "src")
	sub := filepath.Join(src, "sub")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", sub, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(sub, 0); err != nil {
			t.Error(err)
		}
	})
	for _, f := range []string{filepath.Join(src, "file"), filepath.Join(sub, "file")} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(f, 1000, 2000); err != nil {
			t.Fatal(err)
		}
	}
	return src
}

func TestSpecMountOptions(t *testing.T) {
	b := newSpecBench(t, false)
	src := sourceTree(t, b.dir)
	bind := func(options ...string) func(*specs.Spec) {
		return mount(specs.Mount{Destination: "/m", Source: src, Type: "bind", Options: options})
	}
	var rows []specRow
	for options, want := range map[string]string{
		// One mount.
		"bind":                       "/m rw,relatime",
		"bind,ro":                    "/m ro,relatime",
		"bind,ro,rw":                 "/m rw,relatime",
		"bind,nosuid,nodev,noexec":   "/m rw,nosuid,nodev,noexec,relatime",
		"bind,nodev,dev,noexec,exec": "/m rw,relatime",
		"bind,nosuid,suid":           "/m rw,relatime",
		"bind,noatime":               "/m rw,noatime",
		"bind,noatime,atime":         "/m rw,relatime",
		"bind,strictatime":           "/m rw",
		"bind,nodiratime":            "/m rw,nodiratime,relatime",
		"bind,nosymfollow":           "/m rw,relatime,nosymfollow",
		"bind,nosymfollow,symfollow": "/m rw,relatime",
		// And what is mounted below it, which keeps its own options.
		"rbind":                            "/m rw,relatime /m/sub rw,relatime",
		"rbind,ro,nosuid":                  "/m ro,nosuid,relatime /m/sub rw,relatime",
		"rbind,rro":                        "/m ro,relatime /m/sub ro,relatime",
		"rbind,rnosuid":                    "/m rw,nosuid,relatime /m/sub rw,nosuid,relatime",
		"rbind,rnodev":                     "/m rw,nodev,relatime /m/sub rw,nodev,relatime",
		"rbind,rnoexec":                    "/m rw,noexec,relatime /m/sub rw,noexec,relatime",
		"rbind,rnodiratime":                "/m rw,nodiratime,relatime /m/sub rw,nodiratime,relatime",
		"rbind,rnoatime":                   "/m rw,noatime /m/sub rw,noatime",
		"rbind,rstrictatime":               "/m rw /m/sub rw",
		"rbind,noatime,rrelatime":          "/m rw,relatime /m/sub rw,relatime",
		"rbind,rnosymfollow":               "/m rw,relatime,nosymfollow /m/sub rw,relatime,nosymfollow",
		"rbind,rnosuid,rnodev,rnoexec,rro": "/m ro,nosuid,nodev,noexec,relatime /m/sub ro,nosuid,nodev,noexec,relatime",
		"rbind,ro,nosuid,nodev,noexec,nosymfollow,rrw,rsuid,rdev,rexec,rsymfollow,rdiratime": "/m rw,relatime /m/sub rw,relatime",
	} {
		rows = append(rows, specRow{
			name: options, spec: bind(strings.Split(options, ",")...),
			script: shown, want: strings.ReplaceAll(want, " /m/sub", "\n/m/sub"),
		})
	}
	for option, want := range map[string]string{
		"": "master", "private": "", "rprivate": "", "shared": "shared\nmaster", "rshared": "shared\nmaster",
		"slave": "master", "rslave": "master", "unbindable": "unbindable", "runbindable": "unbindable",
	} {
		rows = append(rows, specRow{
			name:   "propagation " + option,
			spec:   bind(slices.DeleteFunc([]string{"rbind", option}, func(s string) bool { return s == "" })...),
			script: propagated("/m"), want: want,
		})
	}
	// A slave is one of a shared mount.
	if err := unix.Mount(src, src, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(src, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mount("", src, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	b.run(t, rows)
}

// propagated prints the tags of a mount's propagation, without their numbers.
func propagated(path string) string {
	return `awk '$5 == "` + path + `" { for (i = 7; $i != "-"; i++) { sub(":.*", "", $i); print $i } }' /proc/self/mountinfo`
}

func TestSpecMounts(t *testing.T) {
	b := newSpecBench(t, false)
	src := sourceTree(t, b.dir)
	root := filepath.Join(b.bundle, "rootfs")
	for link, to := range map[string]string{"link": "/m", "up": "../../../m", "dangling": "/none/at/all", "proclink": "/proc/self"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	writable := func(s *specs.Spec) { s.Root.Readonly = false }
	owners := `stat -c %u:%g /m/file; stat -c %u:%g /m/sub/file 2>/dev/null || echo none`
	ids := func(from, to, size uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: from, HostID: to, Size: size}}
	}
	mapped := func(uids, gids []specs.LinuxIDMapping, options ...string) func(*specs.Spec) {
		return mount(specs.Mount{Destination: "/m", Source: src, Type: "bind", Options: options, UIDMappings: uids, GIDMappings: gids})
	}
	b.run(t, []specRow{
		// Mappings of ids: as of a user namespace, from what is on disk (container
		// ids) to what is seen (host ids).
		{name: "idmap", spec: mapped(ids(1000, 5000, 1), ids(2000, 6000, 1), "rbind", "idmap"), script: owners, want: "5000:6000\n1000:2000"},
		{name: "ridmap", spec: mapped(ids(1000, 5000, 1), ids(2000, 6000, 1), "rbind", "ridmap"), script: owners, want: "5000:6000\n5000:6000"},
		{name: "idmap implied", spec: mapped(ids(1000, 5000, 1), ids(2000, 6000, 1), "rbind"), script: owners, want: "5000:6000\n1000:2000"},
		{name: "idmap of several ranges", spec: mapped(
			append(ids(0, 100000, 1000), ids(1000, 5000, 1)...), append(ids(2000, 6000, 1), ids(0, 7, 1)...), "rbind", "idmap"), script: owners, want: "5000:6000\n1000:2000"},
		{name: "idmap leaves the others out", spec: mapped(ids(0, 0, 10), ids(0, 0, 10), "bind", "idmap"), script: owners, want: "65534:65534\nnone"},
		{name: "idmap of no gids", spec: mapped(ids(0, 1, 1), nil, "bind", "idmap"), err: "...id-mapped mounts must have both uid and gid mappings specified"},
		{name: "idmap of nothing", spec: mapped(nil, nil, "bind", "idmap"), err: "...id-mapped mounts must have both uid and gid mappings specified"},
		{name: "idmap of a new file system", spec: mount(specs.Mount{Destination: "/m", Type: "tmpfs", Source: "tmpfs", Options: []string{"idmap"}, UIDMappings: ids(0, 1, 1), GIDMappings: ids(0, 1, 1)}), err: "...id-mapped mounts are only supported for bind-mounts"},
		{name: "idmap of the user namespace", spec: func(s *specs.Spec) {
			mapped(nil, nil, "rbind", "idmap")(s)
			userNamespace(s, ids(0, 100000, 65536), ids(0, 200000, 65536))
		}, script: owners, want: "1000:2000\n65534:65534"},
		{name: "ridmap of the user namespace", spec: func(s *specs.Spec) {
			mapped(nil, nil, "rbind", "ridmap")(s)
			userNamespace(s, ids(0, 100000, 65536), ids(0, 200000, 65536))
		}, script: owners, want: "1000:2000\n1000:2000"},

		{
			name: "tmpfs", spec: mount(specs.Mount{Destination: "/m", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=64k", "mode=1777", "uid=3", "gid=4", "noexec"}}),
			script: `stat -c %a:%u:%g /m; grep -o ' /m .*' /proc/self/mountinfo | cut -d' ' -f3,5,7; dd if=/dev/zero of=/m/f bs=1k count=100 2>&1 | head -1`,
			want:   "1777:3:4\nrw,noexec,relatime tmpfs rw,size=64k,uid=3,gid=4\ndd: error writing '/m/f': No space left on device",
		},
		{
			name: "tmpfs with defaults", spec: mount(specs.Mount{Destination: "/m", Type: "tmpfs", Source: "tmpfs", Options: []string{"defaults", "size=64k", "nodev"}}),
			script: `grep -o ' /m .*' /proc/self/mountinfo | cut -d' ' -f3,5,7`, want: "rw,nodev,relatime tmpfs rw,size=64k,mode=755",
		},
		{name: "bind with defaults", spec: mount(specs.Mount{Destination: "/m", Source: src, Options: []string{"bind", "defaults"}}), script: "ls /m", want: "file\nsub"},
		{name: "tmpfs over what is there", spec: mount(specs.Mount{Destination: "/etc", Type: "tmpfs", Source: "tmpfs", Options: []string{"nodev"}}), script: "ls /etc", want: ""},
		{name: "tmpcopyup", spec: mount(specs.Mount{Destination: "/etc", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "rw"}}), script: "ls /etc; echo x > /etc/new && cat /etc/new", want: "group\npasswd\nx"},
		{name: "tmpcopyup of another type", spec: mount(specs.Mount{Destination: "/m", Source: src, Type: "bind", Options: []string{"bind", "tmpcopyup"}}), script: "ls /m", want: "file\nsub"},
		{name: "file onto a file", spec: mount(specs.Mount{Destination: "/etc/group", Source: src + "/file", Options: []string{"bind", "ro"}}), script: "cat /etc/group; echo x > /etc/group", want: "", code: 1},
		{name: "file onto nothing", spec: func(s *specs.Spec) {
			writable(s)
			mount(specs.Mount{Destination: "/new/dir/file", Source: src + "/file", Options: []string{"bind"}})(s)
		}, script: "stat -c %u /new/dir/file", want: "1000"},
		{name: "relative source", spec: mount(specs.Mount{Destination: "/m", Source: "../src", Options: []string{"bind"}}), script: "ls /m", want: "file\nsub"},
		{name: "relative destination", spec: mount(specs.Mount{Destination: "m", Source: src, Options: []string{"bind"}}), script: "ls /m", want: "file\nsub"},
		{name: "no source", spec: mount(specs.Mount{Destination: "/m", Source: b.dir + "/none", Options: []string{"bind"}}), err: "unable to start container process: error during container init: failed to fulfil mount request: open $DIR/none: no such file or directory"},
		{name: "unknown type", spec: mount(specs.Mount{Destination: "/m", Source: "none", Type: "nosuchfs"}), err: "...no such device"},
		{name: "data of a bind", spec: mount(specs.Mount{Destination: "/m", Source: src, Options: []string{"bind", "size=1"}}), err: "...bind mounts cannot have any filesystem-specific options applied"},

		// A hostile image's links.
		{name: "onto a link", spec: mount(specs.Mount{Destination: "/link", Source: src, Options: []string{"bind"}}), script: "ls /m", want: "file\nsub"},
		{name: "onto a link that leads up", spec: mount(specs.Mount{Destination: "/up", Source: src, Options: []string{"bind"}}), script: "ls /m", want: "file\nsub"},
		{name: "onto a link into nothing", spec: func(s *specs.Spec) {
			writable(s)
			mount(specs.Mount{Destination: "/dangling", Source: src, Options: []string{"bind"}})(s)
		}, script: "ls /none/at/all", want: "file\nsub"},
		{name: "into proc", spec: mount(specs.Mount{Destination: "/proc/self", Source: src, Options: []string{"bind"}}), err: "...because it is inside /proc"},
		{name: "into proc by a link", spec: mount(specs.Mount{Destination: "/proclink", Source: src, Options: []string{"bind"}}), err: "...because it is inside /proc"},
		{name: "over proc", spec: mount(specs.Mount{Destination: "/proc", Source: src, Options: []string{"bind"}}), err: "...cannot be mounted because it is not of type proc"},
		{name: "over the root", spec: mount(specs.Mount{Destination: "/", Source: src, Options: []string{"bind"}}), err: "...is on the top of rootfs"},

		{name: "cgroup", script: `awk '$5 == "/sys/fs/cgroup" { print $4, $6, $(NF-2) }' /proc/self/mountinfo; grep ^0: /proc/self/cgroup`, want: "/ ro,nosuid,nodev,noexec,relatime cgroup2\n0::/"},
		{
			name: "cgroup, writable", spec: func(s *specs.Spec) { mountAt(s, "/sys/fs/cgroup").Options = []string{"rw"} },
			script: `mkdir /sys/fs/cgroup/x && rmdir /sys/fs/cgroup/x && grep ^0: /proc/self/cgroup`, want: "0::/",
		},
		{name: "cgroup, of the host", spec: func(s *specs.Spec) {
			withoutNamespace(s, specs.CgroupNamespace)
			s.Linux.CgroupsPath = "/podrt-test-spec"
		}, script: `grep ' /sys/fs/cgroup ' /proc/self/mountinfo | cut -d' ' -f6; grep -c podrt-test-spec /proc/self/cgroup; mkdir /sys/fs/cgroup/x 2>&1`, want: "ro,nosuid,nodev,noexec,relatime\n1\nmkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system", code: 1},
		{name: "proc, hidden from others", spec: func(s *specs.Spec) { mountAt(s, "/proc").Options = []string{"nosuid", "hidepid=2"} }, script: `grep -o ' /proc .*' /proc/self/mountinfo | head -1 | cut -d' ' -f3,7`, want: "rw,nosuid,relatime rw,hidepid=invisible"},
		{name: "devpts of its own", script: `ls /dev/pts; ls -l /dev/ptmx | grep -o 'pts/ptmx'`, want: "ptmx\npts/ptmx"},
		{name: "mqueue", script: `stat -f -c %T /dev/mqueue`, want: "UNKNOWN"},
	})
}

func mountAt(s *specs.Spec, dst string) *specs.Mount {
	for i := range s.Mounts {
		if s.Mounts[i].Destination == dst {
			return &s.Mounts[i]
		}
	}
	return nil
}

// userNamespace puts a container into a user namespace of its own.
func userNamespace(s *specs.Spec, uids, gids []specs.LinuxIDMapping) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = uids, gids
	// Its root cannot look into the network namespace's sysfs unless that is its own, which it is.
	s.Root.Readonly = false
}

func TestSpecRootfs(t *testing.T) {
	b := newSpecBench(t, false)
	propagates := func(p string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.RootfsPropagation = p
			if p == "runbindable" { // nothing of it can be bound onto itself
				s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
			}
		}
	}
	// Something to be a slave of.
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
	var rows []specRow
	for p, want := range map[string]string{
		"": "", "private": "", "rprivate": "", "slave": "master", "rslave": "master",
		"shared": "shared", "rshared": "shared", "unbindable": "unbindable", "runbindable": "unbindable",
	} {
		rows = append(rows, specRow{name: "propagation " + p, spec: propagates(p), script: propagated("/"), want: want})
	}
	rows = append(rows, []specRow{
		{name: "unknown propagation", spec: propagates("sideways"), err: "rootfsPropagation=sideways is not supported"},
		{name: "read-only", script: "touch /x 2>&1", want: "touch: /x: Read-only file system", code: 1},
		{name: "writable", spec: func(s *specs.Spec) { s.Root.Readonly = false }, script: "touch /x && ls /x && rm /x", want: "/x"},
		{name: "missing", spec: func(s *specs.Spec) { s.Root.Path = "none" }, err: "invalid rootfs: stat $DIR/bundle/none: no such file or directory"},
		{name: "no root", spec: func(s *specs.Spec) { s.Root = nil }, err: "root must be specified"},
		{name: "absolute", spec: func(s *specs.Spec) { s.Root.Path = filepath.Join(b.bundle, "rootfs") }, script: "echo yes", want: "yes"},
		{
			name: "masked", spec: func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/proc/version", "/etc", "/none"} },
			script: "cat /proc/version; ls /etc; stat -c %F /proc/version; touch /etc/x 2>&1", want: "character special file\ntouch: /etc/x: Read-only file system", code: 1,
		},
		{name: "not masked", spec: func(s *specs.Spec) { s.Linux.MaskedPaths = nil }, script: "stat -c %F /proc/version; ls /etc", want: "regular empty file\ngroup\npasswd"},
		{name: "read-only paths", spec: func(s *specs.Spec) {
			s.Root.Readonly = false
			s.Linux.ReadonlyPaths = []string{"/proc/sys", "/etc", "/none"}
		}, script: "touch /etc/x 2>&1; echo 1 > /proc/sys/net/ipv4/ip_forward; touch /x && rm /x && echo root", want: "touch: /etc/x: Read-only file system\nroot"},
		{name: "restricted without a mount namespace", spec: func(s *specs.Spec) { withoutNamespace(s, specs.MountNamespace) }, err: "unable to restrict sys entries without a private MNT namespace"},
	}...)
	b.run(t, rows)
}

// TestSpecRootfsFlags: a root that is made read-only keeps what its mount had.
func TestSpecRootfsFlags(t *testing.T) {
	b := newSpecBench(t, false)
	root := filepath.Join(b.bundle, "rootfs")
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mount("", root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, ""); err != nil {
		t.Fatal(err)
	}
	const flags = `awk '$5 == "/" { print $6 }' /proc/self/mountinfo`
	b.run(t, []specRow{
		{name: "read-only", script: flags, want: "ro,nosuid,nodev,noatime"},
		{name: "writable", spec: func(s *specs.Spec) { s.Root.Readonly = false }, script: flags, want: "rw,nosuid,nodev,noatime"},
	})
}
