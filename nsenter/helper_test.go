package nsenter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary is also the sandbox process (cfg.Exe is nil), and with this
// variable one of the programs of helpers, run inside a sandbox.
const helperEnv = "PODRT_NSENTER_TEST"

// The main thread never ends, so what a goroutine locked to it had joined would
// stay: keep it for TestMain.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		os.Exit(runHelper(name))
	}
	os.Exit(m.Run())
}

// mustCreate makes a sandbox and has it taken down when the test ends.
func mustCreate(t testing.TB, cfg Config) *Result {
	t.Helper()
	res, err := Create(cfg)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	t.Cleanup(func() { tearDown(t, cfg.PinDir, res) })
	return res
}

// tearDown ends the pod init, as cgroup.kill would, and unpins.
func tearDown(t testing.TB, dir string, res *Result) {
	t.Helper()
	if res.InitPidFD != nil {
		_ = unix.PidfdSendSignal(int(res.InitPidFD.Fd()), unix.SIGKILL, nil, 0)
		waitDead(t, res.InitPidFD)
		res.InitPidFD.Close()
	}
	if err := Unpin(dir); err != nil {
		t.Errorf("Unpin: %v", err)
	}
	wantEmpty(t, dir)
}

// waitDead waits until the process of a pidfd has ended.
func waitDead(t testing.TB, pidfd *os.File) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 10_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("poll pidfd: %d, %v; want the process to end within 10 s", n, err)
		}
		return
	}
}

// alive tells whether the process of a pidfd runs on.
func alive(t testing.TB, pidfd *os.File) bool {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	if err != nil {
		t.Fatalf("poll pidfd: %v", err)
	}
	return n == 0
}

func wantEmpty(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("%s holds %v; want nothing", dir, entries)
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), dir+"/") {
		t.Errorf("something is mounted below %s", dir)
	}
}

// eventually polls for what the kernel does in its own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// inside runs f on a thread that has joined the pins; f may start processes.
// User is not joined: the caller stays who it is.
func inside(t testing.TB, pins []Pin, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		done <- func() error {
			for _, p := range pins {
				if p.Kind == User {
					continue
				}
				ns, err := p.Open()
				if err != nil {
					return err
				}
				err = unix.Setns(int(ns.Fd()), int(p.Kind.flag()))
				ns.Close()
				// A thread of many may not change its time namespace.
				if err != nil && p.Kind != Time {
					return &os.PathError{Op: "setns", Path: p.Path, Err: err}
				}
			}
			return f()
		}()
	}()
	if err := <-done; err != nil {
		t.Fatalf("inside the sandbox: %v", err)
	}
}

func pinOf(t testing.TB, res *Result, k Kind) Pin {
	t.Helper()
	for _, p := range res.Pins {
		if p.Kind == k {
			return p
		}
	}
	t.Fatalf("no %s pin in %v", k, res.Pins)
	return Pin{}
}

// readFile reads a file as the calling thread sees it: by a descriptor of its
// own, since /proc/self is the process's.
func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// nsInode is the inode of a process's namespace.
func nsInode(t testing.TB, pid int, link string) uint64 {
	t.Helper()
	var st unix.Stat_t
	path := "/proc/" + strconv.Itoa(pid) + "/ns/" + link
	if err := unix.Stat(path, &st); err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return st.Ino
}

// pinDir is a new directory for pins.
func pinDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ns")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// mapped is a user namespace of 65536 ids.
func mapped(cfg Config) Config {
	cfg.Kinds = append([]Kind{User}, cfg.Kinds...)
	cfg.UIDMappings = []IDMap{{0, 100000, 65536}}
	cfg.GIDMappings = []IDMap{{0, 200000, 65536}}
	return cfg
}

func lookPath(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// atExec has f called, in the caller's thread, for each sandbox process that
// is then started: when it has been executed and before it runs, stopped under
// ptrace(2). It returns what ends that.
func atExec(f func(pid int)) (end func()) {
	testHookAttr = func(attr *syscall.SysProcAttr) { attr.Ptrace = true }
	testHookStarted = func(pid int) {
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
			panic(fmt.Sprintf("wait for execve: %v, status %#x", err, status))
		}
		f(pid)
	}
	return func() { testHookAttr, testHookStarted = nil, nil }
}

// installFilter sets a seccomp filter for this thread and what it starts.
func installFilter(filter []unix.SockFilter) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	return nil
}

func runHelper(name string) int {
	var err error
	switch name {
	case "env":
		// Started where the variable was somebody else's: it is gone.
		if _, ok := os.LookupEnv("_PODRT_SANDBOX"); ok {
			err = errors.New("_PODRT_SANDBOX is set")
		}
	case "limit":
		err = limitHelper(os.Args[1], os.Args[2], os.Args[3])
	case "create-killed":
		err = createKilledHelper(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case "signals":
		signalsHelper()
	case "attack-signals":
		err = attackSignalsHelper()
	case "attack":
		err = attackHelper()
	case "attack-exe":
		err = attackExeHelper()
	default:
		err = errors.New("no such helper")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
