package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// object and list spell pod.json shorter.
type (
	object = map[string]any
	list   = []any
)

// TestPodVolumes: what one container writes to a volume of the pod the other
// reads, where and as far as its mounts say; a container's own mounts are its
// own.
func TestPodVolumes(t *testing.T) {
	w := newWorld(t)
	host := filepath.Join(w.dir, "host")
	if err := os.MkdirAll(filepath.Join(host, "sub/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(host, "greeting"), "from the host")
	writeFile(t, filepath.Join(host, "sub/dir/deep"), "deep")
	pod := w.podOf(t, bundle.Pod{"volumes": list{
		object{"name": "disk", "emptyDir": object{}},
		object{"name": "memory", "emptyDir": object{"medium": "Memory", "sizeLimit": 64 << 10}},
		object{"name": "host", "hostPath": object{"path": host, "type": "Directory"}},
		object{"name": "new", "hostPath": object{"path": filepath.Join(w.dir, "new"), "type": "DirectoryOrCreate"}},
		object{"name": "file", "hostPath": object{"path": filepath.Join(host, "greeting"), "type": "File"}},
	}}, bundle.Container{Name: "a", Member: object{"volumeMounts": list{
		object{"name": "disk", "mountPath": "/disk"},
		object{"name": "memory", "mountPath": "/memory"},
		object{"name": "host", "mountPath": "/host"},
		object{"name": "new", "mountPath": "/new"},
	}}}, bundle.Container{Name: "b", Member: object{"volumeMounts": list{
		object{"name": "disk", "mountPath": "/elsewhere/disk", "readOnly": true},
		object{"name": "memory", "mountPath": "/memory"},
		object{"name": "host", "mountPath": "/deep", "subPath": "sub/dir", "readOnly": true},
		object{"name": "file", "mountPath": "/greeting", "readOnly": true},
	}}})
	uid := w.start(t, pod)
	a, b := w.agent(t, "p", "a"), w.agent(t, "p", "b")

	t.Run("emptyDir", func(t *testing.T) {
		a.ask(t, "write", "/disk/x", "on disk")
		b.want(t, "on disk", "read", "/elsewhere/disk/x")
		b.refused(t, "EROFS", "write", "/elsewhere/disk/y", "")
		b.refused(t, "EROFS", "open-write", "/elsewhere/disk/x")
		b.refused(t, "ENOENT", "read", "/disk/x")
	})
	t.Run("memory", func(t *testing.T) {
		a.ask(t, "write", "/memory/x", "in memory")
		b.want(t, "in memory", "read", "/memory/x")
		// 16 pages for all containers together, and one holds the above.
		b.want(t, "40960 OK", "fill", "/memory/b", "40960")
		a.want(t, "20480 ENOSPC", "fill", "/memory/a", "1000000")
	})
	t.Run("hostPath", func(t *testing.T) {
		a.want(t, "from the host", "read", "/host/greeting")
		b.want(t, "from the host", "read", "/greeting")
		b.refused(t, "EROFS", "open-write", "/greeting")
		b.want(t, "deep", "read", "/deep/deep")
		b.refused(t, "EROFS", "open-write", "/deep/deep")
		b.refused(t, "ENOENT", "read", "/deep/../host/greeting")
		a.ask(t, "write", "/host/answer", "from a")
		if got := readFile(t, filepath.Join(host, "answer")); got != "from a" {
			t.Errorf("the host reads %q; want %q", got, "from a")
		}
		a.ask(t, "write", "/new/x", "")
		if _, err := os.Stat(filepath.Join(w.dir, "new/x")); err != nil {
			t.Error(err)
		}
	})
	t.Run("mount namespaces", func(t *testing.T) {
		own := ownNamespace(t, "mnt")
		if a, b := a.namespaces(t)["mnt"], b.namespaces(t)["mnt"]; a == b || a == own || b == own {
			t.Errorf("mount namespaces %s and %s, the host's %s; want three", a, b, own)
		}
		if mounts := b.ask(t, "read", "/proc/self/mounts"); strings.Contains(mounts, " /host ") || !strings.Contains(mounts, " /elsewhere/disk ") {
			t.Errorf("mounts of b: %s; want its own and not a's", mounts)
		}
	})

	w.ok(t, "pod", "rm", "-f", "p")
	if got := readFile(t, filepath.Join(host, "answer")); got != "from a" {
		t.Errorf("after the pod a hostPath's file holds %q; want %q", got, "from a")
	}
	if _, err := os.Stat(filepath.Join(w.lib, "pods", uid)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the pod its volumes on disk: %v; want none", err)
	}
}

// TestPodVolumeForAll: --volume reaches containers that are added later.
func TestPodVolumeForAll(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--volume", "data:/data", "--volume", "tmp:/cache:memory,size=8k,ro")
	a := w.add(t, "p", "a")
	a.ask(t, "write", "/data/x", "kept")
	a.refused(t, "EROFS", "write", "/cache/x", "")
	w.ok(t, "delete", "--force", "p-a")
	w.add(t, "p", "b").want(t, "kept", "read", "/data/x")
}

// TestPodVolumeOfBundle: what is in the bundle can be a volume, which nobody writes to,
// and nothing that is outside of it.
func TestPodVolumeOfBundle(t *testing.T) {
	w := newWorld(t)
	of := func(path string) string {
		dir := w.podOf(t, bundle.Pod{"volumes": list{object{"name": "v", "bundlePath": object{"path": path}}}},
			bundle.Container{Name: "a", Member: object{"volumeMounts": list{object{"name": "v", "mountPath": "/v"}}}})
		if err := os.MkdirAll(filepath.Join(dir, "files/sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "files/sub/x"), "of the bundle")
		for name, to := range map[string]string{"within": "files", "out": "../../etc"} {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	uid := w.start(t, of("within/sub"))
	a := w.agent(t, "p", "a")
	a.want(t, "of the bundle", "read", "/v/x")
	a.refused(t, "EROFS", "write", "/v/y", "")
	w.ok(t, "pod", "rm", "-f", uid)
	for path, words := range map[string][]string{
		"files/none": {"volumes[0].bundlePath.path", "files/none", "no such file"},
		"out":        {"volumes[0].bundlePath.path", "out", "leaves the pod bundle"},
	} {
		w.fails(t, 125, words, "pod", "run", "-d", of(path))
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pods there is %q", left)
	}
}

// TestPodVolumePropagation: a mount of the host's comes into the container that asked
// for it, and read-only is for what is below as well where that was asked for.
func TestPodVolumePropagation(t *testing.T) {
	w := newWorld(t)
	host := filepath.Join(w.dir, "host")
	if err := os.Mkdir(host, 0o755); err != nil {
		t.Fatal(err)
	}
	mustMount(t, "tmpfs", host, "tmpfs", 0, "")
	if err := unix.Mount("", host, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before", "later"} {
		if err := os.Mkdir(filepath.Join(host, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustMount(t, "tmpfs", filepath.Join(host, "before"), "tmpfs", 0, "")
	uid := w.start(t, w.podOf(t, bundle.Pod{"volumes": list{object{"name": "v", "hostPath": object{"path": host}}}},
		bundle.Container{Name: "a", Member: object{"volumeMounts": list{
			object{"name": "v", "mountPath": "/none"},
			object{"name": "v", "mountPath": "/slave", "mountPropagation": "HostToContainer"},
			object{"name": "v", "mountPath": "/ro", "readOnly": true},
			object{"name": "v", "mountPath": "/rro", "readOnly": true, "recursiveReadOnly": true},
		}}}))
	a := w.agent(t, "p", "a")
	mustMount(t, "tmpfs", filepath.Join(host, "later"), "tmpfs", 0, "")
	writeFile(t, filepath.Join(host, "later/x"), "of the host")
	a.want(t, "of the host", "read", "/slave/later/x")
	a.refused(t, "ENOENT", "read", "/none/later/x")
	a.refused(t, "EROFS", "write", "/ro/y", "")
	a.ask(t, "write", "/ro/before/y", "")
	a.refused(t, "EROFS", "write", "/rro/before/y", "")
	w.ok(t, "pod", "rm", "-f", uid)
}

// TestPodOverlay: with an overlay a container writes to its root and the bundle
// stays as it was; the next run starts afresh.
func TestPodOverlay(t *testing.T) {
	w := newWorld(t)
	writable := func(s *specs.Spec) { s.Root.Readonly = false }
	dir := w.podOf(t, nil,
		bundle.Container{Name: "over", Member: object{"overlay": true}, Spec: w.serve("p", "over", writable)},
		bundle.Container{Name: "plain", Spec: w.serve("p", "plain", writable)},
		bundle.Container{Name: "readonly"})
	root := func(name string) string { return filepath.Join(dir, "containers", name, "rootfs") }
	before := tree(t, root("over"))
	w.start(t, dir)
	over, plain := w.agent(t, "p", "over"), w.agent(t, "p", "plain")
	for _, agent := range []*agent{over, plain} {
		agent.ask(t, "write", "/made", "by "+agent.name)
		agent.ask(t, "write", "/etc/passwd", "changed")
		agent.want(t, "changed", "read", "/etc/passwd")
	}
	w.agent(t, "p", "readonly").refused(t, "EROFS", "write", "/made", "")
	if after := tree(t, root("over")); after != before {
		t.Errorf("the bundle under the overlay:\n%s\nbefore:\n%s", after, before)
	}
	if got := readFile(t, filepath.Join(root("plain"), "made")); got != "by p/plain" {
		t.Errorf("the bundle without an overlay: /made holds %q; want %q", got, "by p/plain")
	}
	w.ok(t, "pod", "stop", "-t", "0", "p")
	for _, name := range []string{"over", "plain", "readonly"} {
		w.forget("p", name)
	}
	w.ok(t, "pod", "start", "p")
	w.agent(t, "p", "over").refused(t, "ENOENT", "read", "/made")
	w.agent(t, "p", "plain").want(t, "by p/plain", "read", "/made")
}

// tree describes the files below dir: names, kinds, sizes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if len(text) < 100 {
				b.Write(text)
			}
		}
		b.WriteString(strings.TrimPrefix(path, dir) + " " + info.Mode().String() + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
