package nsenter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// stepSize is how many entries to and exits from system calls lie between two
// kills: each of them natively, where it takes seconds.
func stepSize() int {
	if rung.Current() == rung.VM || testing.Short() {
		return 7
	}
	return 1
}

// runSteps lets a sandbox process, stopped at its execve, run to the n-th entry
// to or exit from a system call, and tells whether it came so far.
func runSteps(pid, n int) (bool, error) {
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD); err != nil {
		return false, err
	}
	for range n {
		if err := unix.PtraceSyscall(pid, 0); err != nil {
			return false, err
		}
		// An end is left to be reaped by Create.
		var info unix.Siginfo
		const exited, dumped = 1, 3 // CLD_*
		err := error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			err = unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT, nil)
		}
		if err != nil {
			return false, err
		}
		if info.Code >= exited && info.Code <= dumped {
			return false, nil
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
			return false, err
		}
		if !status.Stopped() || status.StopSignal() != unix.SIGTRAP|0x80 {
			return false, fmt.Errorf("status %#x; want it stopped in a system call", status)
		}
	}
	return true, nil
}

// reapAll waits until this process has no children left, which it can: it is
// their subreaper.
func reapAll(t testing.TB) {
	t.Helper()
	eventually(t, "all processes of the sandbox end", func() bool {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD {
				return true
			}
			if err != unix.EINTR && (err != nil || pid == 0) {
				return false
			}
		}
	})
}

func becomeSubreaper(t testing.TB) {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
}

// The sandbox process is killed between any two system calls of its: Create
// says so, and nothing is left of it, pod init and member included.
func TestKillSandboxProcess(t *testing.T) {
	for _, name := range []string{"plain", "pid", "user", "user+pid"} {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			becomeSubreaper(t)
			cfg := variants()[name]
			cfg.PinDir = pinDir(t)
			cfg.Hostname = "pod"
			cfg.Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
			n := 1
			for ; ; n += stepSize() {
				killed := false
				end := atExec(func(pid int) {
					var err error
					killed, err = runSteps(pid, n)
					if err == nil && killed {
						err = unix.Kill(pid, unix.SIGKILL)
					}
					if err != nil {
						panic(err)
					}
				})
				res, err := Create(cfg)
				end()
				if !killed {
					if err != nil {
						t.Fatalf("Create, %d steps = %v; want nil", n, err)
					}
					tearDown(t, cfg.PinDir, res)
					reapAll(t)
					break
				}
				var e *Error
				if !errors.As(err, &e) || e.Error() != `run "sandbox process": killed by signal SIGKILL` {
					t.Fatalf("Create, killed after %d steps = %v; want an error that says so", n, err)
				}
				reapAll(t)
				wantEmpty(t, cfg.PinDir)
				if t.Failed() {
					t.Fatalf("killed after %d steps", n)
				}
			}
			t.Logf("%d steps", n)
			if n < 50 {
				t.Errorf("the sandbox process ended after %d steps: that is not all of it", n)
			}
		})
	}
}

// The sandbox process's child, the member or the pod init, is killed at any of
// those points. Create then fails, or has not needed it any more; it never
// waits for it in vain.
func TestKillChild(t *testing.T) {
	for _, name := range []string{"pid", "user", "user+pid"} {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			becomeSubreaper(t)
			cfg := variants()[name]
			cfg.PinDir = pinDir(t)
			failed := 0
			for n := 1; ; n += stepSize() {
				reached := false
				end := atExec(func(pid int) {
					var err error
					if reached, err = runSteps(pid, n); err != nil {
						panic(err)
					}
					if !reached {
						return
					}
					for _, child := range children(t, pid) {
						child, err := strconv.Atoi(child)
						if err == nil {
							err = unix.Kill(child, unix.SIGKILL)
						}
						if err != nil {
							panic(err)
						}
					}
					if err := unix.PtraceDetach(pid); err != nil {
						panic(err)
					}
				})
				res, err := Create(cfg)
				end()
				if err == nil {
					if res.InitPidFD != nil {
						_ = unix.PidfdSendSignal(int(res.InitPidFD.Fd()), unix.SIGKILL, nil, 0)
						res.InitPidFD.Close()
					}
					if err := Unpin(cfg.PinDir); err != nil {
						t.Fatal(err)
					}
				} else {
					failed++
				}
				reapAll(t)
				wantEmpty(t, cfg.PinDir)
				if !reached {
					break
				}
				if t.Failed() {
					t.Fatalf("killed after %d steps", n)
				}
			}
			if failed == 0 {
				t.Error("Create never failed: that is no test")
			}
		})
	}
}

// podrt itself is killed while the sandbox process works. Then the sandbox
// process dies with it, and killing the cgroup and Unpin leave nothing.
func TestKillCaller(t *testing.T) {
	for _, variant := range []string{"plain", "pid", "user+pid"} {
		t.Run(variant, func(t *testing.T) {
			rung.Privileged(t)
			rung.NeedKernel(t, "5.14", "cgroup.kill")
			becomeSubreaper(t)
			dir := pinDir(t)
			left := 0 // how often there were pins to remove
			for n := 1; ; n += 5 * stepSize() {
				// New ones each time: since Linux 6.14 what is born into a cgroup that
				// was killed before is killed, too, if its parent's was not.
				name := "nsenter-test-" + strconv.Itoa(n)
				pod := newCgroup(t, "/sys/fs/cgroup", name)
				leaf := newCgroup(t, pod, "_init")
				cmd := exec.Command("/proc/self/exe", variant, dir, pod, leaf, strconv.Itoa(n))
				cmd.Env = []string{helperEnv + "=create-killed"}
				cmd.Stderr = os.Stderr
				err := cmd.Run()
				if err == nil {
					break // it ended before
				}
				if cmd.ProcessState.ExitCode() != -1 {
					t.Fatalf("helper: %v; want it killed", err)
				}
				if err := os.WriteFile(filepath.Join(pod, "cgroup.kill"), []byte("1"), 0); err != nil {
					t.Fatal(err)
				}
				reapAll(t)
				entries, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				if len(entries) > 0 {
					left++
				}
				if err := Unpin(dir); err != nil {
					t.Fatalf("Unpin, after %d steps: %v", n, err)
				}
				wantEmpty(t, dir)
				if t.Failed() {
					t.Fatalf("killed after %d steps", n)
				}
			}
			reapAll(t)
			if left == 0 {
				t.Error("nothing was ever left: that is no test")
			}
		})
	}
}

// createKilledHelper is a podrt that is killed after n steps of its sandbox
// process. When that ends before, it takes the sandbox down.
func createKilledHelper(variant, dir, pod, leaf, steps string) error {
	n, err := strconv.Atoi(steps)
	if err != nil {
		return err
	}
	cfg := variants()[variant]
	cfg.PinDir = dir
	if cfg.Cgroup, err = os.OpenFile(pod, unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
		return err
	}
	if cfg.has(PID) {
		if cfg.InitCgroup, err = os.OpenFile(leaf, unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
			return err
		}
	}
	var stepped error
	atExec(func(pid int) {
		var reached bool
		if reached, stepped = runSteps(pid, n); reached {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	})
	res, err := Create(cfg)
	if err != nil || stepped != nil {
		return errors.Join(err, stepped)
	}
	if res.InitPidFD != nil {
		if err := unix.PidfdSendSignal(int(res.InitPidFD.Fd()), unix.SIGKILL, nil, 0); err != nil {
			return err
		}
	}
	return Unpin(dir)
}

// The pod init that is killed before it is ready is an error of Create.
func TestKillInitEarly(t *testing.T) {
	for _, name := range []string{"pid", "user+pid"} {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			leaf := newCgroup(t, "/sys/fs/cgroup", "nsenter-test")
			cfg := variants()[name]
			cfg.PinDir = pinDir(t)
			cfg.InitCgroup = openDir(t, leaf)
			// Frozen, it cannot get ready, but be killed.
			if err := os.WriteFile(filepath.Join(leaf, "cgroup.freeze"), []byte("1"), 0); err != nil {
				t.Fatal(err)
			}
			created := make(chan error)
			go func() {
				_, err := Create(cfg)
				created <- err
			}()
			eventually(t, "the pod init is forked", func() bool { return len(procs(t, leaf)) == 1 })
			pid, err := strconv.Atoi(procs(t, leaf)[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			err = <-created
			if want := `wait for "pod init": it died`; err == nil || err.Error() != want {
				t.Errorf("Create = %v; want %s", err, want)
			}
			wantEmpty(t, cfg.PinDir)
		})
	}
}
