package cgroups

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperEnv makes the test binary a process for the tests to act upon. A job
// says a line when it is at it, and ends with its standard input.
const helperEnv = "PODRT_CGROUPS_HELPER"

func init() {
	if strings.HasPrefix(os.Getenv(helperEnv), "leaderless") {
		runtime.LockOSThread() // main's to the first thread
	}
}

// helper does a job and exits.
func helper(job string) {
	verb, arg, _ := strings.Cut(job, " ")
	n, _ := strconv.Atoi(arg)
	switch verb {
	case "idle":
		say("ready")
	case "echo": // answers each byte: an observer of frozenness
		say("ready")
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "resolve": // says where a parent is
		p, err := Resolve(arg)
		if err != nil {
			say(err.Error())
		}
		say(string(p))
	case "victim": // as alloc, and first in the OOM killer's list
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
		fallthrough
	case "alloc": // n MiB of memory, touched
		b := make([]byte, n<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		say("ready")
		end()
		runtime.KeepAlive(b)
	case "signal": // says which signal it got
		c := make(chan os.Signal, 8)
		signal.Notify(c, syscall.SIGTERM, syscall.SIGUSR1)
		say("ready")
		say((<-c).String())
	case "storm": // makes and loses children all the time
		say("ready")
		for {
			if p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{}); err == nil {
				go p.Wait()
			}
		}
	case "leaderless": // does the job arg, without the process's first thread
		go func() {
			for b, _ := os.ReadFile("/proc/self/stat"); taskState(string(b)) != 'Z'; b, _ = os.ReadFile("/proc/self/stat") {
				runtime.Gosched()
			}
			helper(arg)
		}()
		_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
	case "relay": // hands over to another such process, without end
		_ = os.Setenv(helperEnv, "leaderless relay")
		say("ready")
		if p, err := os.StartProcess("/proc/self/exe", []string{"relay"}, &os.ProcAttr{Files: []*os.File{nil, nil, os.Stderr}}); err == nil {
			_ = p.Release()
		}
		os.Exit(0)
	case "spin": // uses CPU for n milliseconds
		for until := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(until); {
		}
		say("ready")
	default:
		fmt.Fprintf(os.Stderr, "unknown job %q\n", job)
		os.Exit(2)
	}
	end()
	os.Exit(0)
}

func say(line string) { fmt.Println(line) }

// end returns when the test closes the standard input.
func end() { _, _ = io.Copy(io.Discard, os.Stdin) }

// proc is a process that a test made in a cgroup.
type proc struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	late   chan error // an answer that was not waited for
}

// start starts a helper in p. It is killed and waited for at the end of the
// test at the latest.
func start(t testing.TB, p Path, job string) *proc {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), helperEnv+"="+job)
	return startCmd(t, p, cmd)
}

// startSh starts a shell script in p.
func startSh(t *testing.T, p Path, script string) *proc {
	t.Helper()
	return startCmd(t, p, exec.Command("/bin/sh", "-c", script))
}

func startCmd(t testing.TB, p Path, cmd *exec.Cmd) *proc {
	t.Helper()
	f, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return startIn(t, int(f.Fd()), cmd)
}

// startIn starts cmd in the cgroup that fd is of.
func startIn(t testing.TB, fd int, cmd *exec.Cmd) *proc {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %q in a cgroup: %v", cmd.Args, err)
	}
	c := &proc{t: t, cmd: cmd, stdin: stdin, stdout: bufio.NewReader(stdout)}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = c.wait()
		}
	})
	return c
}

func (c *proc) pid() int { return c.cmd.Process.Pid }

// line reads a line that the process says.
func (c *proc) line() string {
	c.t.Helper()
	s, err := c.stdout.ReadString('\n')
	if err != nil {
		c.t.Fatalf("process %d: %v", c.pid(), err)
	}
	return strings.TrimSuffix(s, "\n")
}

// ready waits until the process is at its job.
func (c *proc) ready() *proc {
	c.t.Helper()
	if l := c.line(); l != "ready" {
		c.t.Fatalf("process %d said %q; want ready", c.pid(), l)
	}
	return c
}

// wait reaps the process and returns how it ended.
func (c *proc) wait() syscall.WaitStatus {
	c.stdin.Close()
	_ = c.cmd.Wait()
	return c.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// killed waits for the process and tells whether it was by SIGKILL.
func (c *proc) killed() {
	c.t.Helper()
	if ws := c.wait(); !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		c.t.Errorf("process %d: %v; want it killed", c.pid(), c.cmd.ProcessState)
	}
}
