package netsetup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cniProgram is podrt-cni.
var cniProgram = Program{Name: "podrt-cni", Env: "PODRT_CNI", Purpose: "networks of CNI"}

// CNIProgram returns the path of podrt-cni.
func CNIProgram() (string, error) { return cniProgram.Find() }

// cniGrace is how much longer than its plugins podrt-cni may take.
const cniGrace = 10 * time.Second

// call has podrt-cni do what the request says. When ctx ends, or too much time has
// passed, podrt-cni is told to stop, for which it takes back what it began, and
// is killed only then. It is also killed when this process is. It runs in the
// network namespace of the calling thread.
func (c *CNI) call(ctx context.Context, r CNIRequest) (answer CNIAnswer, err error) {
	program := c.Program
	if program == "" {
		if program, err = CNIProgram(); err != nil {
			return answer, err
		}
	}
	c.fill(&r)
	in, err := json.Marshal(r)
	if err != nil {
		return answer, err
	}
	limit := r.DelTimeout + cniGrace
	if r.Op == CNIAdd {
		limit += r.AddTimeout
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(limited, program)
	cmd.Env = cniEnviron(os.Environ(), r.UID)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = r.DelTimeout + cniGrace
	// A group of its own: a signal from the terminal is podrt's to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// PR_SET_PDEATHSIG is about the thread that forks (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if stopped := limited.Err(); stopped != nil && errors.Is(err, stopped) {
		err = nil // it has answered all the same, or says why not
	}
	if err == nil {
		err = json.Unmarshal(stdout.Bytes(), &answer)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w%s", program, r.Op, err, quoteStderr(stderr.Bytes()))
		return CNIAnswer{}, errors.Join(limited.Err(), err)
	}
	if err = answer.err(); err != nil {
		return answer, errors.Join(limited.Err(), err)
	}
	return answer, answer.check(r.Op)
}

// fill completes a request.
func (c *CNI) fill(r *CNIRequest) {
	r.Protocol = CNIProtocol
	r.ConfDirs = c.confDirs()
	if r.BinDirs = c.BinDirs; len(r.BinDirs) == 0 {
		r.BinDirs = []string{"/opt/cni/bin", "/usr/lib/cni"}
	}
	r.CacheDir = c.cacheDir()
	if r.AddTimeout = c.AddTimeout; r.AddTimeout <= 0 {
		r.AddTimeout = time.Minute
	}
	if r.DelTimeout = c.DelTimeout; r.DelTimeout <= 0 {
		r.DelTimeout = 30 * time.Second
	}
}

func (c *CNI) confDirs() []string {
	if len(c.ConfDirs) == 0 {
		return []string{"/etc/cni/net.d"}
	}
	return c.ConfDirs
}

// CNISuffixes end the names of the files in a directory of configurations.
func CNISuffixes() []string { return []string{".conflist", ".conf", ".json"} }

// check reports what is missing in an answer without an error.
func (a *CNIAnswer) check(op string) error {
	if op == CNIAdd && a.Interface == nil || op == CNIFind && len(a.Networks) != 1 {
		return fmt.Errorf("%s %s: the answer is not whole", cniProgram.Name, op)
	}
	return nil
}

// cniEnviron is the environment of podrt-cni and its plugins: this process's,
// without what was meant for it alone.
func cniEnviron(environ []string, uid string) []string {
	env := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		// sd_notify(3), sd_listen_fds(3), CNI's own, libcontainer's and podrt's.
		return name == "NOTIFY_SOCKET" || name == CNIPodEnv || strings.HasPrefix(name, "LISTEN_") ||
			strings.HasPrefix(name, "CNI_") || strings.HasPrefix(name, "_LIBCONTAINER_")
	})
	if !slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") && kv != "PATH=" }) {
		// Plugins execute iptables.
		env = append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	if uid != "" {
		env = append(env, CNIPodEnv+"="+uid)
	}
	return env
}

// maxStderr is how much of a program's last words is worth repeating.
const maxStderr = 4 << 10

// quoteStderr returns the end of what a program said, as the end of an error.
func quoteStderr(b []byte) string {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", b[max(0, len(b)-maxStderr):])
}
