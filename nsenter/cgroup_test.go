package nsenter

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// newCgroup makes a cgroup for the test, and removes it when it is empty.
func newCgroup(t testing.TB, parent, name string) string {
	t.Helper()
	path := filepath.Join(parent, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "remove "+path, func() bool { return os.Remove(path) == nil })
	})
	return path
}

func openDir(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func procs(t testing.TB, cgroup string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// The cgroup namespace is rooted in the pod's cgroup, which is empty again, and
// the pod init is in its leaf.
func TestCreateCgroup(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			pod := newCgroup(t, "/sys/fs/cgroup", "nsenter-test")
			leaf := newCgroup(t, pod, "_init")
			cfg.PinDir = pinDir(t)
			cfg.Cgroup = openDir(t, pod)
			if cfg.has(PID) {
				cfg.InitCgroup = openDir(t, leaf)
			}
			res := mustCreate(t, cfg)

			if got := procs(t, pod); len(got) > 0 {
				t.Errorf("the pod's cgroup holds %q; want nothing", got)
			}
			var want []string
			if cfg.has(PID) {
				want = []string{strconv.Itoa(res.InitPID)}
			}
			if got := procs(t, leaf); !slices.Equal(got, want) {
				t.Errorf("the pod init's cgroup holds %q; want %q", got, want)
			}
			if !cfg.has(Cgroup) {
				return
			}
			cmd := nsenterCmd(t, []Pin{pinOf(t, res, Cgroup)}, "cat", "/proc/self/cgroup")
			cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cfg.Cgroup.Fd())}
			got := output(t, cmd)
			got = got[strings.LastIndexByte(got, '\n')+1:] // v1 hierarchies come first
			if got != "0::/" {
				t.Errorf("a process in the pod's cgroup reads %q; want 0::/", got)
			}
		})
	}
}

// A seccomp filter that hides clone3, as older engines have it, is no obstacle.
func TestCreateWithoutClone3(t *testing.T) {
	for _, name := range []string{"pid", "user+pid"} {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			leaf := newCgroup(t, "/sys/fs/cgroup", "nsenter-test")
			cfg := variants()[name]
			cfg.PinDir = pinDir(t)
			cfg.InitCgroup = openDir(t, leaf)
			var res *Result
			inside(t, nil, func() error {
				if err := hideClone3(); err != nil {
					return err
				}
				var err error
				res, err = Create(cfg)
				return err
			})
			t.Cleanup(func() { tearDown(t, cfg.PinDir, res) })
			if got, want := procs(t, leaf), []string{strconv.Itoa(res.InitPID)}; !slices.Equal(got, want) {
				t.Errorf("the pod init's cgroup holds %q; want %q", got, want)
			}
		})
	}
}

// hideClone3 makes clone3 ENOSYS for this thread and what it starts.
func hideClone3() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x50000 | uint32(unix.ENOSYS)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                    // SECCOMP_RET_ALLOW
	}
	return installFilter(filter)
}
