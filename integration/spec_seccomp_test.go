package integration

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func seccompOf(p specs.LinuxSeccomp) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Seccomp = &p }
}

// denying is a profile that lets everything through but one system call.
func denying(rule specs.LinuxSyscall, flags ...specs.LinuxSeccompFlag) func(*specs.Spec) {
	return seccompOf(specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64}, Flags: flags,
		Syscalls: []specs.LinuxSyscall{rule},
	})
}

func TestSpecSeccomp(t *testing.T) {
	b := newSpecBench(t, false)
	const getppid, personality = "/probe syscall 110", "/probe syscall 135"
	one := func(action specs.LinuxSeccompAction, errno *uint) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{"getppid"}, Action: action, ErrnoRet: errno}
	}
	b.run(t, []specRow{
		{name: "none", script: "/probe status Seccomp; " + getppid, want: "0\nOK"},
		{name: "errno", spec: denying(one(specs.ActErrno, nil)), script: "/probe status Seccomp; " + getppid, want: "2\nEPERM"},
		{name: "another errno", spec: denying(one(specs.ActErrno, new(uint(38)))), script: getppid, want: "ENOSYS"},
		{name: "kill", spec: denying(one(specs.ActKillProcess, nil)), script: "exec " + getppid, code: 159},
		{name: "trap", spec: denying(one(specs.ActTrap, nil)), script: "exec " + getppid + " 2>/dev/null", code: 159},
		{name: "log", spec: denying(one(specs.ActLog, nil)), script: getppid, want: "OK"},
		{name: "trace by nobody", spec: denying(one(specs.ActTrace, new(uint(1)))), script: getppid, want: "ENOSYS"},
		{name: "argument", spec: denying(specs.LinuxSyscall{
			Names: []string{"personality"}, Action: specs.ActErrno, ErrnoRet: new(uint(17)),
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: 8, Op: specs.OpEqualTo}},
		}), script: personality + " 8; " + personality + " 0xffffffff", want: "EEXIST\nOK"},
		{name: "masked argument", spec: denying(specs.LinuxSyscall{
			Names: []string{"personality"}, Action: specs.ActErrno,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0xf00, ValueTwo: 0x100, Op: specs.OpMaskedEqual}},
		}), script: personality + " 0x108; " + personality + " 8", want: "EPERM\nOK"},
		{name: "unknown system call", spec: denying(specs.LinuxSyscall{Names: []string{"frobnicate", "getppid"}, Action: specs.ActErrno}), script: getppid, want: "EPERM"},
		{name: "new system call", spec: seccompOf(specs.LinuxSeccomp{
			DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(1)), Architectures: []specs.Arch{specs.ArchX86_64},
			Syscalls: []specs.LinuxSyscall{{Names: append(everyday(t), "arch_prctl"), Action: specs.ActAllow}},
		}), script: "/probe syscall 600; /probe syscall 246; echo lives", want: "ENOSYS\nEPERM\nlives"}, // 246: kexec_load
		{name: "flags", spec: denying(one(specs.ActErrno, nil), specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, "SECCOMP_FILTER_FLAG_TSYNC"), script: getppid, want: "EPERM"},
		{name: "unknown flag", spec: denying(one(specs.ActErrno, nil), "SECCOMP_FILTER_FLAG_FUN"), err: "seccomp flag SECCOMP_FILTER_FLAG_FUN is not known to runc"},
		{name: "unknown action", spec: denying(one("SCMP_ACT_FUN", nil)), err: "string SCMP_ACT_FUN is not a valid action for seccomp"},
		{name: "unknown operator", spec: denying(specs.LinuxSyscall{Names: []string{"personality"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: "SCMP_CMP_FUN"}}}), err: "string SCMP_CMP_FUN is not a valid operator for seccomp"},
		{name: "unknown architecture", spec: seccompOf(specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"SCMP_ARCH_FUN"}}), err: "string SCMP_ARCH_FUN is not a valid arch for seccomp"},
		{name: "errno of an action without one", spec: denying(one(specs.ActLog, new(uint(1)))), script: getppid, want: "OK"},
		{name: "notify without a listener", spec: denying(one(specs.ActNotify, nil)), err: "unable to start container process: error during container init: seccomp listenerPath is not set"},
		{name: "notify a listener that is none", spec: func(s *specs.Spec) {
			denying(one(specs.ActNotify, nil))(s)
			s.Linux.Seccomp.ListenerPath = b.dir + "/none"
		}, err: "...connect: no such file or directory"},
		{name: "notify of write", spec: func(s *specs.Spec) {
			denying(specs.LinuxSyscall{Names: []string{"write"}, Action: specs.ActNotify})(s)
			s.Linux.Seccomp.ListenerPath = b.dir + "/none"
		}, err: "...SCMP_ACT_NOTIFY cannot be used for the write syscall"},
		{name: "notify of everything", spec: seccompOf(specs.LinuxSeccomp{DefaultAction: specs.ActNotify, ListenerPath: b.dir + "/none"}), err: "...SCMP_ACT_NOTIFY cannot be used as default action"},
	})
}

// everyday are the system calls that the profile of Debian's podman lets every
// container do.
func everyday(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("/usr/share/containers/seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	var profile struct {
		Syscalls []struct {
			Names              []string
			Action             string
			Args               []any
			Includes, Excludes map[string]any
		}
	}
	if err := json.Unmarshal(data, &profile); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range profile.Syscalls {
		if s.Action == "SCMP_ACT_ALLOW" && len(s.Args)+len(s.Includes)+len(s.Excludes) == 0 {
			names = append(names, s.Names...)
		}
	}
	if len(names) < 200 {
		t.Fatalf("%d system calls; want a few hundred", len(names))
	}
	return names
}

// notifier is who a container's filter asks: it gets the descriptor of the
// filter with the state of the process, and answers for a system call.
type notifier struct {
	listener *net.UnixListener
}

func newNotifier(t *testing.T, path string) *notifier {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetDeadline(time.Now().Add(agentLimit)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &notifier{l}
}

// accept returns what the next process came with.
func (n *notifier) accept(t *testing.T) (*specs.ContainerProcessState, *os.File) {
	t.Helper()
	conn, err := n.listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	data, oob := make([]byte, 1<<16), make([]byte, 1024)
	got, oobn, _, _, err := conn.ReadMsgUnix(data, oob)
	if err != nil {
		t.Fatal(err)
	}
	state := new(specs.ContainerProcessState)
	if err := json.Unmarshal(data[:got], state); err != nil {
		t.Fatalf("state %q: %v", data[:got], err)
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d control messages, %v; want one", len(messages), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("descriptors %d, %v; want one", fds, err)
	}
	return state, os.NewFile(uintptr(fds[0]), "seccomp")
}

// Requests of seccomp_unotify(2), and the sizes of what they take.
const (
	notifRecv, notifSize = 0xc0502100, 80
	notifSend, replySize = 0xc0182101, 24
)

// answer waits for the next system call and has it fail with errno. It returns
// the number of the call.
func answer(t *testing.T, filter *os.File, errno unix.Errno) int {
	t.Helper()
	var request [notifSize]byte
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, filter.Fd(), notifRecv, uintptr(unsafe.Pointer(&request[0]))); e != 0 {
		t.Fatalf("receive a notification: %v", e)
	}
	var reply [replySize]byte
	copy(reply[:8], request[:8]) // the id
	binary.NativeEndian.PutUint32(reply[16:], uint32(-int32(errno)))
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, filter.Fd(), notifSend, uintptr(unsafe.Pointer(&reply[0]))); e != 0 {
		t.Fatalf("answer a notification: %v", e)
	}
	return int(binary.NativeEndian.Uint32(request[16:]))
}

func TestSpecSeccompNotify(t *testing.T) {
	nativeOnly(t)
	for name, flags := range map[string][]specs.LinuxSeccompFlag{
		"plain": nil, "killable": {specs.LinuxSeccompFlagWaitKillableRecv},
	} {
		t.Run(name, func(t *testing.T) {
			if known, supported := seccompFlags(t); len(flags) > 0 && slices.Contains(known, flags[0]) && !slices.Contains(supported, flags[0]) {
				t.Skipf("%s: not with this libseccomp or kernel", flags[0])
			}
			o := newOCI(t, "mkdir /x 2>&1; sleep 1000")
			socket := filepath.Join(t.TempDir(), "socket")
			n := newNotifier(t, socket)
			if err := os.Symlink("busybox", filepath.Join(o.bundle, "rootfs/bin/mkdir")); err != nil {
				t.Fatal(err)
			}
			o.configure(func(s *specs.Spec) {
				denying(specs.LinuxSyscall{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActNotify}, flags...)(s)
				s.Linux.Seccomp.ListenerPath, s.Linux.Seccomp.ListenerMetadata = socket, "for the listener"
				s.Annotations = map[string]string{"a": "b"}
			})
			o.ok("create", "c1")
			state, filter := n.accept(t)
			defer filter.Close()
			pid := int(o.state()["pid"].(float64))
			if state.Metadata != "for the listener" || state.Pid != pid || state.State.ID != "c1" || state.State.Pid != pid ||
				state.State.Status != specs.StateCreating || state.State.Bundle != o.bundle || state.State.Annotations["a"] != "b" ||
				len(state.Fds) != 1 || state.Fds[0] != specs.SeccompFdName {
				t.Errorf("the listener is told %+v; want process %d of c1", state, pid)
			}
			o.ok("start", "c1")
			if nr := answer(t, filter, unix.EDQUOT); nr != unix.SYS_MKDIR && nr != unix.SYS_MKDIRAT {
				t.Errorf("asked about system call %d; want mkdir", nr)
			}

			cmd := o.command("exec", "c1", "mkdir", "/y")
			var out strings.Builder
			cmd.Stderr = &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			state, second := n.accept(t)
			defer second.Close()
			if state.Pid == pid || state.State.Pid != pid || state.State.Status != specs.StateRunning {
				t.Errorf("the listener is told of exec: %+v; want another process than %d", state, pid)
			}
			answer(t, second, unix.ENOTUNIQ)
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "Name not unique on network") {
				t.Errorf("exec of mkdir: %v: %s; want the errno of the answer", err, out.String())
			}

			// One that nobody answers can be killed.
			cmd = o.command("exec", "c1", "mkdir", "/z")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			state, third := n.accept(t)
			defer third.Close()
			var request [notifSize]byte
			if _, _, e := unix.Syscall(unix.SYS_IOCTL, third.Fd(), notifRecv, uintptr(unsafe.Pointer(&request[0]))); e != 0 {
				t.Fatalf("receive a notification: %v", e)
			}
			if err := unix.Kill(state.Pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 137 {
				t.Errorf("exec that is killed while it waits: %v; want exit status 137", err)
			}
			o.ok("delete", "--force", "c1")
		})
	}
}

// seccompFlags are the flags that features says podrt knows, and can set here.
func seccompFlags(t *testing.T) (known, supported []specs.LinuxSeccompFlag) {
	t.Helper()
	out, err := exec.Command(os.Getenv(binEnv), "features").Output()
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Linux struct {
			Seccomp struct{ KnownFlags, SupportedFlags []specs.LinuxSeccompFlag }
		}
	}
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatal(err)
	}
	return f.Linux.Seccomp.KnownFlags, f.Linux.Seccomp.SupportedFlags
}

// What features says of seccomp's flags is so: those that are supported can be
// set, and the others are refused.
func TestSpecSeccompFlags(t *testing.T) {
	nativeOnly(t)
	o := newOCI(t, "true")
	known, supported := seccompFlags(t)
	if len(known) < 4 || len(supported) < 3 {
		t.Errorf("known flags are %q, supported %q", known, supported)
	}
	for _, flag := range known {
		if flag == specs.LinuxSeccompFlagWaitKillableRecv && slices.Contains(supported, flag) {
			continue // wants a listener: TestSpecSeccompNotify
		}
		o.configure(denying(specs.LinuxSyscall{Names: []string{"getppid"}, Action: specs.ActErrno}, flag))
		if r := o.call("run", "c1"); (r.code == 0) != slices.Contains(supported, flag) {
			t.Errorf("flag %s is said to be supported: %t; run: %+v", flag, slices.Contains(supported, flag), r)
		}
	}
}
