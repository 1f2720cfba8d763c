package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestBadBoot has a pod of before a reboot: its pins are gone by definition, and
// its record says so. What the kernel has of it here is what a test of a reboot
// cannot help.
func TestBadBoot(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(""), map[string]string{"app": ends})
	oci := filepath.Join(a.dir, "oci")
	shell(t, oci, ends)
	a.ok(t, "pod", "run", "-d", dir)
	a.ok(t, "pod", "wait", "p")
	awaitIdle(t)
	changeRecord(t, a, "p", func(rec map[string]any) { rec["bootID"] = "00000000-0000-0000-0000-000000000000" })

	const lost = `pod "p": pod was made before the last boot and its namespaces are gone; remove it with: podrt pod rm`
	a.refuse(t, []refusal{
		{name: "start", args: []string{"pod", "start", "p"}, code: 1, words: []string{lost}},
		{name: "pause", args: []string{"pod", "pause", "p"}, code: 1, words: []string{lost}},
		{name: "resume", args: []string{"pod", "resume", "p"}, code: 1, words: []string{lost}},
		{name: "stats", args: []string{"pod", "stats", "p"}, code: 1, words: []string{lost}},
		{name: "update", args: []string{"pod", "update", "--pids-limit", "9", "p"}, code: 1, words: []string{lost}},
		{name: "kill", args: []string{"pod", "kill", "-s", "TERM", "p"}, code: 1, words: []string{`kill pod "p": no container is running`}},
		{name: "exec", args: []string{"pod", "exec", "p", "app", "/bin/busybox", "true"}, code: 255, words: []string{"cannot exec in a stopped container"}},
		{name: "create --pod", args: []string{"create", "--pod", "p", "-b", oci, "c"}, code: 1, words: []string{lost}},
		{name: "join", args: []string{"pod", "create", "--network", "container:p", "q"}, code: 1, words: []string{"join network: " + lost}},
		{name: "name", args: []string{"pod", "create", "p"}, code: 1, words: []string{"pod with that name exists"}},
	})
	wantDead(t, a, "p", "before the last boot")
	if r := a.ok(t, "pod", "wait", "p"); r.stdout != "app 0 exit\n" {
		t.Errorf("pod wait prints %q; its end is on record", r.stdout)
	}
	a.ok(t, "pod", "stop", "p")
	a.ok(t, "pod", "ps", "p")
	a.ok(t, "pod", "rm", "p")
	if left := a.left(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestRebooted removes a pod of which the kernel has nothing any more, and the
// file systems in memory neither: as after a reboot where the run root is on
// disk.
func TestRebooted(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	dir := crashPod(t, a, "bundle", stays)
	saved := filepath.Join(a.dir, "saved")
	a.ok(t, "pod", "run", "-d", dir)
	// What a disk keeps; without what is mounted there.
	for _, root := range []string{a.run, a.lib} {
		copyTree(t, root, filepath.Join(saved, filepath.Base(root)))
	}
	a.ok(t, "pod", "rm", "-f", "p")
	a.unmountRun(t)
	for _, root := range []string{a.run, a.lib} {
		removeAll(t, root)
		if err := os.Rename(filepath.Join(saved, filepath.Base(root)), root); err != nil {
			t.Fatal(err)
		}
	}
	changeRecord(t, a, "p", func(rec map[string]any) { rec["bootID"] = "00000000-0000-0000-0000-000000000000" })
	wantDead(t, a, "p", "before the last boot")
	a.ok(t, "pod", "rm", "p")
	if left := a.left(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	a.ok(t, "pod", "create", "p")
	a.ok(t, "pod", "rm", "p")
}

// TestBadPin takes a pod's pins away, or puts others in their place: nobody gets
// into another pod's network for it.
func TestBadPin(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	oci := filepath.Join(a.dir, "oci")
	shell(t, oci, stays)
	a.ok(t, "pod", "create", "other")
	const gone, another = "the namespace is gone", "it is another namespace"
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, pin string)
		why    string
	}{
		{"unmounted", unmount, gone},
		{"file deleted", func(t *testing.T, pin string) { unmount(t, pin); removeAll(t, pin) }, gone},
		{"deleted from outside", func(t *testing.T, pin string) {
			// Where the pin is not mounted its file can be unlinked, and it goes
			// where it is.
			inMountNamespace(t, "sh", "-c", `umount "$0" && rm "$0"`, pin)
		}, gone},
		{"plain file", func(t *testing.T, pin string) { unmount(t, pin); write(t, pin, "") }, gone},
		{"symlink", func(t *testing.T, pin string) { unmount(t, pin); symlink(t, "/proc/self/ns/net", pin) }, gone},
		{"replaced by another pod's", func(t *testing.T, pin string) {
			unmount(t, pin)
			bind(t, strings.TrimSpace(podDir(t, a, "other"))+"/ns/net", pin)
		}, another},
		{"covered by the host's", func(t *testing.T, pin string) { bind(t, "/proc/self/ns/net", pin) }, another},
		{"covered by another kind", func(t *testing.T, pin string) { bind(t, "/proc/self/ns/uts", pin) }, another},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a.ok(t, "pod", "create", "p")
			a.ok(t, "create", "--pod", "p", "-b", oci, "old")
			pin := podDir(t, a, "p") + "/ns/net"
			tt.damage(t, pin)
			words := []string{`pod "p": verify net pin "` + pin + `": ` + tt.why}
			a.refuse(t, []refusal{
				{name: "create", args: []string{"create", "--pod", "p", "-b", oci, "c"}, code: 1, words: words},
				{name: "run", args: []string{"run", "--pod", "p", "-b", oci, "c"}, code: 1, words: words},
				{name: "join", args: []string{"pod", "create", "--network", "container:p", "q"}, code: 1, words: words},
				{name: "start", args: []string{"pod", "start", "p"}, code: 1, words: words},
			})
			wantDead(t, a, "p", tt.why)
			a.ok(t, "pod", "rm", "-f", "p")
		})
	}
	a.ok(t, "pod", "rm", "other")
}

// TestBadJoin removes a pod whose network another one has joined.
func TestBadJoin(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	oci := filepath.Join(a.dir, "oci")
	shell(t, oci, stays)
	a.ok(t, "pod", "create", "target")
	a.ok(t, "pod", "create", "--network", "container:target", "joiner")
	a.ok(t, "pod", "create", "--network", "host", "hosted")
	a.refuse(t, []refusal{
		{name: "rm", args: []string{"pod", "rm", "target"}, code: 1, words: []string{`remove pod "target": pod "joiner" has joined its network; remove that one first or use force`}},
		{name: "join a pod on the host's network", args: []string{"pod", "create", "--network", "container:hosted", "q"}, code: 1, words: []string{`join network of pod "hosted": it uses the host's network and has none of its own`}},
		{name: "join itself", args: []string{"pod", "create", "--network", "container:q", "q"}, code: 1, words: []string{`pod "q": pod does not exist`}},
	})
	a.ok(t, "pod", "rm", "-f", "target")
	a.ok(t, "create", "--pod", "joiner", "-b", oci, "c") // has its own pin
	a.ok(t, "pod", "rm", "-f", "joiner", "hosted")
}

// podDir is where a pod's state is.
func podDir(t *testing.T, a *arena, name string) string {
	t.Helper()
	uid, err := os.Readlink(filepath.Join(a.run, "names", name))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(a.run, "pods", uid)
}

// changeRecord rewrites a pod's record as podrt does.
func changeRecord(t *testing.T, a *arena, name string, change func(map[string]any)) {
	t.Helper()
	changeJSON(t, filepath.Join(podDir(t, a, name), "pod.json"), change)
}

// changeJSON rewrites a file that holds an object.
func changeJSON(t *testing.T, path string, change func(map[string]any)) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(readFile(t, path)), &object); err != nil {
		t.Fatal(err)
	}
	change(object)
	writeJSON(t, path, object)
}

// wantDead looks at what inspect and ls say of a pod.
func wantDead(t *testing.T, a *arena, pod, reason string) {
	t.Helper()
	var st []struct{ Phase, Reason string }
	r := a.ok(t, "pod", "inspect", pod)
	if err := json.Unmarshal([]byte(r.stdout), &st); err != nil || len(st) != 1 {
		t.Fatalf("%v: %v", err, r)
	}
	const phase = "Dead"
	if st[0].Phase != phase || !strings.Contains(st[0].Reason, reason) {
		t.Errorf("inspect: phase %q for %q; want %q for %q", st[0].Phase, st[0].Reason, phase, reason)
	}
	if r := a.ok(t, "pod", "ls"); !strings.Contains(r.stdout, phase) {
		t.Errorf("ls: no %q: %v", phase, r)
	}
}

func unmount(t *testing.T, path string) {
	t.Helper()
	if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
		t.Fatalf("umount %q: %v", path, err)
	}
}

func bind(t *testing.T, source, target string) {
	t.Helper()
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("bind %q on %q: %v", source, target, err)
	}
}

// inMountNamespace runs a command in a mount namespace of its own.
func inMountNamespace(t *testing.T, argv ...string) {
	t.Helper()
	a := arena{dir: t.TempDir()}
	r := a.command(t, append([]string{"unshare", "-m", "--propagation", "private"}, argv...), nil)
	if r.code != 0 {
		t.Fatalf("exit code %d: %v", r.code, r)
	}
}

// copyTree copies what is in the file system of dir itself.
func copyTree(t *testing.T, dir, to string) {
	t.Helper()
	mkdir(t, to)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		dst := filepath.Join(to, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		mounted := info.Sys().(*syscall.Stat_t).Dev != st.Dev
		switch {
		case rel == ".":
			return nil
		case d.IsDir():
			if err := os.Mkdir(dst, info.Mode().Perm()); err != nil || !mounted {
				return err
			}
			return filepath.SkipDir
		case d.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, dst)
		case mounted, !d.Type().IsRegular():
			return os.WriteFile(dst, nil, 0o600)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(dst, b, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}
