package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// wantVM skips the tests that boot, on the unit rung: PODRT_RUNG_WANT=vm has
// them boot from the host.
func wantVM(t *testing.T) {
	t.Helper()
	if os.Getenv("PODRT_RUNG_WANT") != "vm" || os.Getenv("PODRT_RUNG") != "" {
		t.Skip("boots a VM: PODRT_RUNG_WANT=vm, on the host")
	}
	if testing.Short() {
		t.Skip("boots a VM: short")
	}
}

// boot runs sh -c script in a VM.
func boot(t *testing.T, script string, change func(*Config)) (code int, stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cfg := Config{
		Args:   []string{"/bin/sh", "-c", script},
		Env:    []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "X=from the host"},
		Stdout: &out,
		Stderr: &errs,
		Limit:  2 * time.Minute,
	}
	if change != nil {
		change(&cfg)
	}
	code, err = Run(t.Context(), cfg)
	return code, out.String(), errs.String(), err
}

// TestRunWorld looks at everything that vm promises in one boot.
func TestRunWorld(t *testing.T) {
	wantVM(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/given", []byte("given"), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `set -e
		echo "x $X"; echo "pwd $PWD"; echo on stderr >&2
		echo "root $(stat -f -c %T /)"
		echo "cgroup $(cat /proc/self/cgroup) $(cat /sys/fs/cgroup/cgroup.controllers)"
		echo "given $(cat given)"; printf taken >taken
		touch /etc/podrt-vm-test "$HOST_ONLY/new" 2>/dev/null && echo "writable here"
		echo "session $(cut -d' ' -f6 /proc/self/stat | grep -qx $$ && echo own)"
		echo "stdin $(timeout 0.1 cat || echo $?)"
		echo "propagation $(grep -c ' shared:' /proc/self/mountinfo | sed 's/^[1-9].*/shared/')"
		echo "lo $(cat /sys/class/net/lo/flags) $(ls /sys/class/net)"
		modprobe dummy; echo "links $(ls /sys/class/net)"
		for d in /var/lib/podrt /var/log/podrt /run /tmp /dev/shm; do
			mkdir $d/l $d/u $d/w $d/m; mount -t overlay -o lowerdir=$d/l,upperdir=$d/u,workdir=$d/w o $d/m
		done
		echo "disk $(stat -f -c %T /var/lib/podrt)"
		grep -q ' /run/podrt ' /proc/self/mountinfo || echo "run/podrt left alone"
		exit 42`
	code, stdout, stderr, err := boot(t, script, func(c *Config) {
		c.WorkDir = dir
		c.Shares = []string{dir}
		c.DiskMiB = 64
		c.Env = append(c.Env, "HOST_ONLY=/usr/share")
	})
	if err != nil || code != 42 {
		t.Fatalf("Run = %d, %v; want 42; stderr:\n%s", code, err, stderr)
	}
	want := fmt.Sprintf(`x from the host
pwd %s
root overlayfs
cgroup 0::/ cpuset cpu io memory hugetlb pids rdma misc
given given
writable here
session own
stdin 124
propagation shared
lo 0x9 lo
links lo
disk ext2/ext3
run/podrt left alone
`, dir)
	if stdout != want {
		t.Errorf("stdout:\n%s\nwant:\n%s", stdout, want)
	}
	if stderr != "on stderr\n" {
		t.Errorf("stderr = %q; want %q", stderr, "on stderr\n")
	}
	if got, err := os.ReadFile(dir + "/taken"); err != nil || string(got) != "taken" {
		t.Errorf("file written in the VM = %q, %v; want %q", got, err, "taken")
	}
	for _, path := range []string{"/etc/podrt-vm-test", "/usr/share/new"} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s on the host: %v; want none", path, err)
		}
	}
}

// TestRunSystemd looks at what a VM with systemd promises beside that.
func TestRunSystemd(t *testing.T) {
	wantVM(t)
	dir := t.TempDir()
	const script = `set -e
		echo "x $X"; echo "pwd $PWD"; echo on stderr >&2; printf taken >taken
		echo "init $(cat /proc/1/comm) $(cat /proc/self/cgroup)"
		echo "root $(stat -f -c %T /) $(hostname) $(cat /sys/class/net/lo/flags)"
		echo "failed $(systemctl list-units --failed -q | wc -l)"
		echo "journal $(logger --socket-errors=on heard && journalctl -q -o cat --no-pager -t root)"
		systemctl daemon-reload
		systemctl start user@1000.service
		as() { setpriv --reuid 1000 --regid 1000 --init-groups env XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/tester "$@"; }
		echo "user $(as systemd-run --user --scope -q cat /proc/self/cgroup | sed 's/run-.*scope/X/')"
		as sh -c 'echo mine >$HOME/file && stat -c %U $HOME/file && grep tester /etc/subuid'
		systemctl stop user@1000.service
		systemd-run -q --scope --slice=a-b cat /proc/self/cgroup | sed 's/run-.*scope/X/'
		exit 42`
	code, stdout, stderr, err := boot(t, script, func(c *Config) {
		c.Systemd, c.WorkDir, c.Shares = true, dir, []string{dir}
	})
	if err != nil || code != 42 {
		t.Fatalf("Run = %d, %v; want 42; stderr:\n%s", code, err, stderr)
	}
	want := fmt.Sprintf(`x from the host
pwd %s
init systemd 0::/system.slice/rung-job.service
root overlayfs podrt-vm 0x9
failed 0
journal heard
user 0::/user.slice/user-1000.slice/user@1000.service/app.slice/X
tester
tester:100000:65536
0::/a.slice/a-b.slice/X
`, dir)
	if stdout != want {
		t.Errorf("stdout:\n%s\nwant:\n%s", stdout, want)
	}
	if stderr != "on stderr\n" {
		t.Errorf("stderr = %q; want %q", stderr, "on stderr\n")
	}
	if got, err := os.ReadFile(dir + "/taken"); err != nil || string(got) != "taken" {
		t.Errorf("file written in the VM = %q, %v; want %q", got, err, "taken")
	}
}

// TestRunOutput has more output than any buffer on its way holds, from a
// process that outlives the command, too.
func TestRunOutput(t *testing.T) {
	wantVM(t)
	const size = 8 << 20
	code, stdout, stderr, err := boot(t, fmt.Sprintf(`head -c %d /dev/zero | tr '\0' x; setsid sleep 1000 & kill -TERM $$`, size), nil)
	if code != 128+15 || err != nil {
		t.Fatalf("Run = %d, %v; want %d; stderr:\n%s", code, err, 128+15, stderr)
	}
	if got, want := sha256.Sum256([]byte(stdout)), sha256.Sum256(bytes.Repeat([]byte("x"), size)); got != want {
		t.Errorf("stdout: %d bytes; want %d of x", len(stdout), size)
	}
}

// TestRunSideBySide runs two VMs at once; each kernel is of its own.
func TestRunSideBySide(t *testing.T) {
	wantVM(t)
	var all sync.WaitGroup
	ids := make([]string, 2)
	for i := range ids {
		all.Go(func() {
			code, stdout, stderr, err := boot(t, "cat /proc/sys/kernel/random/boot_id", nil)
			if code != 0 || err != nil {
				t.Errorf("VM %d: Run = %d, %v; stderr:\n%s", i, code, err, stderr)
			}
			ids[i] = stdout
		})
	}
	all.Wait()
	if ids[0] == ids[1] {
		t.Errorf("boot ids %q and %q; want two", ids[0], ids[1])
	}
}

func TestRunBrokenVM(t *testing.T) {
	wantVM(t)
	for name, c := range map[string]struct {
		script string
		change func(*Config)
		want   string
	}{
		"panic":       {"echo c >/proc/sysrq-trigger; sleep 100", nil, "Kernel panic"},
		"reboot":      {"echo b >/proc/sysrq-trigger; sleep 100", nil, "before the command did"},
		"no command":  {"", func(c *Config) { c.Args = []string{"/nowhere/x.test"} }, "/nowhere/x.test"},
		"no time":     {"sleep 1000", func(c *Config) { c.Limit = 8 * time.Second }, "time limit of 8s"},
		"no work dir": {"true", func(c *Config) { c.WorkDir = "/nowhere" }, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, _, err := boot(t, c.script, c.change)
			var broken *Error
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run = %d, %v; want an *Error with %q", code, err, c.want)
			}
		})
	}
}

// TestRunEnds hangs up on a VM and looks whether QEMU and its files are gone.
func TestRunEnds(t *testing.T) {
	wantVM(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithCancel(t.Context())
	ready := &notify{line: make(chan struct{})}
	go func() {
		<-ready.line
		cancel()
	}()
	_, err := Run(ctx, Config{Args: []string{"/bin/sh", "-c", "echo ready; sleep 1000"}, Stdout: ready})
	if !errors.As(err, new(*Error)) || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("Run = %v; want an *Error of the cancellation", err)
	}
	if left, _ := filepath.Glob(tmp + "/*"); len(left) > 0 {
		t.Errorf("left in %s: %q", tmp, left)
	}
}

// notify tells of the first write.
type notify struct {
	once sync.Once
	line chan struct{}
}

func (n *notify) Write(p []byte) (int, error) {
	n.once.Do(func() { close(n.line) })
	return len(p), nil
}

func TestRunWantsAbsolutePath(t *testing.T) {
	for _, args := range [][]string{nil, {"sh"}} {
		if _, err := Run(t.Context(), Config{Args: args}); err == nil {
			t.Errorf("Run(%q): no error", args)
		}
	}
}
