package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestProgramFile starts containers with a podrt whose file is not a plain one
// on a plain path: each container's init is to be podrt all the same.
func TestProgramFile(t *testing.T) {
	o := newOCI(t, "ls /proc/self/fd; exit 7")
	program := o.bin
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		path func(t *testing.T) string
	}{
		{"symbolic link", func(t *testing.T) string {
			path := filepath.Join(dir, "link")
			symlink(t, program, path)
			return path
		}},
		{"odd name", func(t *testing.T) string { return copyTo(t, program, filepath.Join(dir, `a:b,c\d e`, "(deleted)")) }},
		{"execute only", func(t *testing.T) string {
			path := copyTo(t, program, filepath.Join(dir, "x"))
			if err := os.Chmod(path, 0o111); err != nil {
				t.Fatal(err)
			}
			return path
		}},
		{"read-only file system", func(t *testing.T) string {
			at := tmpfsAt(t, filepath.Join(dir, "ro"))
			path := copyTo(t, program, filepath.Join(at, "podrt"))
			if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			return path
		}},
		{"bound onto an empty file", func(t *testing.T) string {
			path := filepath.Join(dir, "bound")
			write(t, path, "")
			bindTo(t, program, path)
			return path
		}},
		{"bound onto another program", func(t *testing.T) string {
			path := copyTo(t, "/bin/busybox", filepath.Join(dir, "busybox"))
			bindTo(t, program, path)
			return path
		}},
		{"directory covered", func(t *testing.T) string {
			at := tmpfsAt(t, filepath.Join(dir, "covered"))
			f, err := os.Open(copyTo(t, program, filepath.Join(at, "podrt")))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			copyTo(t, "/bin/busybox", filepath.Join(tmpfsAt(t, at), "podrt"))
			// By descriptor: what has the name is another file.
			return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o.bin = tt.path(t)
			if r := o.call("run", "c1"); r.code != 7 || r.stderr != "" || strings.Join(strings.Fields(r.stdout), " ") != "0 1 2 3" {
				t.Errorf("run = %+v; want exit code 7 and descriptors 0 to 2, and that of ls", r)
			}
		})
	}
	o.bin = program
}

// TestProgramReplaced upgrades and removes the program while containers run.
func TestProgramReplaced(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	nativeOnly(t)
	dir := t.TempDir()
	path := copyTo(t, o.bin, filepath.Join(dir, "podrt"))
	program := o.bin
	o.bin = path
	o.ok("run", "-d", "c1")
	foreground := o.command("run", "c2")
	if err := foreground.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "c2 runs", func() bool { return strings.Contains(o.call("state", "c2").stdout, `"running"`) })
	if err := os.Rename(copyTo(t, program, path+".new"), path); err != nil {
		t.Fatal(err)
	}
	if out := o.ok("exec", "c1", "echo", "hi"); out != "hi\n" {
		t.Errorf("exec with a new program = %q; want hi", out)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o.bin = program
	if out := o.ok("exec", "c2", "echo", "hi"); out != "hi\n" {
		t.Errorf("exec in the container of a removed program = %q; want hi", out)
	}
	o.ok("kill", "c2", "KILL")
	if _ = foreground.Wait(); foreground.ProcessState.ExitCode() != 137 {
		t.Errorf("the removed program ends with %v; want 137", foreground.ProcessState)
	}
	o.ok("delete", "--force", "c1")
	// A pod's init is made in another way.
	bound := filepath.Join(dir, "bound")
	write(t, bound, "")
	bindTo(t, program, bound)
	a := newArena(t)
	argv := append([]string{bound}, a.argv("pod", "create", "--share", "net,ipc,uts,pid", "p")[1:]...)
	if r := a.command(t, argv, nil); r.code != 0 {
		t.Errorf("pod create with a bound program: %v", r)
	}
	a.ok(t, "pod", "rm", "-f", "p")
}

// TestProgramSurroundings calls podrt in odd places and states.
func TestProgramSurroundings(t *testing.T) {
	o := newOCI(t, `ls /proc/self/fd | tr '\n' ' '; umask; exit 7`)
	nativeOnly(t)
	if err := os.Symlink("busybox", filepath.Join(o.bundle, "rootfs/bin/tr")); err != nil {
		t.Fatal(err)
	}
	const inside = "0 1 2 3 "
	for _, tt := range []struct{ name, script, out string }{
		{"no directory", `mkdir "$D/gone"; cd "$D/gone"; rmdir "$D/gone"; exec "$@"`, inside + "0022\n"},
		{"umask 0777", `umask 0777; exec "$@"`, inside + "0022\n"},
		{"umask 0", `umask 0; exec "$@"`, inside + "0022\n"},
		{"stdin closed", `exec "$@" <&-`, inside + "0022\n"},
		{"stderr closed", `exec "$@" 2>&-`, inside + "0022\n"},
		{"stdout closed", `exec "$@" >&-`, ""},
		{"all closed", `exec "$@" <&- >&- 2>&-`, ""},
		{"many descriptors", `ulimit -n 2500; for i in $(seq 3 2000); do eval "exec $i</etc/passwd"; done; exec "$@"`, inside + "0022\n"},
		{"no environment", `exec env -i "$@"`, inside + "0022\n"},
		{"hostile environment", `exec env PATH= HOME= TMPDIR=/nonexistent GOMAXPROCS=x GOGC=x GODEBUG=x=y GOTRACEBACK=x LD_PRELOAD=/nonexistent LISTEN_FDS=99999 LISTEN_PID=1 _LIBCONTAINER_FIFOFD=0 _LIBCONTAINER_STATEDIR=/x "$@"`, inside + "0022\n"},
		{"signals ignored", `trap '' CHLD HUP INT TERM PIPE; exec "$@"`, inside + "0022\n"},
		{"named init", `p=$1; shift; exec -a init "$p" "$@"`, inside + "0022\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := o.command("run", "--bundle", o.bundle, "c1")
			cmd.Args = append([]string{"bash", "-c", tt.script, "bash"}, cmd.Args...)
			cmd.Path = "/bin/bash"
			cmd.Env = append(os.Environ(), "D="+t.TempDir())
			if r := o.finish(cmd); r.code != 7 || r.stderr != "" || r.stdout != tt.out {
				t.Errorf("run = %+v; want exit code 7 and %q", r, tt.out)
			}
		})
	}
}

// TestProgramOverwrite holds podrt against a container that has podrt itself be
// executed in it, by naming /proc/self/exe as an interpreter, and keeps the file
// open to write to it later (CVE-2019-5736).
func TestProgramOverwrite(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	nativeOnly(t)
	dir := t.TempDir()
	program := o.bin
	bound := filepath.Join(dir, "bound")
	write(t, bound, "")
	victim := copyTo(t, program, filepath.Join(dir, "podrt"))
	bindTo(t, victim, bound)
	before := sum(t, victim)
	o.configure(func(s *specs.Spec) { s.Root.Readonly = false })
	// This podrt waits for a reader of its log.
	evil := filepath.Join(o.bundle, "rootfs/evil")
	if err := os.WriteFile(evil, []byte("#!/proc/self/exe --log=/fifo\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	const attack = `
busybox mkfifo /fifo
until [ "$found" ]; do
	for exe in /proc/[0-9]*/exe; do
		case $(readlink $exe) in ""|/bin/busybox) ;; *) case "$(busybox tr '\0' ' ' <${exe%exe}cmdline)" in *--log=/fifo*) found=$exe;; esac;; esac
	done
done
exec 9<$found
cat /fifo >/dev/null
while [ -e $found ]; do :; done
echo overwritten >>/proc/self/fd/9
echo "wrote: $?"
busybox rm /fifo`
	for _, bin := range []string{victim, bound} {
		o.bin = bin
		o.ok("run", "-d", "c1")
		attacker := o.command("exec", "c1", "sh", "-c", attack)
		var out bytes.Buffer
		attacker.Stdout, attacker.Stderr = &out, &out
		if err := attacker.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the attacker waits", func() bool {
			_, err := os.Stat(filepath.Join(o.bundle, "rootfs/fifo"))
			return err == nil
		})
		r := o.call("exec", "c1", "/evil")
		if r.code != 3 {
			t.Errorf("exec = %+v; want podrt in the container to find that /evil is no verb of its", r)
		}
		if err := attacker.Wait(); err != nil {
			t.Errorf("attacker: %v", err)
		}
		if got := out.String(); !strings.Contains(got, "wrote: 1") && !strings.Contains(got, "wrote: 2") {
			t.Errorf("attacker says %q; want that it could not write", got)
		}
		if sum(t, victim) != before {
			t.Fatal("the container has overwritten podrt")
		}
		o.ok("delete", "--force", "c1")
	}
	o.bin = program
}

func sum(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// copyTo copies a program, making the directory of the copy.
func copyTo(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Dir(to))
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// bindTo mounts one file onto another until the test ends.
func bindTo(t *testing.T, from, to string) {
	t.Helper()
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("bind %q to %q: %v", from, to, err)
	}
	t.Cleanup(func() { unmount(t, to) })
}

// tmpfsAt mounts a file system in memory until the test ends.
func tmpfsAt(t *testing.T, dir string) string {
	t.Helper()
	mkdir(t, dir)
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Fatalf("mount tmpfs at %q: %v", dir, err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// TestProgramUnsealable: where the kernel gives no executable memory there is no
// safe copy of a program that is mounted over, and none is made in a directory
// that others may write to.
func TestProgramUnsealable(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	nativeOnly(t)
	rung.NeedKernel(t, "6.3", "vm.memfd_noexec")
	o.ok("run", "--detach", "--bundle", o.bundle, "c1")
	t.Cleanup(func() { o.ok("delete", "--force", "c1") })
	bound := filepath.Join(t.TempDir(), "bound")
	write(t, bound, "")
	bindTo(t, o.bin, bound)
	// It can only be raised, so in a PID namespace that ends with the command.
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run", "--bundle", o.bundle, "c2"}, 1, "podrt run failed: seal /proc/self/exe, over which something is mounted: "},
		{[]string{"create", "--bundle", o.bundle, "c2"}, 1, "podrt create failed: seal /proc/self/exe, over which something is mounted: "},
		{[]string{"exec", "c1", "true"}, 255, "exec failed: seal /proc/self/exe, over which something is mounted: "},
	} {
		tmp := t.TempDir()
		cmd := o.command(tt.args...)
		cmd.Args = append([]string{"unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", `echo 2 >/proc/sys/vm/memfd_noexec && exec "$@"`, "sh", bound}, cmd.Args[1:]...)
		cmd.Path = "/usr/bin/unshare"
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		if r := o.finish(cmd); r.code != tt.code || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%q without executable memory = %+v; want exit code %d and %q", tt.args[0], r, tt.code, tt.want)
		}
	}
}

// TestProgramParentDeath: an engine has its runtime end with itself
// (PR_SET_PDEATHSIG), also where that executes a sealed copy of its program.
func TestProgramParentDeath(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	nativeOnly(t)
	bound := filepath.Join(t.TempDir(), "bound")
	write(t, bound, "")
	bindTo(t, o.bin, bound)
	for range 10 {
		cmd := o.command("run", "c1")
		engine := exec.Command("sh", append([]string{"-c", `setpriv --pdeathsig KILL -- "$@" & echo $!; wait`, "sh", bound}, cmd.Args[1:]...)...)
		engine.Dir = cmd.Dir
		out, err := engine.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscan(out, &pid); err != nil {
			t.Fatal(err)
		}
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
			unix.Close(pidfd)
		})
		eventually(t, "c1 running", func() bool { return o.call("state", "c1").code == 0 && o.state()["status"] == "running" })
		if err := engine.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the runtime's end", func() bool { return unix.PidfdSendSignal(pidfd, 0, nil, 0) == unix.ESRCH })
		_ = engine.Wait()
		o.ok("delete", "--force", "c1")
	}
}
