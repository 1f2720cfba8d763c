package nsenter

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// initVariants are those with a pod init.
func initVariants() map[string]Config {
	v := variants()
	return map[string]Config{"pid": v["pid"], "user+pid": v["user+pid"], "init": v["init"]}
}

// startInside starts a helper (runHelper) in the sandbox's PID
// namespace and a mount namespace of its own, as root of the caller's user
// namespace. lines are what it prints.
func startInside(t testing.TB, res *Result, args ...string) (cmd *exec.Cmd, lines *bufio.Reader) {
	t.Helper()
	cmd = exec.Command("/proc/self/exe", args[1:]...)
	cmd.Env = []string{helperEnv + "=" + args[0]}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	inside(t, []Pin{pinOf(t, res, PID)}, cmd.Start)
	return cmd, bufio.NewReader(out)
}

// runInside runs a helper to its end and returns what it printed.
func runInside(t testing.TB, res *Result, args ...string) string {
	t.Helper()
	cmd, lines := startInside(t, res, args...)
	out, err := io.ReadAll(lines)
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%q inside: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func readLine(t testing.TB, lines *bufio.Reader) string {
	t.Helper()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("read from the helper: %v", err)
	}
	return strings.TrimSpace(line)
}

// children are the pids of a process's children.
func children(t testing.TB, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// descriptors are the numbers of those that a process has open.
func descriptors(t testing.TB, pid int) []string {
	t.Helper()
	fds, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, fd := range fds {
		names = append(names, fd.Name())
	}
	return names
}

// waitLoop waits until the pod init has closed its channel to the sandbox
// process, which it does in its own time.
func waitLoop(t testing.TB, pid int) {
	t.Helper()
	eventually(t, "the pod init has only descriptors 0, 1, 2", func() bool {
		return slices.Equal(descriptors(t, pid), []string{"0", "1", "2"})
	})
}

// The pod init's posture, as seen by the host's root.
func TestInitPosture(t *testing.T) {
	for name, cfg := range initVariants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			cfg.OOMScoreAdj = 500 // upwards everyone may
			res := mustCreate(t, cfg)
			proc := fmt.Sprintf("/proc/%d/", res.InitPID)
			waitLoop(t, res.InitPID)

			b, err := os.ReadFile(proc + "status")
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for line := range strings.Lines(string(b)) {
				k, v, _ := strings.Cut(line, ":")
				got[k] = strings.Join(strings.Fields(v), " ")
			}
			uid, gid := "0 0 0 0", "0 0 0 0"
			if cfg.has(User) {
				uid, gid = "100000 100000 100000 100000", "200000 200000 200000 200000"
				if got["Groups"] != "" {
					t.Errorf("Groups: %s; want none", got["Groups"])
				}
			}
			for k, want := range map[string]string{
				"Name": "podrt-init", "Umask": "0077", "Threads": "1", "TracerPid": "0",
				"Uid": uid, "Gid": gid,
				"NSpid": fmt.Sprint(res.InitPID, " 1"), "NSpgid": got["Pid"] + " 1", "NSsid": got["Pid"] + " 1",
				"CapInh": "0000000000000000", "CapPrm": "0000000000000020", "CapEff": "0000000000000020",
				"CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
				"NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1",
				"SigIgn": "0000000000010000", "SigCgt": "0000000000000000",
			} {
				if v, ok := got[k]; ok && v != want {
					t.Errorf("%s: %s; want %s", k, v, want)
				}
			}
			for link, want := range map[string]string{"cwd": "/", "root": "/", "fd/0": "/dev/null", "fd/1": "/dev/null", "fd/2": "/dev/null"} {
				if got, err := os.Readlink(proc + link); err != nil || got != want && !strings.HasSuffix(want, "null") {
					t.Errorf("%s is %q, %v; want %q", link, got, err, want)
				}
			}
			var st unix.Stat_t
			for i := range 3 {
				if err := unix.Stat(fmt.Sprintf("%sfd/%d", proc, i), &st); err != nil || st.Rdev != unix.Mkdev(1, 3) {
					t.Errorf("descriptor %d is device %#x, %v; want /dev/null", i, st.Rdev, err)
				}
			}
			if entries, err := os.ReadDir(proc + "root/"); err != nil || len(entries) != 0 {
				t.Errorf("its root holds %v, %v; want nothing", entries, err)
			}
			mounts, err := readFile(proc + "mountinfo")
			if f := strings.Fields(mounts); err != nil || strings.Contains(mounts, "\n") || len(f) < 9 ||
				f[4] != "/" || !strings.HasPrefix(f[5], "ro,nosuid,nodev,noexec") || f[7] != "tmpfs" {
				t.Errorf("its mounts are %q, %v; want one read-only tmpfs", mounts, err)
			}
			if got, err := readFile(proc + "oom_score_adj"); err != nil || got != "500" {
				t.Errorf("oom_score_adj is %q, %v; want 500", got, err)
			}
			if got, err := readFile(proc + "cmdline"); err != nil || got != "podrt-init\x00" {
				t.Errorf("command line is %q, %v; want podrt-init", got, err)
			}
			for _, p := range res.Pins {
				if p.Kind == Time {
					continue // it entered when it was forked; the link says so too
				}
				if got := nsInode(t, res.InitPID, string(p.Kind)); got != p.Ino {
					t.Errorf("it is in %s namespace %d; want %d", p.Kind, got, p.Ino)
				}
			}
			if got, want := nsInode(t, res.InitPID, "mnt"), nsInode(t, os.Getpid(), "mnt"); got == want {
				t.Error("it is in the caller's mount namespace")
			}
			if got, err := startTime(res.InitPID); err != nil || got != res.InitStart {
				t.Errorf("start time %d, %v; want %d", got, err, res.InitStart)
			}
		})
	}
}

// Lowered where podrt may, and no reason to fail where it may not.
func TestInitOOMScore(t *testing.T) {
	rung.Privileged(t)
	res := mustCreate(t, Config{Kinds: []Kind{PID}, PinDir: pinDir(t), OOMScoreAdj: -998})
	want, err := readFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	if os.WriteFile("/proc/self/oom_score_adj", []byte("-998"), 0) == nil {
		if err := os.WriteFile("/proc/self/oom_score_adj", []byte(want), 0); err != nil {
			t.Fatal(err)
		}
		want = "-998"
	}
	if got, err := readFile(fmt.Sprintf("/proc/%d/oom_score_adj", res.InitPID)); err != nil || got != want {
		t.Errorf("oom_score_adj is %q, %v; want %s", got, err, want)
	}
}

// Orphans become its children and leave no zombies.
func TestInitReaps(t *testing.T) {
	for name, cfg := range initVariants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			res := mustCreate(t, cfg)
			inside(t, []Pin{pinOf(t, res, PID)}, func() error {
				// Each leaves an orphan that waits to be killed; so it is a child of
				// the pod init before it dies.
				for range 20 {
					cmd := exec.Command("sh", "-c", "sleep 1000 & exit 0")
					if err := cmd.Run(); err != nil {
						return err
					}
				}
				return nil
			})
			orphans := children(t, res.InitPID)
			if len(orphans) != 20 {
				t.Fatalf("the pod init has children %q; want 20", orphans)
			}
			for _, o := range orphans {
				pid, err := strconv.Atoi(o)
				if err != nil {
					t.Fatal(err)
				}
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "orphans are reaped", func() bool { return len(children(t, res.InitPID)) == 0 })
			if !alive(t, res.InitPidFD) {
				t.Error("the pod init has ended")
			}
		})
	}
}

// What comes from outside is passed on, to processes of any uid; what comes
// from inside is not, and neither are other signals. It survives all of them.
func TestInitForwards(t *testing.T) {
	for name, cfg := range initVariants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			res := mustCreate(t, cfg)
			// As a container of the pod with a user of its own.
			pins := slices.DeleteFunc(slices.Clone(res.Pins), func(p Pin) bool { return p.Kind != User && p.Kind != PID })
			exe, err := os.Open("/proc/self/exe") // others may not walk to it
			if err != nil {
				t.Fatal(err)
			}
			defer exe.Close()
			cmd := nsenterCmd(t, pins, "/proc/self/fd/3")
			cmd.ExtraFiles = []*os.File{exe}
			cmd.Stderr = os.Stderr
			cmd.Args = slices.Insert(cmd.Args, 1, "--setuid=1234", "--setgid=1234")
			cmd.Env = []string{helperEnv + "=signals"}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			if got := readLine(t, lines); got != "ready" {
				t.Fatalf("helper says %q; want ready", got)
			}
			// As kill(2), as tgkill(2), and by pidfd.
			kill := func(sig unix.Signal) error { return unix.Kill(res.InitPID, sig) }
			tgkill := func(sig unix.Signal) error { return unix.Tgkill(res.InitPID, res.InitPID, sig) }
			pidfd := func(sig unix.Signal) error {
				return unix.PidfdSendSignal(int(res.InitPidFD.Fd()), sig, nil, 0)
			}
			for _, send := range []func(unix.Signal) error{kill, tgkill, pidfd} {
				for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2} {
					if err := send(sig); err != nil {
						t.Fatal(err)
					}
					if got := readLine(t, lines); got != unix.SignalName(sig) {
						t.Fatalf("helper got %q; want %v", got, unix.SignalName(sig))
					}
				}
			}
			// Not these.
			for _, sig := range []unix.Signal{unix.SIGWINCH, unix.SIGALRM, unix.SIGSEGV, unix.SIGCHLD, unix.SIGPIPE, 40} {
				if err := kill(sig); err != nil {
					t.Fatal(err)
				}
			}
			// Nor what its namespace sends, forged to look as if from outside.
			if got := runInside(t, res, "attack-signals"); got != "done" {
				t.Errorf("helper says %q; want done", got)
			}
			// Else the next would be one with what is pending.
			eventually(t, "the pod init has no signals pending", func() bool {
				status, err := readFile(fmt.Sprintf("/proc/%d/status", res.InitPID))
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(status, "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n")
			})
			// A forged one that it has not dropped yet would swallow the next of
			// its kind: signals below the real-time ones do not queue.
			eventually(t, "the pod init has dropped all forged signals", func() bool { return !pending(t, res.InitPID) })
			if err := kill(unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			if got := readLine(t, lines); got != "SIGUSR1" {
				t.Errorf("helper got %q; want only SIGUSR1 from outside", got)
			}
			if !alive(t, res.InitPidFD) {
				t.Error("the pod init has ended")
			}
			if err := kill(unix.SIGKILL); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait()
		})
	}
}

// pending reports whether signals wait for a process (proc_pid_status(5), SigPnd
// and ShdPnd).
func pending(t testing.TB, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		key, mask, _ := strings.Cut(line, ":")
		if (key == "SigPnd" || key == "ShdPnd") && strings.Trim(mask, "0 \t\n") != "" {
			return true
		}
	}
	return false
}

// SIGKILL from outside ends it and all of its namespace, and is seen.
func TestInitKilled(t *testing.T) {
	rung.Privileged(t)
	res := mustCreate(t, Config{Kinds: []Kind{PID}, PinDir: pinDir(t)})
	cmd, lines := startInside(t, res, "signals")
	readLine(t, lines)
	if err := unix.Kill(res.InitPID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait() // before it has ended: it waits for all of its namespace to be reaped
	waitDead(t, res.InitPidFD)
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != unix.SIGKILL {
		t.Errorf("the process inside ended with %v; want SIGKILL", err)
	}
	if err := res.Pins[0].Verify(); err != nil {
		t.Errorf("the pin of a dead namespace: %v", err)
	}
}

// A caller's open descriptors do not reach it, by whatever number and without
// close-on-exec.
func TestInitDescriptors(t *testing.T) {
	rung.Privileged(t)
	var leaked []int
	for _, at := range []int{8, 9, 100, 500} {
		fd, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_DUPFD, at)
		if err != nil {
			t.Fatal(err)
		}
		leaked = append(leaked, fd)
	}
	t.Cleanup(func() {
		for _, fd := range leaked {
			unix.Close(fd)
		}
	})
	for name, cfg := range initVariants() {
		cfg.PinDir = pinDir(t)
		res := mustCreate(t, cfg)
		waitLoop(t, res.InitPID)
		for _, fd := range descriptors(t, res.InitPID) {
			var st unix.Stat_t
			path := fmt.Sprintf("/proc/%d/fd/%s", res.InitPID, fd)
			if err := unix.Stat(path, &st); err != nil || st.Rdev != unix.Mkdev(1, 3) {
				t.Errorf("%s: %s is not /dev/null: %v", name, path, err)
			}
		}
	}
}
