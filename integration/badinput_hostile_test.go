package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestHostileSubPath has a container put a symbolic link where another container
// mounts a subPath of their volume.
func TestHostileSubPath(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	victim := filepath.Join(a.dir, "victim")
	mkdir(t, victim)
	media, targets := []string{"", "Memory"}, []string{victim, strings.Repeat("../", 30) + victim[1:], "/proc/self/root" + victim, "/"}
	if brief() {
		media, targets = media[1:], targets[:2]
	}
	for _, medium := range media {
		for _, target := range targets {
			t.Run(medium+" "+target, func(t *testing.T) {
				dir := podBundle(t, filepath.Join(t.TempDir(), "bundle"), fmt.Sprintf(`{
					"podVersion": "0.1.0", "metadata": {"name": "p"},
					"volumes": [{"name": "v", "emptyDir": {"medium": %q}}],
					"containers": [
						{"name": "evil", "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
						{"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/sub", "subPath": "a/b"}]}]}`, medium),
					map[string]string{
						"evil": "rm -rf /v/a && ln -s " + target + " /v/a && ln -s " + target + " /v/c",
						"app":  "echo written > /sub/file || exit 0",
					})
				a.ok(t, "pod", "run", "-d", dir)
				r := a.ok(t, "pod", "wait", "p")
				if !strings.HasPrefix(r.stdout, "evil 0 exit\n") {
					t.Fatalf("no link was planted: %v", r)
				}
				r = a.podrt(t, "pod", "start", "p")
				msg := messages(r)
				if r.code != 1 || !strings.Contains(msg, `container "app": `) || !strings.Contains(msg, `subPath "a/b"`) || !strings.Contains(msg, "a symlink leads out of the volume") {
					t.Errorf("exit code %d, message %q; want it refused", r.code, msg)
				}
				a.ok(t, "pod", "rm", "p")
			})
		}
	}
	wantEmpty(t, victim)
}

// TestHostileRoot has a root file system with a symbolic link to the host where
// podrt mounts something: that happens inside the root, or not at all.
func TestHostileRoot(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	victim := filepath.Join(a.dir, "victim")
	file := filepath.Join(a.dir, "file")
	mkdir(t, victim)
	write(t, file, "untouched")
	up := strings.Repeat("../", 30)
	const magic = "too many levels of symbolic links" // a link of procfs is none to follow
	for i, tt := range []struct {
		link, target string
		refused      string // or it runs
	}{
		{"data", victim, ""},
		{"data", up + victim[1:], ""},
		{"data", "/proc/self/root" + victim, magic},
		{"data", "/proc/1/root", magic},
		{"data", "loop", magic},
		{"deep", victim, ""},
		{"deep", up, ""},
		{"dev", victim, ""},
		{"etc", victim, ""},
		{"etc/hosts", file, ""},
		{"etc/hosts", "/proc/self/root" + file, magic},
		{"etc/hostname", victim + "/made", ""},
		{"proc", victim, `filesystem "proc" must be mounted on ordinary directory`},
	} {
		for _, overlay := range []bool{false, true} {
			if brief() && overlay == (i%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s to %s, overlay %t", tt.link, tt.target, overlay), func(t *testing.T) {
				dir := podBundle(t, filepath.Join(t.TempDir(), "bundle"), fmt.Sprintf(`{
					"podVersion": "0.1.0", "metadata": {"name": "p"},
					"volumes": [{"name": "v", "emptyDir": {}}],
					"containers": [{"name": "app", "overlay": %t, "volumeMounts": [
						{"name": "v", "mountPath": "/data"}, {"name": "v", "mountPath": "/deep/a/b", "subPath": "sub"}]}]}`, overlay),
					map[string]string{"app": "echo x > /data/x && echo y > /deep/a/b/y && echo > /dev/shm/s && hostname > /data/h; cat /data/x /data/sub/y"})
				root := filepath.Join(dir, "containers/app/rootfs")
				if strings.Contains(tt.link, "/") {
					mkdir(t, filepath.Dir(root+"/"+tt.link))
				}
				if tt.target == "loop" {
					symlink(t, "loop", root+"/loop")
				}
				symlink(t, tt.target, root+"/"+tt.link)
				r := a.podrt(t, "pod", "run", dir)
				if tt.refused != "" {
					if r.code != 125 || !strings.Contains(messages(r), tt.refused) {
						t.Errorf("exit code %d; want it refused: %v", r.code, r)
					}
				} else if r.code != 0 || r.stdout != "app | x\napp | y\n" {
					t.Errorf("exit code %d; want it to run inside its root: %v", r.code, r)
				}
				wantEmpty(t, victim)
				if b, err := os.ReadFile(file); err != nil || string(b) != "untouched" {
					t.Errorf("the host's file has %q, %v", b, err)
				}
			})
		}
	}
}

// TestHostileAncestor mounts what holds podrt's own state into a pod, as "/" and
// "/run" do: other pods come and go as if it were not there.
func TestHostileAncestor(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	oci := filepath.Join(a.dir, "oci")
	shell(t, oci, stays)
	full := crashPod(t, a, "full", stays)
	a.ok(t, "pod", "run", "-d", full) // before
	a.ok(t, "pod", "create", "--volume", a.dir+":/host", "--volume", "/:/root", "--volume", a.run+":/run", "--volume", a.lib+":/lib", "--volume", "memory:/m:memory", "all")
	a.ok(t, "create", "--pod", "all", "-b", oci, "c")
	for target, root := range mountTable(t) {
		if strings.Contains(target, "/volumes/volume-") && (strings.HasPrefix(root, "net:[") || strings.Contains(target, "/merged") || strings.Contains(target, "/volumes/memory")) {
			t.Errorf("in a volume there is %q, a mount of %q", target, root)
		}
	}
	a.ok(t, "pod", "rm", "-f", "p")
	a.ok(t, "pod", "run", "-d", full) // after
	a.ok(t, "pod", "rm", "-f", "p")
	a.ok(t, "pod", "rm", "-f", "all")
	if left := a.left(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// mountTable is the root of each mount in its file system, by mount point.
func mountTable(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 5 {
			table[f[4]] = f[3]
		}
	}
	return table
}

// TestBadHostPath gives hostPath volumes that are not what they should be.
func TestBadHostPath(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	host := filepath.Join(a.dir, "host")
	mkdir(t, host+"/dir")
	write(t, host+"/file", "")
	symlink(t, "dir", host+"/todir")
	symlink(t, "/etc", host+"/toetc")
	symlink(t, "missing", host+"/dangling")
	symlink(t, "loop", host+"/loop")
	l, err := net.Listen("unix", host+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := unix.Mkfifo(host+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, kind, want string }{
		{"none", "", `hostPath "HOST/none": no such file or directory`},
		{"none", "Directory", `hostPath "HOST/none": no such file or directory`},
		{"none", "File", `hostPath "HOST/none": no such file or directory`},
		{"none/file", "FileOrCreate", `HOST/none/file: no such file or directory`},
		{"file", "Directory", `hostPath "HOST/file" is a regular file: type Directory wants a directory`},
		{"file", "DirectoryOrCreate", `hostPath "HOST/file" is a regular file: type DirectoryOrCreate wants a directory`},
		{"file/x", "DirectoryOrCreate", `HOST/file`},
		{"dir", "File", `hostPath "HOST/dir" is a directory: type File wants a regular file`},
		{"dir", "FileOrCreate", `hostPath "HOST/dir" is a directory: type FileOrCreate wants a regular file`},
		{"dir", "Socket", `hostPath "HOST/dir" is a directory: type Socket wants a socket`},
		{"socket", "File", `hostPath "HOST/socket" is a socket: type File wants a regular file`},
		{"fifo", "CharDevice", `hostPath "HOST/fifo" is a FIFO: type CharDevice wants a character device`},
		{"file", "BlockDevice", `hostPath "HOST/file" is a regular file: type BlockDevice wants a block device`},
		{"todir", "File", `hostPath "HOST/todir" (resolved to "HOST/dir") is a directory: type File wants a regular file`},
		{"toetc", "Socket", `hostPath "HOST/toetc" (resolved to "/etc") is a directory: type Socket wants a socket`},
		{"dangling", "", `hostPath "HOST/dangling": no such file or directory`},
		{"loop", "", `hostPath "HOST/loop": too many levels of symbolic links`},
	} {
		pod := fmt.Sprintf(`{"podVersion": "0.1.0", "metadata": {"name": "p"}, "volumes": [
			{"name": "before", "emptyDir": {"medium": "Memory"}}, {"name": "h", "hostPath": {"path": %q, "type": %q}}]}`, host+"/"+tt.path, tt.kind)
		dir := podBundle(t, filepath.Join(a.dir, "bundle"), pod, nil)
		want := strings.ReplaceAll(tt.want, "HOST", host)
		a.refuse(t, []refusal{{name: tt.path + " " + tt.kind, args: []string{"pod", "run", dir}, code: 125, words: []string{`create pod "p": make volume "h": `, want}}})
	}
	if _, err := os.Lstat(host + "/none"); err == nil {
		t.Error("a hostPath was made")
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("the host's directory has got %q", e.Name())
	}
}
