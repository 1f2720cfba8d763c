package integration

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// rootTar is a busybox root with the probe, as a tar.
func (a *arena) rootTar(t *testing.T) string {
	t.Helper()
	root := filepath.Join(a.dir, "image-root")
	if err := bundle.Root(root); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(root + ".tar")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// importRoot makes the image localhost/root of a busybox root, and returns its digest.
func (a *arena) importRoot(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(a.ok(t, "image", "import", a.rootTar(t), "localhost/root").stdout)
}

// ofImage is a container of an image.
func ofImage(name, digest string, spec *specs.Spec) bundle.Container {
	return bundle.Container{Name: name, Member: object{"image": digest}, Spec: spec}
}

// writable lets a container write to its root, which it may not in a [bundle.Spec].
func writable(s *specs.Spec) { s.Root.Readonly = false }

// withoutRoots takes the root directories out of a pod bundle: its containers' are
// images.
func withoutRoots(t *testing.T, dir string) string {
	t.Helper()
	roots, err := filepath.Glob(filepath.Join(dir, "containers/*/rootfs"))
	if err != nil || len(roots) == 0 {
		t.Fatalf("root directories of %q: %q, %v", dir, roots, err)
	}
	for _, root := range roots {
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPodImage: containers and pods of one image do not see what the others write,
// nor what they wrote themselves before they were started again; and the image stays
// as long as a pod has it.
func TestPodImage(t *testing.T) {
	w := newWorld(t)
	digest := w.importRoot(t)
	dir := withoutRoots(t, w.podOf(t, bundle.Pod{"restartPolicy": "Always", "restartBackOff": object{"initialSeconds": 1}},
		ofImage("a", digest, w.serve("p", "a", writable)), ofImage("b", digest, w.serve("p", "b", writable)), ofImage("c", digest, nil)))
	w.start(t, dir)
	a, b, c := w.agent(t, "p", "a"), w.agent(t, "p", "b"), w.agent(t, "p", "c")
	a.ask(t, "write", "/x", "a's")
	a.ask(t, "write", "/etc/passwd", "a's")
	b.refused(t, "ENOENT", "read", "/x")
	b.want(t, "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false", "read", "/etc/passwd")
	c.refused(t, "EROFS", "write", "/x", "")

	q := withoutRoots(t, w.podOf(t, nil, ofImage("a", digest, w.serve("q", "a", writable))))
	w.ok(t, "pod", "run", "--detach", "--name", "q", q)
	w.agent(t, "q", "a").refused(t, "ENOENT", "read", "/x")

	// Again, and anew: it ends with its connection.
	w.forget("p", "a")
	a = w.agent(t, "p", "a")
	a.refused(t, "ENOENT", "read", "/x")
	a.ask(t, "write", "/x", "again")

	w.fails(t, 1, []string{`image is in use by pods "`, `"p"`, `"q"`, digest}, "image", "rm", "localhost/root")
	w.ok(t, "pod", "rm", "-f", "q")
	w.fails(t, 1, []string{`image is in use by pod "p"`}, "image", "rm", digest)
	for _, name := range []string{"a", "b", "c"} {
		w.forget("p", name)
	}
	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.fails(t, 1, []string{`image is in use by pod "p"`}, "image", "rm", digest[len("sha256:"):][:12])
	w.ok(t, "pod", "start", "p")
	w.agent(t, "p", "a").refused(t, "ENOENT", "read", "/x")
	w.ok(t, "pod", "rm", "-f", "p")

	if got := w.ok(t, "image", "ls", "-q").stdout; got != digest+"\n" {
		t.Errorf("image ls -q: %q; want %q", got, digest)
	}
	var infos []struct {
		Digest string
		Names  []string
		Config struct{ OS string }
	}
	out := w.ok(t, "image", "inspect", "localhost/root").stdout
	if err := json.Unmarshal([]byte(out), &infos); err != nil || len(infos) != 1 || infos[0].Digest != digest || infos[0].Names[0] != "localhost/root:latest" || infos[0].Config.OS != "linux" {
		t.Errorf("image inspect: %v, %s; want the image", err, out)
	}
	w.ok(t, "image", "rm", "localhost/root")
	if got := w.ok(t, "image", "ls", "--format", "json").stdout; got != "[]\n" {
		t.Errorf("image ls: %q; want none", got)
	}
}

// TestPodImageRefused: what is not there, or not whole, is said before anything is
// made.
func TestPodImageRefused(t *testing.T) {
	w := newWorld(t)
	none := "sha256:" + strings.Repeat("a", 64)
	dir := withoutRoots(t, w.podOf(t, nil, ofImage("a", none, nil)))
	w.fails(t, 125, []string{`container "a"`, none, "is not in the store"}, "pod", "run", dir)
	digest := w.importRoot(t)
	dir = withoutRoots(t, w.podOf(t, nil, ofImage("a", digest, nil), ofImage("b", none, nil)))
	w.fails(t, 125, []string{`container "b"`, none, "is not in the store"}, "pod", "run", "-d", dir)

	layers, err := filepath.Glob(filepath.Join(w.lib, "images/layers/*"))
	if err != nil || len(layers) != 1 {
		t.Fatalf("layers %q, %v; want one", layers, err)
	}
	if err := os.Rename(layers[0], layers[0]+".away"); err != nil {
		t.Fatal(err)
	}
	dir = withoutRoots(t, w.podOf(t, nil, ofImage("a", digest, nil)))
	w.fails(t, 125, []string{digest, "is damaged", layers[0]}, "pod", "run", dir)
	if pods := w.ok(t, "pod", "ls", "--quiet").stdout; pods != "" {
		t.Errorf("pods %q; want none", pods)
	}
	if err := os.Rename(layers[0]+".away", layers[0]); err != nil {
		t.Fatal(err)
	}
	w.ok(t, "image", "rm", digest)
	w.fails(t, 1, []string{"podrt image fly: there is no such command"}, "image", "fly")
	w.fails(t, 1, []string{`image "docker.io/library/none:latest": no such image`}, "image", "rm", "none")
}

// TestPodImageUser: in a pod with a user namespace the image's root is the pod's, and
// what it writes the host's somebody's.
func TestPodImageUser(t *testing.T) {
	w := newWorld(t)
	rung.NeedKernel(t, "6.3", "idmapped mounts of tmpfs, on which this test is")
	digest := w.importRoot(t)
	const first = 100000
	mappings := list{object{"containerID": 0, "hostID": first, "size": 65536}}
	dir := withoutRoots(t, w.podOf(t, bundle.Pod{"userNamespace": object{"uidMappings": mappings, "gidMappings": mappings}},
		ofImage("a", digest, w.serve("p", "a", writable)), ofImage("b", digest, nil)))
	w.start(t, dir)
	a := w.agent(t, "p", "a")
	a.ask(t, "write", "/etc/passwd", "mine")
	a.want(t, "mine", "read", "/etc/passwd")
	w.agent(t, "p", "b").want(t, "root:x:0:\nnogroup:x:65534:", "read", "/etc/group")
	upper := filepath.Join(w.lib, "pods", w.inspect(t, "p").UID, "containers/a/upper/etc/passwd")
	if got := owner(t, upper); got != first {
		t.Errorf("what the pod's root has changed is owned by %d; want %d", got, first)
	}
	layers, err := filepath.Glob(filepath.Join(w.lib, "images/layers/*/etc/passwd"))
	if err != nil || len(layers) != 1 || owner(t, layers[0]) != 0 {
		t.Errorf("the layer's files %q, %v; want one, of the host's root", layers, err)
	}
	w.ok(t, "pod", "rm", "-f", "p")
	w.ok(t, "image", "rm", digest)
}

// TestCrashImage kills what adds and removes images, and what runs a pod of one.
func TestCrashImage(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	for _, dir := range []string{filepath.Dir(a.dir), a.dir} { // for a user namespace's root, as in newWorld
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	a.makeRoots(t)
	root := a.rootTar(t)
	a.ok(t, "image", "ls")
	added := func(t *testing.T, a *arena) { a.ok(t, "image", "import", root, "localhost/root") }
	gone := func(t *testing.T, a *arena) {
		t.Helper()
		for _, digest := range strings.Fields(a.ok(t, "image", "ls", "-q").stdout) {
			succeed(t, a, "image", "rm", digest)
		}
		succeed(t, a, "image", "prune")
	}
	for _, c := range []crash{
		{name: "import", target: mainProcess, args: []string{"image", "import", root, "localhost/root"}, check: wantKilled, remove: gone},
		{name: "rm", target: mainProcess, prepare: added, args: []string{"image", "rm", "localhost/root"}, check: wantKilled, remove: gone},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, a) })
	}
	a.images = true
	digest := a.importRoot(t)
	mappings := `[{"containerID": 0, "hostID": 100000, "size": 65536}]`
	pod := func(name, more string) string {
		return withoutRoots(t, podBundle(t, filepath.Join(a.dir, name), `{"podVersion": "0.1.0", "metadata": {"name": "p"}, `+more+`
			"containers": [{"name": "one", "image": "`+digest+`"}]}`, map[string]string{"one": ends}))
	}
	for _, c := range []crash{
		{name: "run", target: mainProcess, args: []string{"pod", "run", pod("plain", "")}, check: wantKilled},
		{name: "run with a user namespace", target: mainProcess, args: []string{
			"pod", "run", pod("user", `"userNamespace": {"uidMappings": `+mappings+`, "gidMappings": `+mappings+`},`),
		}, check: wantKilled},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, a) })
	}
	a.images = false
	gone(t, a)
}
