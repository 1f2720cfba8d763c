package integration

import (
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// TestBadCommand gives containers commands that cannot be run. The message
// names the container and the command; the pod's exit code says which it was.
// What OCI verbs say is in TestOCICreateErrors.
func TestBadCommand(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), `{
		"podVersion": "0.1.0", "metadata": {"name": "p"}, "containers": [{"name": "good"}, {"name": "app", "overlay": true}]}`,
		map[string]string{"good": stays, "app": ends})
	root := dir + "/containers/app/rootfs"
	write(t, root+"/plain", "#!/bin/busybox sh\n")
	write(t, root+"/script", "#!/nonexistent\n")
	write(t, root+"/garbage", "no program")
	mkdir(t, root+"/dir")
	symlink(t, "/nonexistent", root+"/dangling")
	symlink(t, "loop", root+"/loop")
	for _, name := range []string{"script", "garbage"} {
		chmod(t, root+"/"+name, 0o755)
	}
	for i, tt := range []struct {
		name   string
		change func(*specs.Process)
		code   int
		word   string
	}{
		{"not in PATH", args("nonexistent"), 127, `exec: "nonexistent": executable file not found in $PATH`},
		{"no PATH", func(p *specs.Process) { p.Args, p.Env = []string{"busybox"}, nil }, 127, `exec: "busybox": executable file not found in $PATH`},
		{"missing", args("/nonexistent"), 127, `exec: "/nonexistent": stat /nonexistent: no such file or directory`},
		{"dangling symlink", args("/dangling"), 127, `exec: "/dangling": stat /dangling: no such file or directory`},
		{"missing below a file", args("/plain/x"), 126, `exec: "/plain/x": stat /plain/x: not a directory`},
		{"symlink loop", args("/loop"), 126, `exec: "/loop": stat /loop: too many levels of symbolic links`},
		{"not executable", args("/plain"), 126, `exec: "/plain": permission denied`},
		{"directory", args("/dir"), 126, `exec: "/dir": is a directory`},
		{"executable for others only", func(p *specs.Process) { p.Args, p.User.UID = []string{"/private"}, 1000 }, 126, `exec: "/private": permission denied`},
		{"cwd missing", func(p *specs.Process) { p.Cwd = "/plain" }, 125, "/plain"},
		{"unknown limit", func(p *specs.Process) { p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NONE"}} }, 125, "wrong rlimit value: RLIMIT_NONE"},
	} {
		write(t, root+"/private", "")
		chmod(t, root+"/private", 0o700)
		change := config(func(s *specs.Spec) {
			s.Process = &specs.Process{Args: []string{"/bin/busybox", "true"}, Env: []string{"PATH=/bin"}, Cwd: "/"}
			tt.change(s.Process)
		})
		change(t, dir)
		words := []string{`container "app": `, tt.word}
		ways := []refusal{
			{name: tt.name, args: []string{"pod", "run", dir}, code: tt.code, words: words},
			{name: tt.name + " -d", args: []string{"pod", "run", "-d", dir}, code: tt.code, words: words},
		}
		if brief() {
			ways = ways[i%2:][:1]
		}
		a.refuse(t, ways)
	}

	// What only the kernel can say, when the container's init is about to become
	// the command: the container has been started, and fails.
	podBundle(t, dir, smallPod(""), nil)
	for _, tt := range []struct{ path, word string }{
		{"/script", "exec /script: no such file or directory"},
		{"/garbage", "exec /garbage: exec format error"},
	} {
		config(func(s *specs.Spec) {
			s.Process = &specs.Process{Args: []string{tt.path}, Env: []string{"PATH=/bin"}, Cwd: "/"}
		})(t, dir)
		a.refuse(t, []refusal{
			{name: tt.path, args: []string{"pod", "run", dir}, code: 255, words: []string{"app | " + tt.word, `container "app" exited with status 255`}},
		})
		a.ok(t, "pod", "run", "-d", dir)
		r := a.ok(t, "pod", "wait", "p")
		if r.stdout != "app 255 exit\n" {
			t.Errorf("%s: wait prints %q", tt.path, r.stdout)
		}
		a.ok(t, "pod", "rm", "p")
	}
}

// TestBadExec starts one more process that cannot be.
func TestBadExec(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(""), map[string]string{"app": "exec sleep 1000"})
	root := dir + "/containers/app/rootfs"
	write(t, root+"/plain", "")
	a.ok(t, "pod", "run", "-d", dir)
	exec := func(args ...string) []string { return append([]string{"pod", "exec"}, args...) }
	a.refuse(t, []refusal{
		{name: "not in PATH", args: exec("p", "app", "nonexistent"), code: 255, words: []string{`exec: "nonexistent": executable file not found in $PATH`}},
		{name: "missing", args: exec("p", "app", "/nonexistent"), code: 255, words: []string{`exec: "/nonexistent": stat /nonexistent: no such file or directory`}},
		{name: "not executable", args: exec("p", "app", "/plain"), code: 255, words: []string{`exec: "/plain": permission denied`}},
		{name: "directory", args: exec("p", "app", "/bin"), code: 255, words: []string{`exec: "/bin": is a directory`}},
		{name: "cwd", args: exec("--cwd", "relative", "p", "app", "/bin/busybox"), code: 255, words: []string{"Cwd must be an absolute path"}},
		{name: "user", args: exec("--user", "nobody", "p", "app", "/bin/busybox"), code: 255, words: []string{"nobody"}},
		{name: "no command", args: exec("p", "app"), code: 255, words: []string{"exec args cannot be empty"}},
	})
	a.ok(t, "pod", "rm", "-f", "p")
}

// args are those of a process.
func args(args ...string) func(*specs.Process) {
	return func(p *specs.Process) { p.Args = args }
}
