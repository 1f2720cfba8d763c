package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestOCIStreams(t *testing.T) {
	o := newOCI(t, "cat; echo err >&2; exit 5")
	cmd := o.command("run", "c1")
	cmd.Stdin = strings.NewReader("in\n")
	if r := o.finish(cmd); r.code != 5 || r.stdout != "in\n" || r.stderr != "err\n" {
		t.Errorf("run = %+v; want exit code 5 and the streams", r)
	}
	// Opened anew by a user of the container's, who does not own podrt's.
	o.configure(func(s *specs.Spec) {
		s.Process.Args[2] = "echo again > /proc/self/fd/1; echo more > /proc/self/fd/2"
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	})
	o.reachable() // by the container's root
	if r := o.call("run", "c1"); r.code != 0 || r.stdout != "again\n" || r.stderr != "more\n" {
		t.Errorf("run in a user namespace = %+v", r)
	}
}

func TestOCIExec(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.ok("run", "-d", "c1")
	for _, tt := range []struct {
		args []string
		out  string
		code int
	}{
		{[]string{"c1", "sh", "-c", "exit 7"}, "", 7},
		{[]string{"c1", "sh", "-c", "kill -9 $$"}, "", 137},
		{[]string{"c1", "echo", "-n", "-d", "x"}, "-d x", 0},
		{[]string{"--cwd", "/bin", "c1", "pwd"}, "/bin\n", 0},
		{[]string{"--env", "A=1", "--env=B=2", "c1", "sh", "-c", "echo $A $B"}, "1 2\n", 0},
		{[]string{"-u", "5:6", "-g", "7", "--g=8", "c1", "sh", "-c", "id -u; id -g; id -G"}, "5\n6\n6 7 8\n", 0},
		{[]string{"c1", "sh", "-c", "echo $$ > /dev/null; readlink /proc/1/exe"}, "/bin/busybox\n", 0},
	} {
		r := o.call(append([]string{"exec"}, tt.args...)...)
		if r.code != tt.code || r.stdout != tt.out || r.stderr != "" || r.log != "" {
			t.Errorf("exec %q = %+v; want exit code %d, %q", tt.args, r, tt.code, tt.out)
		}
	}

	pidFile := filepath.Join(t.TempDir(), "pid")
	const start = "exec failed: unable to start container process: "
	for want, args := range map[string][]string{
		"exec failed: container does not exist":                                               {"none", "true"},
		"exec failed: exec args cannot be empty":                                              {"c1"},
		start + `exec: "nonexistent": executable file not found in $PATH`:                     {"c1", "nonexistent"},
		start + `exec: "/nonexistent": stat /nonexistent: no such file or directory`:          {"c1", "/nonexistent"},
		start + `exec: "/etc": is a directory`:                                                {"c1", "/etc"},
		"exec failed: bad uid: strconv.Atoi: parsing \"x\": invalid syntax":                   {"-u", "x", "c1", "true"},
		"exec failed: Cwd must be an absolute path":                                           {"--cwd", "x", "c1", "true"},
		"exec failed: open /nonexistent: no such file or directory":                           {"-p", "/nonexistent", "c1"},
		"exec failed: invalid --cgroup argument: a (missing <controller>: prefix)":            {"--cgroup", "a", "--cgroup", "b", "c1", "true"},
		"exec failed: cannot allocate tty if runc will detach without setting console socket": {"-d", "-t", "c1", "true"},
	} {
		o.fails(255, want, append([]string{"exec", "--pid-file", pidFile}, args...)...)
		if _, err := os.Stat(pidFile); err == nil {
			t.Errorf("exec %q failed and wrote a pid file", args)
		}
	}

	// As engines do: with a file, detached. The pid file tells of success, also
	// when the process is gone by then.
	spec := specs.Process{Args: []string{"true"}, Cwd: "/", Env: []string{"PATH=/bin"}}
	b, err := json.Marshal(&spec)
	if err != nil {
		t.Fatal(err)
	}
	process := filepath.Join(t.TempDir(), "process.json")
	if err := os.WriteFile(process, b, 0o644); err != nil {
		t.Fatal(err)
	}
	o.ok("exec", "--process", process, "--detach", "--pid-file", pidFile, "c1")
	if b, err := os.ReadFile(pidFile); err != nil {
		t.Error(err)
	} else if _, err := strconv.Atoi(string(b)); err != nil {
		t.Errorf("pid file: %v", err)
	}
	o.ok("delete", "-f", "c1")
}

func TestOCIExecInSubCgroup(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = "/podrt-test-sub" })
	o.ok("run", "-d", "c1")
	if err := os.Mkdir("/sys/fs/cgroup/podrt-test-sub/below", 0o755); err != nil {
		t.Fatal(err)
	}
	o.configure(func(s *specs.Spec) { withoutNamespace(s, specs.CgroupNamespace) })
	for path, want := range map[string]string{"": "/", "below": "/below"} {
		args := []string{"exec"}
		if path != "" {
			args = append(args, "--cgroup", path)
		}
		// The line of cgroup v2 is the last where v1 is in use, too.
		if got := o.ok(append(args, "c1", "cat", "/proc/self/cgroup")...); !strings.HasSuffix("\n"+got, "\n0::"+want+"\n") {
			t.Errorf("exec --cgroup %q runs in %q; want %q", path, got, want)
		}
	}
	o.ok("delete", "-f", "c1")
}

func TestOCISignalsForwarded(t *testing.T) {
	o := newOCI(t, `trap "echo usr1" USR1; trap "echo term; exit 9" TERM; echo ready; while true; do sleep 0.01; done`)
	cmd := o.command("run", "c1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, len(want))
		if _, err := io.ReadFull(out, buf); err != nil || string(buf) != want {
			t.Fatalf("container says %q, %v; want %q", buf, err, want)
		}
	}
	expect("ready\n")
	for _, s := range []struct {
		sig  unix.Signal
		want string
	}{{unix.SIGUSR1, "usr1\n"}, {unix.SIGTERM, "term\n"}} {
		if err := cmd.Process.Signal(s.sig); err != nil {
			t.Fatal(err)
		}
		expect(s.want)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 9 {
		t.Errorf("run ended with %v; want exit code 9", err)
	}
}

// listenUnix gives a socket that is not in a path too long for one.
func listenUnix(t *testing.T, network string) (path string, l *os.File) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "oci") //nolint:usetesting // t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	typ := unix.SOCK_STREAM
	if network == "unixgram" {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l = os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { l.Close() })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if typ == unix.SOCK_STREAM {
		if err := unix.Listen(fd, 1); err != nil {
			t.Fatal(err)
		}
	}
	return path, l
}

// receive takes one message with one descriptor, as conmon does.
func receive(t *testing.T, l *os.File) (message string, f *os.File) {
	t.Helper()
	fd, _, err := unix.Accept4(int(l.Fd()), unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	buf, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		t.Fatalf("recvmsg: %d bytes, %v", n, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v; want 1", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d descriptors, %v; want 1", len(fds), err)
	}
	return string(buf[:n]), os.NewFile(uintptr(fds[0]), "received")
}

func TestOCIPidfdSocket(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	socket, l := listenUnix(t, "unix")
	o.ok("create", "--pidfd-socket", socket, "c1")
	what, pidfd := receive(t, l)
	defer pidfd.Close()
	if what != "standard" {
		t.Errorf("the pidfd comes as %q; want standard", what)
	}
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(pidfd.Fd())))
	want := fmt.Sprintf("Pid:\t%v\n", o.state()["pid"])
	if err != nil || !strings.Contains(string(info), want) {
		t.Errorf("the pidfd is of %q, %v; want %q", info, err, want)
	}
	o.ok("delete", "-f", "c1")
}

func TestOCIPreserveFDs(t *testing.T) {
	o := newOCI(t, "ls /proc/self/fd; cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID")
	file := func(content string) *os.File {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if _, err := f.WriteString(content); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		return f
	}
	cmd := o.command("run", "--preserve-fds", "2", "c1")
	cmd.ExtraFiles = []*os.File{file("three\n"), file("four\n"), file("not passed\n")}
	// ls has one more open, on the directory that it lists.
	if r := o.finish(cmd); r.code != 0 || r.stdout != "0\n1\n2\n3\n4\n5\nthree\nfour\n\n" {
		t.Errorf("run --preserve-fds 2 = %+v", r)
	}

	// Sockets of systemd come first; what is preserved is counted after them.
	cmd = o.command("run", "--preserve-fds", "1", "c1")
	cmd.ExtraFiles = []*os.File{file("socket\n"), file("four\n"), file("not passed\n")}
	sh := exec.Command("sh", append([]string{"-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"`, "sh"}, cmd.Args...)...)
	sh.Dir, sh.Env, sh.ExtraFiles = cmd.Dir, cmd.Env, cmd.ExtraFiles
	if r := o.finish(sh); r.code != 0 || r.stdout != "0\n1\n2\n3\n4\n5\nsocket\nfour\n1 1\n" {
		t.Errorf("run with LISTEN_FDS=1 --preserve-fds 1 = %+v", r)
	}
}
